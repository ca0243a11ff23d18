"""What does it cost to go on with a job of 10,000 pictures of which 99 % are made?"""

import time
from collections import Counter

from benchmarks.batch_efficiency import drive
from benchmarks.measurement import Figure, Measurement, at_most, median, plain
from benchmarks.night import night_manifest, plan_of, temporary_house
from benchmarks.scheduling import IdleBench
from flows.bootstrap import House
from flows.submitting import submit_plan
from flows.workshop import Workshop, reclaim_dead_leases
from policy.gates import licence_gate
from policy.tasks import BatchResult, RenderTask, TakeState
from registry.records import LeasedChunk
from registry.unit_of_work import unit_of_work

SHOTS, OPEN, ROUNDS = 10_000, 100, 3


class DirectPool:
    """A pool without processes: what is measured is the plan, the gate and the ledger."""

    is_cancelled = False
    is_drained = False

    def run_chunk(self, tasks: list[RenderTask], forecast: object = None) -> list[BatchResult]:
        del forecast  # of several devices; here is none
        return list(IdleBench().run(tasks))


def measure() -> Measurement:
    """Submit, make 99 %, then take the job up again: until the first open chunk is leased."""
    submits, resumes, repeats = [], [], 0
    for number in range(ROUNDS):
        with temporary_house(workers=1, renderer="synthetic") as house:
            manifest = night_manifest(SHOTS, first_seed=number * SHOTS)
            start = time.perf_counter()
            plan = plan_of(house, manifest, steps=1, method="emoji-64-full")
            licence_gate(plan)
            job = submit_plan(house, plan)
            submits.append(time.perf_counter() - start)
            _make_most(house, job.job_id)
            start = time.perf_counter()
            workshop, chunk = _take_up(house, job.job_id)
            resumes.append(time.perf_counter() - start)
            workshop.render(chunk.lease)
            drive(workshop)
            repeats += _repeats(house, job.job_id)
    return Measurement(
        question="What does it cost to go on with a job of 10,000 pictures of which 99 % are made?",
        figures=(
            at_most("P8", "resuming / submitting", median(resumes) / median(submits), 0.05),
            Figure(
                id="P8",
                name="pictures made twice",
                value=repeats,
                unit="pictures",
                target="= 0",
                met=repeats == 0,
            ),
            plain("submitting: plan, gate, ledger", median(submits), "s"),
            plain(
                "resuming: reclaim, read the plan, lease the first open chunk", median(resumes) * 1000, "ms"
            ),
        ),
        conditions=f"{SHOTS:,} pictures, {OPEN} open, SQLite; median of {ROUNDS} rounds; no worker process.",
        rounds={"submit_seconds": submits, "resume_seconds": resumes},
    )


def _make_most(house: House, job_id: str) -> None:
    workshop = Workshop(house, job_id, DirectPool())  # type: ignore[arg-type]  # its one used method
    made = 0
    while made < SHOTS - OPEN:
        chunk = workshop.lease()
        if chunk is None:
            raise RuntimeError("The benchmark's job ended early.")
        made += sum(len(batch.shots) for batch in chunk.batches)
        workshop.render(chunk.lease)


def _take_up(house: House, job_id: str) -> tuple[Workshop, LeasedChunk]:
    reclaim_dead_leases(house)
    workshop = Workshop(house, job_id, DirectPool())  # type: ignore[arg-type]
    chunk = workshop.lease()
    if chunk is None:
        raise RuntimeError("Nothing is left to resume.")
    return workshop, chunk


def _repeats(house: House, job_id: str) -> int:
    with unit_of_work(house.engine, read_only=True) as work:
        takes = work.ledger.takes(job_id)
    made = Counter(take.ordinal for take in takes if take.state is TakeState.DONE)
    if len(made) != SHOTS:
        raise RuntimeError(f"{SHOTS - len(made)} pictures were lost.")
    return sum(count - 1 for count in made.values())
