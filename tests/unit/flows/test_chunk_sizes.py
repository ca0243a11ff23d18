"""How large a chunk is: whole ones while there is plenty, shares near the end, never nothing."""

from dataclasses import replace

import pytest

from flows.chunk_sizes import CHUNK_SECONDS, LARGEST_CHUNK, SHORTEST_SECONDS, ChunkSizes
from policy.plan import Decision
from policy.tasks import FaultKind
from registry.records import LeasedBatch, LeasedChunk
from tests.factories import NOW, make_batch_result, make_execution_plan, make_take_result

DECISION = make_execution_plan().decisions[0]
CREW = 4
PLENTY = 1_000_000


def taking(seconds: float) -> Decision:
    """A decision whose batches take so long."""
    return replace(DECISION, seconds_p50=seconds / DECISION.batch_size)


def chunk_of(*decisions: int) -> LeasedChunk:
    batches = tuple(
        LeasedBatch(
            task_id=f"job/{number}/1",
            number=number,
            run=1,
            decision=decision,
            width=64,
            height=64,
            frames=1,
            shots=(),
        )
        for number, decision in enumerate(decisions)
    )
    return LeasedChunk(
        job_id="job", lease="lease", holder="here:1:1", stack_id="stack", expires_at=NOW, batches=batches
    )


def test_while_there_is_plenty_a_chunk_is_of_the_length_that_hides_its_cost():
    sizes = ChunkSizes([taking(0.02)], CREW)
    assert sizes.fitting(PLENTY) == sizes.most == round(CHUNK_SECONDS / 0.02)
    assert sizes.fitting(sizes.horizon) == sizes.most


@pytest.mark.parametrize("seconds", [1e-9, 0.001, 0.02, 0.7, 5.0, 600.0])
@pytest.mark.parametrize("queued", [0, 1, 3, 17, 200, PLENTY])
def test_a_chunk_is_never_empty_and_never_beyond_its_bounds(seconds: float, queued: int):
    fitting = ChunkSizes([taking(seconds)], CREW).fitting(queued)
    assert 1 <= fitting <= LARGEST_CHUNK
    assert fitting == 1 or fitting * seconds <= CHUNK_SECONDS + seconds


def test_near_the_end_chunks_shrink_so_that_workers_end_together():
    sizes = ChunkSizes([taking(0.02)], CREW)
    queued, taken = 400, list[int]()
    while queued:
        taken.append(min(queued, sizes.fitting(queued)))
        queued -= taken[-1]
    assert taken == sorted(taken, reverse=True)
    assert taken[0] == sizes.most
    assert taken[-2] == round(SHORTEST_SECONDS / 0.02)


def test_what_was_measured_counts_loading_apart():
    sizes = ChunkSizes([taking(10.0)], CREW)
    assert sizes.fitting(PLENTY) == 1
    sizes.note_rendered(chunk_of(0), [make_batch_result(total_seconds=9.1, load_seconds=9.0)])
    assert sizes.fitting(PLENTY) == round(CHUNK_SECONDS / 0.1)


def test_what_failed_at_once_does_not_pass_for_quick():
    sizes = ChunkSizes([taking(10.0)], CREW)
    failed = make_take_result(fault=FaultKind.WORKER, artefact=None)
    sizes.note_rendered(chunk_of(0), [make_batch_result(total_seconds=0.001, takes=(failed,))])
    assert sizes.fitting(PLENTY) == 1


def test_the_slowest_of_the_last_chunk_sizes_the_next():
    sizes = ChunkSizes([taking(0.02), taking(10.0)], CREW)
    sizes.note_leased(chunk_of(0, 1))
    assert sizes.fitting(PLENTY) == 1
    sizes.note_leased(chunk_of(0))
    assert sizes.fitting(PLENTY) > 1
