"""A thousand jobs in one ledger: what a look, a lease and the choice of the next job cost beside ten."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.farm_job import house_at, pick_seconds
from benchmarks.measurement import median, timed
from benchmarks.night import night_manifest, plan_of
from flows.bootstrap import House
from flows.rendering import list_jobs
from flows.standing_work import count_work
from flows.submitting import submit_plan
from policy.queue_views import Served
from policy.tiers import ServiceTier
from policy.turns import Contender, next_turn
from registry.records import TurnKey
from registry.unit_of_work import unit_of_work

SHOTS, ASKED, PAGE = 16, 9, 10
FLEET = "farm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """Seconds with so many unfinished jobs in the ledger."""

    jobs: int
    lease: float  # of one chunk of one of them
    listing: float  # the newest ten, with their counts
    counting: float  # jobs by state and open shots, as /metrics has it
    choice: float  # of the next job, where a driver of every one of them asks for the fleet


def queue_of(jobs: int) -> Queue:
    """Fill a house and ask."""
    with TemporaryDirectory(prefix="rsb-") as folder, house_at(Path(folder)) as house:
        ids = list(_submitted(house, jobs))
        with unit_of_work(house.engine) as work:
            until = house.clock() + timedelta(hours=1)
            for number, job_id in enumerate(ids):
                key = TurnKey(fleet=FLEET, job_id=job_id, holder=f"driver:{number}")
                work.ledger.ask_turn(key, picture_seconds=(0.5, 0.8), expires_at=until)
            work.commit()
        return Queue(
            jobs=jobs,
            lease=pick_seconds(house, ids[jobs // 2]),
            listing=median([timed(lambda: list_jobs(house, PAGE)) for _ in range(ASKED)]),
            counting=median([timed(lambda: count_work(house)) for _ in range(ASKED)]),
            choice=median([timed(lambda: _choose(house)) for _ in range(ASKED)]),
        )


def _submitted(house: House, jobs: int) -> Iterator[str]:
    """One plan under many names: as many jobs."""
    plan = plan_of(house, night_manifest(SHOTS), steps=1, method="emoji-64-full")
    for number in range(jobs):
        named = replace(plan, manifest=replace(plan.manifest, name=f"job {number}"))
        yield submit_plan(house, named).job_id


def _choose(house: House) -> None:
    """As a driver that waits looks: the queue from the ledger, then the rules over it."""
    now = house.clock()
    with unit_of_work(house.engine, read_only=True) as work:
        found = work.ledger.turns(FLEET, now)
    contenders = [
        Contender(
            turn_id=one.key.holder,
            tier=ServiceTier(one.tier),
            owner=one.owner,
            submitted=one.submitted_at.timestamp(),
            deadline=None,
            pictures=one.queued,
            picture_p50=one.picture_p50,
            picture_p95=one.picture_p95,
            has_fleet=False,
            priority=one.priority,
        )
        for one in found
    ]
    if next_turn(contenders, Served(tiers=(), owners=(), late=0.0), now.timestamp(), 8.0) is None:
        raise RuntimeError("Nobody was next.")
