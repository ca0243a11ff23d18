"""What a driver writes into the log: every chunk that was settled and every shot that failed, with their ids.

Workers write nothing: whatever they did comes back to their driver, which says who did it. So one
file has it all, on however many machines they are.
"""

import logging
from collections.abc import Sequence

from flows.logs import ROOT
from policy.tasks import BatchResult
from registry.records import LeasedChunk, SettledChunk

log = logging.getLogger(f"{ROOT}.night")


def note_settled(
    job_id: str, chunk: LeasedChunk, results: Sequence[BatchResult], settled: SettledChunk
) -> None:
    """A line for the chunk, and one for each of its shots that failed."""
    log.info(
        "chunk.settled",
        extra={
            "job": job_id,
            "lease": chunk.lease,
            "workers": sorted({one.worker for one in results if one.worker}),
            "batches": [batch.number for batch in chunk.batches],
            "shots": [shot.name for batch in chunk.batches for shot in batch.shots if not shot.is_settled],
            "done": settled.done,
            "failed": settled.failed,
            "late": settled.late,
            "seconds": round(sum(one.total_seconds for one in results), 3),
        },
    )
    names = {shot.take_id: shot.name for batch in chunk.batches for shot in batch.shots}
    for result in results:
        for take in result.takes:
            if take.fault is not None:
                log.warning(
                    "shot.failed",
                    extra={
                        "job": job_id,
                        "shot": names[take.take_id],
                        "take": take.take_id,
                        "worker": result.worker,
                        "fault": take.fault.value,
                        "detail": take.detail,
                    },
                )
