"""The chain of what a session delivered: every frame counts, in its place, and none can be exchanged."""

from dataclasses import replace

import pytest

from policy.segments import GENESIS, Segment, SegmentChain, broken_at


def sha(number: int) -> str:
    return f"{number:064x}"


def chain_of(frames: int, **limits: float) -> tuple[SegmentChain, list[Segment]]:
    chain = SegmentChain(**limits)
    made = [full for number in range(frames) if (full := chain.add(number, sha(number), 10, number / 10))]
    rest = chain.close()
    return chain, [*made, *([rest] if rest else [])]


def test_a_segment_ends_when_it_is_full_or_has_lasted_long_enough():
    assert [len(one.frames) for one in chain_of(25, most_frames=10)[1]] == [10, 10, 5]
    assert [len(one.frames) for one in chain_of(25, most_seconds=1.0)[1]] == [11, 11, 3]


def test_the_last_hash_vouches_for_everything_before_it():
    chain, segments = chain_of(25, most_frames=10)
    assert broken_at(segments) is None
    assert (segments[0].previous, chain.head) == (GENESIS, segments[-1].hash)
    assert (chain.frames, chain.bytes_sent, chain.segments) == (25, 250, 3)
    assert chain_of(24, most_frames=10)[0].head != chain.head


def test_nothing_delivered_is_no_segment():
    assert chain_of(0) == (SegmentChain(), [])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_whatever_is_changed_shows_where(number: int):
    segments = chain_of(25, most_frames=10)[1]
    frames = segments[number].frames
    for other in (
        ((frames[0][0], sha(99)), *frames[1:]),
        ((7, frames[0][1]), *frames[1:]) if number else ((3, frames[0][1]), *frames[1:]),
        (frames[1], frames[0], *frames[2:]),
        frames[1:],
    ):
        changed = [*segments[:number], replace(segments[number], frames=other), *segments[number + 1 :]]
        assert broken_at(changed) == number


def test_a_segment_that_is_missing_shows():
    segments = chain_of(25, most_frames=10)[1]
    assert broken_at([segments[0], segments[2]]) == 1
    assert broken_at(segments[1:]) == 0
