"""What does a live session add to its first frame and to each one after it, and are frames on time?"""

import time
from dataclasses import replace
from itertools import pairwise

from benchmarks.live_client import live_session
from benchmarks.measurement import Measurement, at_most, median, plain, timed
from benchmarks.served_pictures import MODEL, Server, rightstep_server
from flows.live import LiveOrder, PlannedLive, planned_live
from flows.workshop import bench_options
from policy.canvas import CanvasControls
from policy.costs import quantile
from workers.live_bench import LiveBench

SESSIONS, FRAMES, PACED, SLOW_FRAMES = 20, 200, 300, 60
FPS, SLOW_FPS = 15, 5
STEP_SECONDS = 0.011  # of the synthetic renderer; a frame runs three: it is able to do 30 a second
SETTINGS = {
    "RIGHTSTEP_RENDERER": "synthetic",
    "RIGHTSTEP_SYNTHETIC_SECONDS_PER_STEP": str(STEP_SECONDS),
    "RIGHTSTEP_LIVE_FPS": "120",
}


def measure() -> Measurement:
    """Sessions through `rightstep serve`, beside the same bench in this process with nothing around it."""
    with rightstep_server(**SETTINGS) as server:
        bare = _bare(server)
        first = [_session(server, 1, 120)[0] for _ in range(SESSIONS + 1)][1:]  # the first one of all loads
        arrivals = _session(server, FRAMES, 120)[1]
        frames = [after - before for before, after in pairwise(arrivals)]
        arrivals = _session(server, PACED, FPS)[1]
        ages = _ages(server)
    frame = median(bare)
    late = [when - arrivals[0] - number / FPS > 0.5 / FPS for number, when in enumerate(arrivals)]
    gaps = [after - before for before, after in pairwise(arrivals)]
    jitter = quantile(gaps, 0.95) - median(gaps)
    added = [seconds - frame for seconds in first]
    return Measurement(
        question="What does a live session add to each frame, and are frames on time?",
        figures=(
            at_most(
                "P17", "first frame: host time beside the bare frame (p50)", median(added) * 1000, 15.0, "ms"
            ),
            plain("the same (p95)", quantile(added, 0.95) * 1000, "ms"),
            at_most(
                "P18", "each frame: added to the bare frame (p50)", (median(frames) - frame) * 1000, 1.0, "ms"
            ),
            at_most("P19", f"frames late by half a period at {FPS} a second", sum(late) / len(late), 0.01),
            at_most("", "jitter at that pace (p95 - p50 of the gaps)", jitter * 1000, 4.0, "ms"),
            at_most(
                "P20",
                f"age of a frame given to a watcher of {SLOW_FPS} a second (p95)",
                quantile(ages, 0.95),
                1.5,
                "periods",
            ),
            plain("a bare frame (p50)", frame * 1000, "ms"),
        ),
        conditions=(
            f"{MODEL} at tier live, 64 x 64 WebP, one session at a time through `rightstep serve` with Ray, "
            f"SQLite fully synchronised; the renderer is synthetic, 33 ms a frame; {SESSIONS} first "
            f"frames from the open socket, {FRAMES} as fast as they come, {PACED} at {FPS} a second, and "
            f"{SLOW_FRAMES} of those to a watcher who takes {SLOW_FPS} a second and says what it has shown."
        ),
        remark=(
            "The first frame waits for a plan and the gate; it is drawn while its session is put on record. "
            "Each other frame is a call to a Ray actor of its own, which is most of what it adds."
        ),
        rounds={"first": first, "frames": frames, "paced": gaps, "bare": bare, "ages": ages},
    )


def _bare(server: Server) -> list[float]:
    """Seconds of frames of the same bench, called in a loop."""
    assert server.house is not None
    settings = server.house.settings.model_copy(
        update={"renderer": "synthetic", "synthetic_seconds_per_step": STEP_SECONDS}
    )
    house = replace(server.house, settings=settings)
    planned = planned_live(house, LiveOrder(model=MODEL, prompt="a fox", recipient="bench"))
    assert isinstance(planned, PlannedLive), planned
    bench = LiveBench(bench_options(house, settings.groups[0]))
    bench.open(planned.canvas)
    bench.frame(CanvasControls(prompt="a fox", seed=0, strength=0.75, steps=4))
    return [timed(lambda: bench.frame(None)) for _ in range(FRAMES)]


def _session(server: Server, frames: int, fps: float) -> tuple[float, list[float]]:
    """Seconds from `begin` to the first frame, and when each of so many frames arrived."""
    with live_session(server, model=MODEL, fps=fps) as client:
        arrivals = [client.frame()[0] for _ in range(frames)]
        client.end()
    return arrivals[0] - client.began, arrivals


def _ages(server: Server) -> list[float]:
    """Periods of age of each frame that a slow watcher is given, who says what it has shown.

    A frame is as old as what has gone by since it was begun, beyond what the first one took.
    """
    ages: list[float] = []
    with live_session(server, model=MODEL, fps=FPS) as client:
        first, frame = client.frame()
        for _ in range(SLOW_FRAMES):
            client.say("shown", frame=frame.number)
            arrived, frame = client.frame()
            ages.append((arrived - first - frame.pts / 1000) * FPS)
            time.sleep(1 / SLOW_FPS)
        client.end()
    return ages
