"""What the ledger does for a large job or a large crew costs in proportion, and drivers do not stop each other."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from registry.ledger import Ledger
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import (
    later,
    must_lease,
    plan_of,
    render_all,
    results_of,
    settle,
    submit,
)
from tests.integration.registry.stores import Store
from tests.integration.registry.test_query_counts import statements_of

STRIDE = 100  # instructions of SQLite's machine between two counts


def instructions(engine: Engine, ask: Callable[[Ledger], object]) -> int:
    """How much SQLite did for it: instructions of its own machine, which no clock disturbs."""
    counted = [0]

    def note() -> int:
        counted[0] += STRIDE
        return 0

    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(note, STRIDE)
        try:
            ask(Ledger(connection))
        finally:
            raw.set_progress_handler(None, STRIDE)
    return counted[0]


@pytest.mark.parametrize("question", ["attestations", "job", "figures", "settled_batches", "finish_times"])
def test_what_is_asked_of_a_job_costs_in_proportion_to_its_shots(sqlite_store: Store, question: str):
    engine = sqlite_store.engine
    costs = list[int]()
    for shots in (160, 1600):
        job = submit(engine, plan_of(shots), job_key=str(shots), kept=lambda _sha256: False)
        render_all(engine, job.job_id)

        def ask(ledger: Ledger, job_id: str = job.job_id) -> object:
            return getattr(ledger, question)(job_id)

        costs.append(instructions(engine, ask))
    assert costs[1] < 20 * costs[0], "ten times the shots"


def test_a_driver_renews_all_that_it_holds_in_two_statements(store: Store):
    job = submit(store.engine, plan_of(320))
    chunks = [must_lease(store.engine, job.job_id) for _ in range(20)]
    with statements_of(store.engine) as seen, unit_of_work(store.engine) as work:
        assert work.ledger.renew(*chunks, ttl_seconds=60, now=later(20))
        work.commit()
    assert len(seen) == 2, [statement for statement, _ in seen]
    with unit_of_work(store.engine) as work:
        assert work.ledger.expire_leases(later(79)) == 0
        assert work.ledger.expire_leases(later(81)) == 20


@pytest.mark.postgres
def test_drivers_settle_one_job_beside_each_other(postgresql_store: Store):
    engine = postgresql_store.engine
    job = submit(engine, plan_of(32))
    settle(engine, must_lease(engine, job.job_id))  # what the worker loaded is known now
    slow, quick = must_lease(engine, job.job_id), must_lease(engine, job.job_id)
    with unit_of_work(engine) as first:
        assert first.ledger.settle(slow, results_of(slow), NOW).done == 8
        with unit_of_work(engine) as second:
            second.connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            assert second.ledger.settle(quick, results_of(quick), NOW).done == 8
            second.commit()
        first.commit()
    with unit_of_work(engine, read_only=True) as work:
        assert work.ledger.job(job.job_id).counts.done == 24


@pytest.mark.postgres
def test_who_wants_a_job_alone_is_not_passed_by_drivers_that_come_later(postgresql_store: Store):
    engine = postgresql_store.engine
    job = submit(engine, plan_of(32))
    first, later_one = must_lease(engine, job.job_id), must_lease(engine, job.job_id)
    with ThreadPoolExecutor(2) as threads, unit_of_work(engine) as held:
        held.ledger.settle(first, results_of(first), NOW)
        cancelled = threads.submit(_cancel, engine, job.job_id)
        _wait_for_waiting(engine, 1)
        settled = threads.submit(settle, engine, later_one)
        _wait_for_waiting(engine, 2)
        held.commit()
        assert cancelled.result() is JobState.CANCELLED
        assert settled.result().late == 8, "it came after the cancellation"


def _cancel(engine: Engine, job_id: str) -> JobState:
    with unit_of_work(engine) as work:
        job = work.ledger.cancel(job_id, actor="alice", now=NOW)
        work.commit()
    return job.state


def _wait_for_waiting(engine: Engine, sessions: int) -> None:
    """Until so many sessions wait for a lock of another."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 60
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while connection.exec_driver_sql(query).scalar_one() < sessions:
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.02)
