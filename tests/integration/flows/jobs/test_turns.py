"""Two jobs and one fleet, for real: drivers in processes of their own take turns on the standing workers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.rendering import job_of
from policy.tasks import TakeState
from policy.tiers import ServiceTier
from registry.records import JobRecord, JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import (
    PATIENCE,
    assert_each_shot_done_once,
    done_per_shot,
    start_command,
    submit,
    takes_of,
    wait_for_done,
    wait_until,
    write_order,
)

MakeHouse = Callable[..., House]
ALL_OF_RAY = 4  # the workers of one driver leave no place for another's


def settled(house: House, job_id: str) -> list[float]:
    """When each picture of a job was settled."""
    done = (take for take in takes_of(house, job_id) if take.state is TakeState.DONE)
    return sorted(take.settled_at.timestamp() for take in done if take.settled_at is not None)


def state_of(house: House, job: JobRecord) -> JobState:
    return job_of(house, job.job_id).state


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_interactive_job_goes_before_the_rest_of_a_night_and_the_night_goes_on(
    make_house: MakeHouse, tmp_path: Path
):
    house = make_house(workers=ALL_OF_RAY, synthetic_seconds_per_step=0.05)
    night = submit(house, write_order(tmp_path, 8000, shots={"steps": 25}))  # longer than anybody waits here
    quick = submit(
        house,
        write_order(tmp_path, 4, name="now", shots={"prompt": "a flat dolphin"}),
        tier=ServiceTier.INTERACTIVE,
    )
    drivers = [start_command(house, "job", "resume", night.job_id)]
    try:
        wait_for_done(house, night.job_id, 8)
        drivers.append(start_command(house, "job", "resume", quick.job_id))
        wait_until("the interactive job is finished", lambda: state_of(house, quick) is JobState.FINISHED)
        made = job_of(house, night.job_id).counts.done
        wait_for_done(house, night.job_id, made + 8)  # it has the workers again
    finally:
        with unit_of_work(house.engine) as work:
            work.ledger.cancel(night.job_id, actor="tester", now=house.clock())
            work.commit()
        for driver in drivers:
            driver.communicate(timeout=PATIENCE)

    assert_each_shot_done_once(house, quick.job_id)
    assert set(done_per_shot(house, night.job_id).values()) == {1}
    of_night, of_quick = settled(house, night.job_id), settled(house, quick.job_id)
    assert of_night[0] < of_quick[0]
    between = [at for at in of_night if of_quick[0] <= at <= of_quick[-1]]
    assert between == [], "nobody else rendered while the interactive job had the workers"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_batch_makes_room_at_its_next_step_and_goes_on_from_there(
    make_house: MakeHouse, tmp_path: Path
):
    # A batch of forty steps takes forty seconds: the other driver stands before it is over.
    house = make_house(workers=1, synthetic_seconds_per_step=1.0)
    long = {"steps": 40, "method": "emoji-64-full"}
    night = submit(house, write_order(tmp_path, 8, shots=long))
    quick = submit(
        house,
        write_order(tmp_path, 1, name="now", shots={"prompt": "a flat dolphin", "steps": 4}),
        tier=ServiceTier.INTERACTIVE,
    )
    aside = house.settings.home / "snapshots"
    drivers = [start_command(house, "job", "resume", night.job_id)]
    try:
        wait_until("the night is at a batch", lambda: job_of(house, night.job_id).counts.leased > 0)
        drivers.append(start_command(house, "job", "resume", quick.job_id))
        wait_until("the batch is set aside", lambda: list(aside.glob("*.snapshot")))
        assert job_of(house, night.job_id).counts.done == 0
        wait_until("the interactive job is finished", lambda: state_of(house, quick) is JobState.FINISHED)
        wait_until("the night is finished", lambda: state_of(house, night) is JobState.FINISHED)
    finally:
        for driver in drivers:
            driver.communicate(timeout=PATIENCE)

    assert_each_shot_done_once(house, night.job_id)
    assert settled(house, quick.job_id)[-1] < settled(house, night.job_id)[0]
    assert list(aside.glob("*")) == [], "who went on with it began where it stood"
    assert job_of(house, night.job_id).counts.failed_takes == 0, "nobody is to blame"
