"""A job followed over a real socket: every change once, from where a client left off, until it goes."""

from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI

from flows.access import create_key
from flows.bootstrap import House
from flows.steering import cancel_job, reopen_job
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import wait_until
from tests.integration.flows.near import near_station, workshop_near
from tests.integration.web.desk import NearDriver, order
from tests.integration.web.listening import following, served


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as found:
        yield found


@pytest.fixture
def job(address: str, driver: NearDriver) -> str:
    """An order that nobody renders yet."""
    driver.is_prompt = False
    names = [f"s{number:02}" for number in range(6)]
    answer = httpx2.post(f"{address}/v1/jobs", json=order(*names))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def test_a_job_is_followed_from_its_queue_to_its_end(address: str, job: str, driver: NearDriver):
    with following(address, job) as events:
        first = next(events)
        assert (first.name, first.data["state"], first.data["counts"]["made"]) == ("progress", "queued", 0)
        driver.is_prompt = True
        driver.start(job)
        rest = list(events)
    made = [event.data["counts"]["made"] for event in rest]
    assert made == sorted(made)
    assert (rest[-1].name, rest[-1].data["state"], made[-1]) == ("end", "finished", 6)
    assert len({event.id for event in [first, *rest]}) == 1 + len(rest)


def test_a_client_that_comes_back_is_told_what_it_missed_and_nothing_twice(
    address: str, job: str, house: House
):
    workshop = workshop_near(house, near_station(house), job)
    with following(address, job) as events:
        seen = next(events)
    chunk = workshop.lease()
    assert chunk is not None
    with following(address, job, seen.id) as events:
        leased = next(events)
        assert leased.data["counts"]["leased"] > 0
    with following(address, job, leased.id) as events:
        workshop.render(chunk.lease)
        later = next(events)
    assert later.id not in {seen.id, leased.id}
    assert later.data["counts"]["made"] > 0


def test_an_end_that_was_seen_is_not_told_again(address: str, job: str, house: House):
    cancel_job(house, job)
    with following(address, job) as events:
        (end,) = list(events)
    assert (end.name, end.data["state"]) == ("end", "cancelled")
    again = httpx2.get(f"{address}/v1/jobs/{job}/events", headers={"last-event-id": end.id})
    assert (again.status_code, again.content) == (204, b"")


def test_a_held_job_ends_the_stream_and_a_resumed_one_opens_it_again(address: str, job: str, house: House):
    with following(address, job) as events:
        next(events)
        with unit_of_work(house.engine) as work:
            work.ledger.hold(job, reason="Pictures are flat.")
            work.commit()
        (held,) = list(events)
    assert (held.name, held.data["detail"]) == ("end", "Pictures are flat.")
    reopen_job(house, job)
    with following(address, job, held.id) as events:
        assert next(events).data["state"] == "queued"


def test_a_client_that_goes_is_let_go(address: str, job: str, house: House):
    """Its slot is free again: nobody goes on asking the ledger for somebody who left."""
    secret = create_key(house, owner="studio", scopes=["read"], at_once=1, per_minute=100_000).secret
    key = {"authorization": f"Bearer {secret}"}

    def is_let_in() -> bool:
        return httpx2.get(f"{address}/v1/jobs", headers=key).status_code == 200

    assert is_let_in()
    with following(address, job, **key) as events:
        next(events)
        assert not is_let_in()
    wait_until("the slot is free", is_let_in)


def test_a_ledger_that_is_away_ends_the_stream_and_the_client_comes_back(
    address: str, job: str, house: House
):
    with following(address, job) as events:
        seen = next(events)
        with house.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
        assert list(events) == []
    with house.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO jobs")
    cancel_job(house, job)
    with following(address, job, seen.id) as events:
        assert [event.name for event in events] == ["end"]
