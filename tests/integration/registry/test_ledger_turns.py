"""Turns in the ledger: one driver at a time has a fleet, and a driver that is gone keeps nobody waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from registry.database import open_database
from registry.records import ServedSeconds, TurnKey
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import later, must_lease, plan_of, settle, submit
from tests.integration.registry.stores import Store

FLEET = "here:/home/ray"


def ask(engine: Engine, job_id: str, holder: str, *, fleet: str = FLEET, seconds: float = 60.0) -> TurnKey:
    key = TurnKey(fleet=fleet, job_id=job_id, holder=holder)
    with unit_of_work(engine) as work:
        work.ledger.ask_turn(key, picture_seconds=(1.0, 1.5), expires_at=later(seconds))
        work.commit()
    return key


def begin(engine: Engine, key: TurnKey) -> bool:
    with unit_of_work(engine) as work:
        work.ledger.turns(key.fleet, NOW, lock=True)
        begun = work.ledger.begin_turn(key, NOW)
        work.commit()
    return begun


def test_one_driver_has_a_fleet_until_it_leaves(store: Store):
    job = submit(store.engine)
    first, second = ask(store.engine, job.job_id, "here:1:1"), ask(store.engine, job.job_id, "here:2:2")
    elsewhere = ask(store.engine, job.job_id, "there:1:1", fleet="there:/home/ray")
    assert begin(store.engine, first)
    assert not begin(store.engine, second)
    assert begin(store.engine, elsewhere), "another fleet is another queue"
    with unit_of_work(store.engine) as work:
        work.ledger.leave_turn(first)
        work.commit()
    assert begin(store.engine, second)


def test_drivers_that_ask_at_the_same_time_never_have_the_fleet_together(store: Store):
    job = submit(store.engine)
    keys = [ask(store.engine, job.job_id, f"here:{number}:1") for number in range(6)]
    ready = threading.Barrier(len(keys))
    engines = [open_database(store.url) for _ in keys]

    def race(engine: Engine, key: TurnKey) -> bool:
        ready.wait()
        return begin(engine, key)

    with ThreadPoolExecutor(len(keys)) as drivers:
        begun = list(drivers.map(race, engines, keys))
    for engine in engines:
        engine.dispose()
    assert sum(begun) == 1


def test_a_turn_that_ran_out_and_that_of_a_dead_driver_are_dropped(store: Store):
    job = submit(store.engine)
    ask(store.engine, job.job_id, "here:1:1", seconds=10)
    ask(store.engine, job.job_id, "here:2:2")
    alive = ask(store.engine, job.job_id, "here:3:3")
    with unit_of_work(store.engine) as work:
        dropped = work.ledger.drop_turns(FLEET, later(11), lambda holder: holder == "here:2:2")
        left = work.ledger.turns(FLEET, later(11))
        work.commit()
    assert dropped == 2
    assert [one.key for one in left] == [alive]


def test_a_renewed_turn_does_not_run_out_and_a_dropped_one_says_so(store: Store):
    job = submit(store.engine)
    key = ask(store.engine, job.job_id, "here:1:1", seconds=10)
    with unit_of_work(store.engine) as work:
        assert work.ledger.renew_turn(key, expires_at=later(60))
        assert not work.ledger.drop_turns(FLEET, later(11), lambda _holder: False)
        work.ledger.leave_turn(key)
        assert not work.ledger.renew_turn(key, expires_at=later(60))
        work.commit()


def test_a_turn_says_what_matters_of_its_job(store: Store):
    job = submit(store.engine, plan_of(16))
    must_lease(store.engine, job.job_id)  # a batch of eight
    key = ask(store.engine, job.job_id, "here:1:1")
    with unit_of_work(store.engine, read_only=True) as work:
        assert not work.ledger.others_ask(key, NOW)
        (turn,) = work.ledger.turns(FLEET, NOW)
    assert (turn.tier, turn.owner, turn.queued, turn.has_fleet) == ("batch", "studio", 8, False)
    assert (turn.picture_p50, turn.picture_p95) == (1.0, 1.5)
    ask(store.engine, job.job_id, "here:2:2")
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.others_ask(key, NOW)
        assert not work.ledger.others_ask(key, later(61)), "by then it has run out"


def test_what_was_served_counts_by_tier_and_owner_from_a_time_on(store: Store):
    job = submit(store.engine, plan_of(16))
    for seconds in (0.0, 100.0):
        chunk = must_lease(store.engine, job.job_id, holder="here:1:1", now=later(seconds))
        settle(store.engine, chunk, now=later(seconds))
    with unit_of_work(store.engine, read_only=True) as work:
        whole, half = work.ledger.served("here", later(-1)), work.ledger.served("here", later(50))
        elsewhere = work.ledger.served("there", later(-1))
    assert isinstance(whole[0], ServedSeconds)
    assert (whole[0].tier, whole[0].owner, whole[0].late) == ("batch", "studio", 0.0)
    assert whole[0].seconds == pytest.approx(2 * half[0].seconds)
    assert elsewhere == ()
