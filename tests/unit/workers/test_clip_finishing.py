"""What becomes of rendered frames: a clip that counts is stored and measured, any other fails its own take."""

import json
import wave
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from policy.tasks import FaultKind
from tests.unit.workers.batches import make_task
from workers.artefacts import ArtefactStore
from workers.clip_files import decoded_frames
from workers.finishing import Batch, finish
from workers.renderer import Rendered, Sound

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
FRAMES = np.random.default_rng(5).random((2, 6, 16, 16, 3), dtype=np.float32)


def finished(folder: Path, frames, sound: Sound | None = None):
    task = make_task(shots=2, frames=6, fps=12.0)
    rendered = Rendered(pictures=frames, timesteps=(1.0, 0.0), rows=2, seconds=1.0, sound=sound)
    batch = Batch(task=task, worker="here:1", device="cpu-1", versions=(), rendered=rendered)
    return finish(batch, ArtefactStore(folder), NOW).takes


def test_frames_are_stored_as_one_file_of_the_asked_rate_with_how_much_they_move(tmp_path):
    for take, floats in zip(finished(tmp_path, FRAMES), FRAMES, strict=True):
        assert take.artefact.media_type == "image/webp"
        pixels, times = decoded_frames(Path(take.artefact.path).read_bytes())
        assert np.array_equal(pixels, np.round(floats * 255).astype(np.uint8))
        assert sum(times) == 500
        changed = np.abs(np.diff(pixels.astype(float), axis=0)).mean() / 255
        assert take.figures.motion == pytest.approx(changed)


def test_a_clip_that_came_out_shorter_fails_and_says_so(tmp_path):
    takes = finished(tmp_path, FRAMES[:, :5])
    assert {take.fault for take in takes} == {FaultKind.SHOT}
    assert {take.detail for take in takes} == {"The clip cannot count: it has 5 frames, 6 were asked for."}


def test_one_clip_with_a_value_that_is_no_number_fails_alone(tmp_path):
    broken = FRAMES.copy()
    broken[0, 3, 0, 0, 0] = np.nan
    bad, good = finished(tmp_path, broken)
    assert bad.artefact is None
    assert "not finite" in bad.detail
    assert good.artefact is not None


def test_sound_is_stored_beside_its_clip_and_attested_with_it(tmp_path):
    tone = np.sin(np.linspace(0, 40, 2 * 2 * 4800, dtype=np.float32)).reshape(2, 2, 4800)
    takes = finished(tmp_path, FRAMES, Sound(samples=tone, rate=9600))
    for take, heard in zip(takes, tone, strict=True):
        statement = json.loads(Path(take.provenance.path).read_bytes())
        clip, sound = statement["subject"]
        assert clip["digest"]["sha256"] == take.artefact.sha256
        assert sound["digest"]["sha256"] == take.sound.sha256
        assert take.figures.loudness == pytest.approx(np.sqrt(np.square(heard).mean()), rel=1e-4)
        assert take.figures.sound_clipping == (np.abs(heard) >= 1).mean()
        kept = ArtefactStore(tmp_path).path_of(sound["digest"]["sha256"])
        assert sound["name"] == kept.name
        with wave.open(str(kept)) as file:
            assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 9600, 4800)
            values = np.frombuffer(file.readframes(4800), "<i2").reshape(-1, 2).T / 32767
        assert np.abs(values - heard).max() <= 0.5 / 32767 + 1e-6


def test_a_clip_whose_sound_is_no_number_fails(tmp_path):
    noise = np.zeros((2, 2, 480), np.float32)
    noise[1, 0, 7] = np.inf
    good, bad = finished(tmp_path, FRAMES, Sound(samples=noise, rate=9600))
    assert good.artefact is not None
    assert bad.detail == "The clip cannot count: 1 of 960 values are not finite."
