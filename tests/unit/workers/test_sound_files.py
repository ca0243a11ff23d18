"""The sound of a clip in a file: every sample, what made it, and whether there is anything to hear."""

import io
import wave

import numpy as np
import pytest

from registry.evidence.disclosure import says_machine_made, xmp_packet
from workers.marking import DigitalSourceType, Marking
from workers.sound_checks import sound_statistics, sound_suspicion
from workers.sound_files import marked_wav

TONE = np.stack([np.sin(np.linspace(0, 60, 4801, dtype=np.float32))] * 2)
STACK = "b" * 64


@pytest.mark.parametrize("source", list(DigitalSourceType))
@pytest.mark.parametrize("key", ["a" * 64, "a" * 63])  # packets of even and of odd length
def test_a_sound_comes_back_and_says_in_its_own_bytes_what_made_it(source, key):
    body = marked_wav(TONE, 24000, Marking(shot_key=key, stack_id=STACK, source=source))
    assert len(body) == int.from_bytes(body[4:8], "little") + 8
    with wave.open(io.BytesIO(body)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 24000)
        values = np.frombuffer(file.readframes(9999), "<i2").reshape(-1, 2).T / 32767
    assert np.abs(values - TONE).max() <= 0.5 / 32767 + 1e-6
    assert says_machine_made(body)
    packet = xmp_packet(body)
    assert packet is not None
    assert source.value.encode() in packet
    assert key.encode() in packet


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (TONE, None),
        (TONE * 0.001, None),
        (TONE * 0.0001, "silent"),
        (np.zeros((2, 480), np.float32), "silent"),
        (np.zeros((2, 0), np.float32), "silent"),
        (TONE * 0.999, None),  # as loud as a file can hold
        (TONE * 4, "clipped"),
    ],
)
def test_what_cannot_be_heard_or_was_cut_off_is_told(samples, kind):
    assert sound_suspicion(sound_statistics(samples)) == kind


def test_loudness_is_that_of_what_a_file_holds():
    square = np.where(np.arange(480) % 2, 7.0, -7.0).astype(np.float32)[None]
    assert sound_statistics(square).loudness == 1.0
    assert sound_statistics(square).clipping == 1.0
