"""Encoding holds a few frames: a clip ten times as long takes no more memory beside its pixels and its file."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.house import ROOT

SIDE = 256
SHORT, LONG = 24, 240
FRAME = 4 * SIDE * SIDE / 1e6  # MB of a frame as Pillow holds it, the largest form that it takes
HELD = FRAME * (LONG - SHORT)  # more memory that the long clip would take if its frames were held
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from policy.clips import VideoKind
from workers.clip_files import frames_of, marked_clip
from workers.finishing import quantised
from workers.marking import Marking
from workers.video_files import Film, write_video

what, count, side, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
marking = Marking(shot_key="a" * 64, stack_id="b" * 64)

def megabytes(name):
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name)]
    return int(line.split()[1]) / 1024

def moving(count):
    ramp = (np.arange(side) // 16 * 16).astype(np.uint8)
    made = np.empty((count, side, side, 3), np.uint8)
    for number in range(count):
        made[number] = np.roll(ramp, number)[None, :, None]
    return made

def film(frames):
    return Film(clip=marked_clip(frames, marking, fps=24), frames=len(frames), fps=24, marking=marking)

WORK = {
    "encode": (lambda frames: frames, lambda frames: marked_clip(frames, marking, fps=24)),
    "decode": (lambda frames: marked_clip(frames, marking, fps=24), lambda clip: sum(1 for _ in frames_of(clip))),
    "mp4": (film, lambda made: write_video(folder / "clip.mp4", VideoKind.MP4, made)),
    "webm": (film, lambda made: write_video(folder / "clip.webm", VideoKind.WEBM, made)),
}
prepare, work = WORK[what]
work(prepare(moving(12)))  # what is loaded the first time
prepared = prepare(moving(count))
Path("/proc/self/clear_refs").write_text("5")  # the highest so far is what it is now
before = megabytes("VmRSS")
work(prepared)
print(megabytes("VmHWM") - before)
"""


def grown(what: str, count: int, folder: Path) -> float:
    """Megabytes that a piece of work on so many frames takes at its highest, in a process of its own."""
    arguments = [what, str(count), str(SIDE), str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells how high memory was")
@pytest.mark.parametrize("what", ["encode", "decode", "mp4", "webm"])
def test_a_longer_clip_takes_no_more_memory_to_work_on(tmp_path: Path, what: str):
    assert grown(what, LONG, tmp_path) - grown(what, SHORT, tmp_path) < HELD / 4
