"""Shipping and the weekly audit as flows, on a real Prefect server: their states and what they keep there."""

from pathlib import Path
from typing import Any

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.prefect_requests import PrefectApi, ask
from flows.prefect_server import standing_server, use_server
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.conftest import MakeHouse
from tests.integration.flows.jobs.night import write_order
from tests.integration.flows.near import render_near


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house()


@pytest.fixture
def api(house: House) -> PrefectApi:
    server = standing_server(house.settings)
    assert server is not None
    use_server(house.settings.home, server, log_level="CRITICAL")
    return server


def artifacts(api: PrefectApi, key: str) -> list[dict[str, Any]]:
    asked = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
    found: list[dict[str, Any]] = ask(api, "POST", "/artifacts/filter", asked)
    return found


def test_a_job_ships_as_a_flow_and_the_week_is_audited_as_one(house: House, api: PrefectApi, tmp_path: Path):
    from flows.ship import ship
    from flows.weekly_audit import weekly_audit

    job = render_near(house, write_order(tmp_path, 2, tier="interactive"))
    state = ship(job.job_id, ["editor@studio.example"], return_state=True)
    assert state.is_completed(), state.message
    with unit_of_work(house.engine, read_only=True) as work:
        (shipment,) = work.shipments.shipments_of(job.job_id)
    assert shipment.recipients == ("editor@studio.example",)
    assert shipment.shipment_id in artifacts(api, "shipment")[0]["data"]
    assert "editor@studio.example" not in artifacts(api, "shipment")[0]["data"]

    state = weekly_audit(return_state=True)
    assert state.is_completed(), state.message
    assert "Nothing needs a person." in artifacts(api, "weekly-audit")[0]["data"]
    (page,) = (house.settings.home / "reports").glob("audit-*.html")
    assert shipment.shipment_id in page.read_text()


def test_what_may_not_ship_is_a_failed_run_that_says_why(house: House, api: PrefectApi, tmp_path: Path):
    from flows.ship import ship

    job = render_near(house, write_order(tmp_path, 1, tier="interactive"))
    with unit_of_work(house.engine) as work:
        work.revocations.revoke("rightstep/emoji-64", "", reason="withdrawn", actor="me", now=house.clock())
        work.commit()
    state = ship(job.job_id, return_state=True)
    assert state.is_failed()
    assert "withdrawn" in str(state.message)


def test_the_scheduled_checkpoint_signs_what_was_added_and_nothing_twice(house: House, api: PrefectApi):
    from flows.checkpointing import checkpoint

    assert api
    first, again = checkpoint(return_state=True), checkpoint(return_state=True)
    assert first.is_completed()
    assert first.message == again.message
    assert len(list(house.settings.checkpoints.glob("*.json"))) == 1
    assert audit_check(house).checkpoints == 1
