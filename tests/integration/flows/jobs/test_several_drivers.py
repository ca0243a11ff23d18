"""Several drivers at one job at once, in this very process: leases decide, whatever their clocks and fates."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flows.bootstrap import House, now_utc
from flows.judging import judge_job
from flows.rendering import job_of
from flows.workshop import reclaim_dead_leases
from policy.tasks import TakeState
from registry.records import JobState
from tests.integration.flows.crews import Crew, makes_all
from tests.integration.flows.jobs.night import assert_each_shot_done_once, submit, takes_of, write_order
from tests.integration.registry.conftest import postgresql  # noqa: F401 - a fixture, found by its name here
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE

MakeHouse = Callable[..., House]
SHOTS = 480
AN_HOUR = timedelta(hours=1)


def off_by(wrong: timedelta) -> Callable[[], datetime]:
    return lambda: now_utc() + wrong


@pytest.fixture
def house(make_lone_house: MakeHouse) -> House:
    return make_lone_house()


@pytest.fixture
def shared_house(
    make_lone_house: MakeHouse,
    postgresql: Server,  # noqa: F811 - the fixture of that name
) -> Iterator[House]:
    """Its ledger is a server with a clock of its own, as drivers on several machines have it."""
    postgresql.run("CREATE DATABASE rightstep_drivers")
    url = postgresql.url("rightstep_drivers")
    yield make_lone_house(database_url=postgresql.url("rightstep_drivers", APP_ROLE), database_owner_url=url)
    postgresql.run("DROP DATABASE rightstep_drivers WITH (FORCE)")


def drivers_of(house: House, job_id: str, *clocks: timedelta) -> list[Crew]:
    """A driver of two workers for each clock, and how far it is off."""
    crews: list[Crew] = []
    for number, wrong in enumerate(clocks):
        crew = Crew(replace(house, clock=off_by(wrong)), job_id, makes_all, makes_all)
        crew.workshop.holder = f"machine-{number}:1:1"  # not this process, which lives on
        crews.append(crew)
    return crews


def holders(house: House, job_id: str) -> Counter[str]:
    """How many batches of a job each driver made."""
    with house.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT holder FROM batch_runs WHERE job_id = '{job_id}'")
        return Counter(holder for (holder,) in rows)


def test_two_drivers_share_a_job_and_each_shot_is_made_by_one_of_them(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS))
    crews = drivers_of(house, job.job_id, timedelta(0), timedelta(0))
    for crew in crews:
        crew.start()
    for crew in crews:
        crew.join()
    judge_job(house, job.job_id)
    assert job_of(house, job.job_id).state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    takes = Counter(take.state for take in takes_of(house, job.job_id))
    assert takes == {TakeState.DONE: SHOTS}, "and not one of them was tried twice"
    assert set(holders(house, job.job_id)) == {"machine-0:1:1", "machine-1:1:1"}


def test_what_a_driver_that_vanished_held_goes_to_the_other_when_its_lease_is_over(
    house: House, tmp_path: Path
):
    job = submit(house, write_order(tmp_path, SHOTS))
    gone, other = drivers_of(house, job.job_id, timedelta(0), timedelta(0))
    held = gone.workshop.lease()
    assert held is not None
    ours = other.workshop.lease()
    assert ours is not None
    assert not {batch.number for batch in ours.batches} & {batch.number for batch in held.batches}
    other.workshop.release_all()
    seconds = house.settings.lease_seconds + 1
    (later,) = drivers_of(house, job.job_id, timedelta(seconds=seconds))
    ended = later.render()
    assert ended.state is JobState.FINISHED
    settled = gone.workshop.render(held.lease)
    assert (settled.done, settled.late) == (0, sum(len(batch.shots) for batch in held.batches))
    assert_each_shot_done_once(house, job.job_id)


@pytest.mark.parametrize("wrong", [AN_HOUR, -AN_HOUR], ids=["an hour fast", "an hour slow"])
def test_a_driver_whose_clock_is_wrong_costs_no_shot_and_doubles_none(
    house: House, tmp_path: Path, wrong: timedelta
):
    """On a ledger without a clock it may take over what another is rendering: work is lost, and no picture."""
    job = submit(house, write_order(tmp_path, SHOTS))
    right, off = drivers_of(house, job.job_id, timedelta(0), wrong)
    for crew in (right, off):
        crew.start()
    for crew in (right, off):
        crew.join()
    judge_job(house, job.job_id)
    assert job_of(house, job.job_id).state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)


@pytest.mark.postgres
@pytest.mark.parametrize("wrong", [AN_HOUR, -AN_HOUR], ids=["an hour fast", "an hour slow"])
def test_where_the_ledger_has_a_clock_a_wrong_one_takes_nothing_from_anybody(
    shared_house: House, tmp_path: Path, wrong: timedelta
):
    house = shared_house
    job = submit(house, write_order(tmp_path, SHOTS))
    right, off = drivers_of(house, job.job_id, timedelta(0), wrong)
    first, second = right.workshop.lease(), off.workshop.lease()
    assert first is not None
    assert second is not None
    assert reclaim_dead_leases(off.workshop.house) == 0
    third = right.workshop.lease()
    assert third is not None
    numbers = [batch.number for chunk in (first, second, third) for batch in chunk.batches]
    assert len(numbers) == len(set(numbers)), "nobody was handed what another holds"
    for crew in (right, off):
        crew.workshop.renew()
    for workshop, chunk in ((right.workshop, first), (off.workshop, second), (right.workshop, third)):
        assert workshop.render(chunk.lease).late == 0
    right.workshop.release_all()
    assert off.render().state is JobState.FINISHED
    assert {take.state for take in takes_of(house, job.job_id)} == {TakeState.DONE}
