"""Two drivers at one job, and a ledger that does not answer for a moment."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from flows.bootstrap import House
from flows.rendering import job_of, render_job
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import assert_each_shot_done_once, submit, wait_for_done, write_order

MakeHouse = Callable[..., House]


@pytest.mark.slow
def test_a_driver_waits_for_what_another_one_holds_and_goes_on_with_what_it_gives_back(
    make_house: MakeHouse, tmp_path: Path
):
    house = make_house()
    job = submit(house, write_order(tmp_path, 24, shots={"steps": 4, "method": "emoji-64-lcm"}))
    with unit_of_work(house.engine) as work:
        held = work.ledger.lease_chunk(
            job.job_id, holder="elsewhere:1:1", ttl_seconds=3600, max_batches=1, now=house.clock()
        )
        work.commit()
    assert held is not None
    rest = 24 - sum(len(batch.shots) for batch in held.batches)
    assert rest > 0

    def give_back_when_the_rest_is_done() -> None:
        wait_for_done(house, job.job_id, rest)
        time.sleep(2.0)  # a driver that does not wait is gone by now
        with unit_of_work(house.engine) as work:
            work.ledger.release(held)
            work.commit()

    other = threading.Thread(target=give_back_when_the_rest_is_done)
    other.start()
    ended = render_job(house, job.job_id)
    other.join()

    assert ended.state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)


@pytest.mark.slow
def test_a_ledger_that_is_locked_for_a_moment_stops_no_job_and_costs_no_second_picture(
    make_house: MakeHouse, tmp_path: Path
):
    """Every flow opens the ledger for itself, so the refusal is hung on whatever engine settles."""
    house = make_house()
    job = submit(house, write_order(tmp_path, 8, shots={"steps": 4, "method": "emoji-64-lcm"}))
    refused: list[str] = []

    def refuse_once(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if text.startswith("UPDATE takes") and not refused:
            refused.append(text)
            raise OperationalError(text, {}, Exception("database is locked"))

    event.listen(Engine, "before_cursor_execute", refuse_once)
    try:
        ended = render_job(house, job.job_id)
    finally:
        event.remove(Engine, "before_cursor_execute", refuse_once)

    assert refused
    assert ended.state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    assert job_of(house, job.job_id).counts.failed_takes == 0
