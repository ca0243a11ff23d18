"""Frames of a stream made ahead of whoever takes them: as late as may be, and never lost."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, led_key, stream_frame_key, stream_key
from policy.errors import RenderFault, WrongUse
from policy.streams import StreamSettings
from tests.factories import make_scheduler
from tests.unit.workers.batches import make_load, no_faults, pinned_digests
from tests.unit.workers.causal.tiny_wan import settings
from workers.frames_ahead import FramesAhead
from workers.live_bench import LiveBench
from workers.renderer import RendererKind, RenderOptions
from workers.synthetic_live import SyntheticRollouts
from workers.workbench import BenchOptions

FIRST, CHUNK = 9, 12  # frames of three latent frames: one and eight, and four each after that
FOX = CanvasControls(prompt="a fox", seed=7, strength=1.0, steps=4)
OWL, BEE = replace(FOX, prompt="an owl"), replace(FOX, prompt="a bee")


def load_of(stream: StreamSettings | None = None, fps: float = 16.0) -> CanvasLoad:
    return CanvasLoad(
        load=make_load(),
        preset="causal",
        preset_version=1,
        scheduler=make_scheduler(),
        schedules=(),
        steps=(4,),
        default_steps=4,
        guidance=(),
        call=(),
        width=64,
        height=32,
        fps=fps,
        media_type="image/png",
        stream=stream or settings(),
        runtime=(),
    )


class Rollouts(SyntheticRollouts):
    """Counts the chunks that were begun, and makes one only when it may."""

    def __init__(self) -> None:
        super().__init__(RenderOptions(kind=RendererKind.SYNTHETIC))
        self.begun = 0
        self.seeds: list[int] = []
        self.may = threading.Semaphore(1000)

    def begin(self, load, controls, seed):
        self.seeds.append(seed)
        made = super().begin(load, controls, seed)
        inner = made.next_chunk

        def next_chunk() -> Iterator[np.ndarray]:
            self.may.acquire()
            self.begun += 1
            return inner()

        made.next_chunk = next_chunk
        return made


def nothing(_pixels: np.ndarray, _key: str) -> bytes:
    return b""


@pytest.fixture
def rollouts() -> Rollouts:
    return Rollouts()


@pytest.fixture
def begin(rollouts):
    """Frames of a session, ended with the test."""
    opened: list[FramesAhead] = []

    def begin(load: CanvasLoad, controls: CanvasControls = FOX) -> FramesAhead:
        opened.append(FramesAhead(rollouts, load, lambda pixels, key: key.encode() + pixels.tobytes()))
        opened[-1].tell(controls, 1)
        return opened[-1]

    yield begin
    for frames in opened:
        frames.close()


def keys(frames: list[CanvasFrame]) -> list[str]:
    return [frame.body[:64].decode() for frame in frames]


def test_frames_come_in_order_each_with_a_key_of_its_own(begin):
    load = load_of()
    frames, first = begin(load), stream_key(load.run, FOX, 0)
    found = [frames.next() for _ in range(FIRST + CHUNK)]
    assert keys(found) == [stream_frame_key(first, number) for number in range(FIRST + CHUNK)]
    assert {frame.told for frame in found} == {1}


def test_a_chunk_is_begun_when_little_of_the_last_one_waits_and_not_before(begin, rollouts):
    frames = begin(load_of())
    for _ in range(FIRST - 2):
        frames.next()
    assert rollouts.begun == 1
    for _ in range(2):  # one left: the next one is due
        frames.next()
    frames.next()
    assert rollouts.begun == 2


def test_whoever_takes_no_frames_bounds_what_is_made(begin, rollouts):
    load = load_of(fps=1e6)  # any wait is short of a chunk's time: begun as early as may be
    frames = begin(load)
    for taken in range(100):
        assert taken + len(frames._ready) <= FIRST + CHUNK * rollouts.begun
        assert len(frames._ready) <= 2 * CHUNK
        frames.next()
    assert FIRST + CHUNK * (rollouts.begun - 2) <= 100 + CHUNK


def test_other_words_lead_from_the_next_chunk_and_their_frames_say_so(begin, rollouts):
    load = load_of()
    frames = begin(load)
    found = [frames.next()]
    frames.tell(OWL, 2)
    frames.tell(BEE, 3)
    found += [frames.next() for _ in range(FIRST + CHUNK - 1)]
    assert [frame.told for frame in found] == [1] * FIRST + [3] * CHUNK
    begun = stream_key(load.run, FOX, 0)
    assert keys(found)[FIRST] == stream_frame_key(led_key(begun, FIRST, "a bee"), FIRST)
    assert rollouts.seeds == [7]


def test_another_seed_is_another_stream_from_the_next_chunk(begin, rollouts):
    load, other = load_of(), replace(FOX, seed=8)
    frames = begin(load)
    found = [frames.next()]
    frames.tell(other, 2)
    found += [frames.next() for _ in range(2 * FIRST - 1)]  # a first chunk again
    assert keys(found)[FIRST:] == [stream_frame_key(stream_key(load.run, other, 0), n) for n in range(FIRST)]
    assert rollouts.seeds == [7, 8]


def test_a_method_with_an_end_begins_again_by_the_next_seed(begin, rollouts):
    load = load_of(settings(longest=21))
    frames = begin(load)
    found = [frames.next() for _ in range(2 * 21)]
    again = stream_key(load.run, FOX, 1)
    assert keys(found)[21:] == [stream_frame_key(again, number) for number in range(21)]
    assert len(set(keys(found))) == 2 * 21
    assert rollouts.seeds[:2] == [7, 8]


def test_what_breaks_the_making_is_raised_where_frames_are_asked_for_after_those_that_were_made(begin):
    class Broken(Rollouts):
        def begin(self, load, controls, seed):
            made = super().begin(load, controls, seed)
            whole, inner = iter([True]), made.next_chunk

            def next_chunk() -> Iterator[np.ndarray]:
                if not next(whole, False):
                    raise ValueError("the card fell off")
                return inner()

            made.next_chunk = next_chunk
            return made

    frames = FramesAhead(Broken(), load_of(), nothing)
    frames.tell(FOX, 1)
    for _ in range(FIRST):
        frames.next()
    with pytest.raises(ValueError, match="fell off"):
        frames.next()
    frames.close()


def test_who_waits_for_a_frame_when_the_session_ends_is_told(rollouts):
    rollouts.may = threading.Semaphore(0)
    frames = FramesAhead(rollouts, load_of(), nothing)
    frames.tell(FOX, 1)
    told: list[Exception] = []

    def wait() -> None:
        try:
            frames.next()
        except RenderFault as fault:
            told.append(fault)

    waiting = threading.Thread(target=wait)
    waiting.start()
    threading.Timer(0.05, rollouts.may.release).start()
    frames.close()
    waiting.join(60)
    assert [fault.message for fault in told] in ([], ["This session is over."])
    assert not waiting.is_alive()


# The bench of it


@pytest.fixture
def bench() -> Iterator[LiveBench]:
    options = RenderOptions(kind=RendererKind.SYNTHETIC)
    made = LiveBench(BenchOptions(store=None, verify=no_faults, digests=pinned_digests, render=options))
    yield made
    made.rest()


def test_a_session_streams_on_the_bench_that_draws_and_leaves_no_thread(bench):
    before = threading.active_count()
    bench.open(load_of())
    bodies = [bench.frame(FOX if not number else None).body for number in range(30)]
    assert len(set(bodies)) == 30
    assert threading.active_count() == before + 1
    bench.rest()
    assert threading.active_count() == before


def test_a_stream_takes_no_sketch_and_no_strength(bench):
    bench.open(load_of())
    for wrong in (replace(FOX, strength=0.5), replace(FOX, sketch=bytes(64 * 32 * 3))):
        with pytest.raises(WrongUse, match="words alone"):
            bench.frame(wrong)
    with pytest.raises(WrongUse, match="4 steps"):
        bench.frame(replace(FOX, steps=2))
    assert bench.frame(FOX).told == 1


def test_sessions_follow_each_other_on_one_bench(bench):
    for seed in itertools.islice(itertools.count(), 3):
        bench.open(load_of())
        assert bench.frame(replace(FOX, seed=seed)).told == 1
