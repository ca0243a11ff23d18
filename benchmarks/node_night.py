"""``python -m benchmarks.node_night``: a night on a Ray that others run, driven from a machine of its own.

What happens to the Ray meanwhile is up to whoever starts it; it says as JSON what became of the job.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from benchmarks.batch_efficiency import drive
from benchmarks.night import night_manifest, one_by_one, plan_of
from flows.bootstrap import open_house
from flows.judging import judge_job
from flows.settings import Settings
from flows.submitting import submit_plan
from flows.workshop import open_workshop
from policy.tasks import TakeState
from registry.unit_of_work import unit_of_work


def main() -> None:
    """Order, render and judge; one JSON object on stdout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node_night", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--ray", required=True, help="address")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="that an item sleeps")
    parser.add_argument("--start-seconds", type=float, default=60.0, help="until a worker is given up")
    parser.add_argument("--lease", type=float, default=60.0, help="seconds")
    told = parser.parse_args()
    house = open_house(
        Settings(
            home=told.home,
            renderer="synthetic",
            synthetic_seconds_per_step=told.seconds,
            workers=told.workers,
            ray_address=told.ray,
            lease_seconds=told.lease,
            worker_start_seconds=told.start_seconds,
            actor="benchmark",
        )
    )
    plan = plan_of(house, night_manifest(told.items), steps=1, method="emoji-64-full")
    job = submit_plan(house, one_by_one(plan))
    with open_workshop(house, job.job_id, lambda _stage: None) as workshop:
        drive(workshop)
    state = judge_job(house, job.job_id)
    with unit_of_work(house.engine, read_only=True) as work:
        takes = work.ledger.takes(job.job_id)
    done = [take for take in takes if take.state is TakeState.DONE]
    machines = Counter(str(take.worker).partition(":")[0] for take in done)
    settled = [take.settled_at.timestamp() for take in done if take.settled_at is not None]
    failed = [take for take in takes if take.state is TakeState.FAILED]
    facts = {
        "job": job.job_id,
        "state": state.value,
        "done": len(done),
        "shots": len({take.shot for take in done}),
        "failed_at": [take.settled_at.timestamp() for take in failed if take.settled_at is not None],
        "machines": dict(machines),
        "steady": (len(settled) - sum(at == min(settled) for at in settled)) / (max(settled) - min(settled)),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
