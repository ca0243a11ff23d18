"""Eight drivers at one job, each a process with a worker of its own, on one PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House, open_house
from flows.judging import judge_job
from flows.rendering import job_of
from flows.settings import Settings
from flows.workshop import staff_workshop
from registry.records import JobState
from tests.integration.flows.jobs.night import assert_each_shot_done_once, submit, takes_of, write_order
from tests.integration.flows.near import near_station
from tests.integration.registry.conftest import postgresql  # noqa: F401 - a fixture, found by its name here
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE
from workers.pool import PoolOptions, RenderPool

DATABASE = "rightstep_many_drivers"
DRIVERS, SHOTS = 8, 320


def settings_of(home: Path, url: str, owner_url: str | None = None) -> Settings:
    return Settings(home=home, database_url=url, database_owner_url=owner_url, renderer="synthetic")


def drive_a_share(home: Path, url: str, job_id: str) -> tuple[str, int]:
    """What a driver's process does: lease, render, settle, until nothing is to be had; who it was, and how many."""
    house = open_house(settings_of(home, url))
    try:
        station = near_station(house)
        pool = RenderPool(
            PoolOptions(workers=1, make_bench=lambda: station.bench),
            open_station=lambda _make, _cpus, _gpus: station,
        )
        pool.start()
        made = 0
        with staff_workshop(house, job_id, pool) as workshop:
            while (chunk := workshop.lease()) is not None:
                made += workshop.render(chunk.lease).done
            return workshop.holder, made
    finally:
        house.engine.dispose()


@pytest.fixture
def house(tmp_path: Path, postgresql: Server) -> Iterator[House]:  # noqa: F811 - the fixture of that name
    postgresql.run(f"CREATE DATABASE {DATABASE}")
    opened = open_house(
        settings_of(tmp_path / "home", postgresql.url(DATABASE, APP_ROLE), postgresql.url(DATABASE))
    )
    yield opened
    opened.engine.dispose()
    postgresql.run(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.mark.slow
@pytest.mark.postgres
def test_eight_drivers_of_one_job_lose_no_shot_and_make_none_twice(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS, shots={"steps": 1, "method": "emoji-64-full"}))
    asked = (house.settings.home, house.settings.app_url, job.job_id)
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(DRIVERS, mp_context=context) as processes:
        drivers = [processes.submit(drive_a_share, *asked) for _ in range(DRIVERS)]
        shares = dict(driver.result() for driver in drivers)

    assert sum(shares.values()) == SHOTS, "what a driver says it made was counted for it"
    assert sum(made > 0 for made in shares.values()) > 1, "more than one of them had a part in it"
    assert_each_shot_done_once(house, job.job_id)
    assert {take.attempt for take in takes_of(house, job.job_id)} == {1}, "nothing was tried twice"
    judge_job(house, job.job_id)
    assert job_of(house, job.job_id).state is JobState.FINISHED
    assert audit_check(house).ok
