"""A whole job with its ledger in PostgreSQL, where migrations and daily work are two different roles."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.recalling import affected
from flows.rendering import render_job
from flows.shipment import ship_job
from registry.records import JobState
from tests.integration.flows.jobs.night import assert_each_shot_done_once, submit, write_order
from tests.integration.registry.conftest import postgresql  # noqa: F401 - a fixture, found by its name here
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE

MakeHouse = Callable[..., House]
DATABASE = "rightstep_house"


@pytest.mark.slow
@pytest.mark.postgres
def test_an_order_is_made_shipped_and_audited_and_made_only_once(
    make_house: MakeHouse,
    tmp_path: Path,
    postgresql: Server,  # noqa: F811 - the fixture of that name
):
    postgresql.run(f"CREATE DATABASE {DATABASE}")
    house = make_house(
        database_url=postgresql.url(DATABASE, APP_ROLE), database_owner_url=postgresql.url(DATABASE)
    )
    order = write_order(tmp_path, 48, tier="interactive", recipients=["editor@studio.example"])
    job = submit(house, order)
    assert submit(house, order).attached

    assert render_job(house, job.job_id).state is JobState.FINISHED

    assert_each_shot_done_once(house, job.job_id)
    shipment = ship_job(house, job.job_id)
    assert len(shipment.items) == 48
    assert len(affected(house, "rightstep/emoji-64-lcm-lora").files) == 48
    again = submit(house, order)
    assert (again.counts.reused, again.counts.open) == (48, 0)
    assert audit_check(house).ok
