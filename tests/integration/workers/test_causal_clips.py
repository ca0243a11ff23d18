"""Clips of a batch by the causal engine, from pinned files to frames: each is the stream of its seed."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AnyFlowFARPipeline, WanPipeline
from safetensors.torch import save_file

from policy.errors import WrongUse
from policy.streams import StreamSettings, stream_settings
from policy.tiers import ServiceTier
from tests.integration.workers.clip_families import shipped
from tests.tiny_hub.causal_models import (
    ANYFLOW,
    PICKLE,
    SELF_FORCING,
    SMALL,
    student,
    write_anyflow,
    write_self_forcing,
)
from tests.tiny_hub.planning import PROMPTS, SEEDS, SIZE, catalogue_of, task_on
from tests.unit.workers.causal.published import published_tensors
from workers.causal.stream import stream_of
from workers.renderer import Rendered, RenderOptions, Step, make_renderer

FRAMES = 21  # nine of the first chunk and twelve of the second


def any_size(name: str):
    """The preset of the method file, with what tiny weights force."""
    preset = shipped(name)
    assert preset.clip is not None
    return replace(preset, size=None, clip=replace(preset.clip, only_size=None))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_self_forcing(tmp_path_factory.mktemp("hub"), layers=30)
    save_file(published_tensors(student(30)), (root / SELF_FORCING / PICKLE).with_suffix(".safetensors"))
    return root


@pytest.fixture(scope="module")
def task(shelf):
    preset = any_size("self-forcing-dmd")
    return task_on(shelf, catalogue_of(preset), SMALL, 4, preset.name, tier=ServiceTier.LIVE, frames=FRAMES)


def rendered(task, on_step=lambda _step: None) -> Rendered:
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    return renderer.render(task, on_step)


@pytest.fixture(scope="module")
def made(task) -> Rendered:
    return rendered(task)


def test_a_clip_of_a_causal_student_is_the_stream_of_its_seed_bit_for_bit(shelf, task, made):
    torch.set_num_threads(1)
    pipeline = WanPipeline.from_pretrained(shelf / SMALL, transformer=None)
    pipeline.transformer = student(30)
    settings = stream_settings(any_size("self-forcing-dmd"))
    assert isinstance(settings, StreamSettings)
    assert task.stream == settings
    for prompt, seed, clip in zip(PROMPTS, SEEDS, made.pictures, strict=True):
        stream = stream_of(pipeline, settings, prompt=prompt, seed=seed, size=(SIZE, SIZE))
        expected = np.stack([frame.pixels for frame in islice(stream.frames(), FRAMES)])
        assert np.array_equal(np.round(clip * 255).astype(np.uint8), expected)
    assert made.pictures.shape == (2, FRAMES, SIZE, SIZE, 3)
    assert made.timesteps == (1000, 937.5, 833.3333, 625)
    assert np.abs(np.diff(made.pictures, axis=1)).mean() > 0


def test_a_clip_stops_between_two_passes_and_progress_goes_up_to_its_steps(task):
    class Stop(Exception):
        pass

    told: list[int] = []

    def stop(step: Step) -> None:
        told.append(step.done)
        if len(told) == 7:
            raise Stop

    with pytest.raises(Stop):
        rendered(task, stop)
    assert len(told) == 7
    assert told == sorted(told)

    whole: list[int] = []
    rendered(replace(task, shots=task.shots[:1]), lambda step: whole.append(step.done))
    assert len(whole) == 2 * (4 + 1)  # two chunks
    assert (whole[0], max(whole)) == (0, 3)


def test_a_causal_method_that_the_engine_cannot_run_is_refused_before_any_worker(shelf):
    preset = any_size("self-forcing-dmd")
    assert preset.rollout is not None
    endless = replace(preset, rollout=replace(preset.rollout, window=None))
    with pytest.raises(WrongUse, match="cannot be streamed"):
        task_on(shelf, catalogue_of(endless), SMALL, 4, preset.name, tier=ServiceTier.LIVE, frames=FRAMES)


def test_a_flow_map_is_loaded_and_streamed_by_its_own_pipeline(tmp_path):
    root, preset = write_anyflow(tmp_path / "hub"), any_size("anyflow-far-1.3b")
    task = task_on(
        root,
        catalogue_of(preset),
        ANYFLOW,
        2,
        preset.name,
        tier=ServiceTier.LIVE,
        frames=81,
        width=32,
        height=32,
    )
    made = rendered(replace(task, shots=task.shots[:1]))
    pipeline = AnyFlowFARPipeline.from_pretrained(root / ANYFLOW)
    stream = stream_of(pipeline, task.stream, prompt=PROMPTS[0], seed=SEEDS[0], size=(32, 32))
    expected = np.stack([frame.pixels for frame in stream.frames()])
    assert np.array_equal(np.round(made.pictures[0] * 255).astype(np.uint8), expected)
    assert made.pictures.shape == (1, 81, 32, 32, 3)
