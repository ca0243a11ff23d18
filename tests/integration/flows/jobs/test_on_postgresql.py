"""A whole job with its ledger in PostgreSQL, where migrations and daily work are two different roles."""

import base64
import json
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House, now_utc
from flows.collecting import collect
from flows.recalling import affected
from flows.rendering import render_job, shots_of
from flows.shipment import ship_job
from registry.instants import instant_text
from registry.records import JobState
from tests.integration.flows.jobs.night import assert_each_shot_done_once, submit, write_order
from tests.integration.registry.conftest import postgresql  # noqa: F401 - a fixture, found by its name here
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE
from tests.unit.flows.receivers import Webhook, listening

MakeHouse = Callable[..., House]
DATABASE, KEPT_DATABASE = "rightstep_house", "rightstep_kept_house"


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


@pytest.mark.slow
@pytest.mark.postgres
def test_a_house_is_kept_beside_a_night_that_is_told_of(
    make_house: MakeHouse,
    tmp_path: Path,
    postgresql: Server,  # noqa: F811 - the fixture of that name
):
    """What was made forty days ago goes, and nothing that the night makes."""
    postgresql.run(f"CREATE DATABASE {KEPT_DATABASE}")
    webhook = Webhook()
    with listening(webhook):
        house = make_house(
            database_url=postgresql.url(KEPT_DATABASE, APP_ROLE),
            database_owner_url=postgresql.url(KEPT_DATABASE),
            keep_days=30,
            webhook_url=webhook.url,
            webhook_secret=f"whsec_{base64.b64encode(b'of twenty-four bytes or more').decode()}",
            synthetic_seconds_per_step=0.02,
        )
        old = submit(house, write_order(tmp_path, 16, name="old", tier="interactive"))
        assert render_job(house, old.job_id).state is JobState.FINISHED
        gone = {shot.artefact.sha256 for shot in shots_of(house, old.job_id) if shot.artefact}
        long_ago = now_utc() - timedelta(days=40)
        for sha256 in gone:
            os.utime(house.store.path_of(sha256), (long_ago.timestamp(),) * 2)
        for moment in ("jobs SET ended_at", "artefacts SET made_at"):
            postgresql.run(f"UPDATE {moment} = '{instant_text(long_ago)}'", KEPT_DATABASE)
        shots = {"prompt": "a flat owl", "steps": 4, "method": "emoji-64-lcm"}
        night = submit(house, write_order(tmp_path, 160, name="new", shots=shots))
        ended = threading.Event()

        def render() -> None:
            render_job(house, night.job_id)
            ended.set()

        driver = threading.Thread(target=render)
        driver.start()
        removed: set[str] = set()
        rounds = 0
        while not ended.wait(0.2):
            removed |= {one.sha256 for one in collect(house, dry_run=False, page=5).going}
            rounds += 1
        driver.join()
    assert rounds > 3
    assert removed == gone
    assert_each_shot_done_once(house, night.job_id)
    told = [(word["type"], word["data"]["job_id"]) for word in (json.loads(body) for _, body in webhook.came)]
    assert told == [("job.finished", old.job_id), ("job.finished", night.job_id)]
    assert audit_check(house).ok
