"""Hot paths cost a fixed number of statements, each served by an index."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import (
    counts,
    failed,
    later,
    lease,
    must_lease,
    plan_of,
    results_of,
    settle,
    submit,
)
from tests.integration.registry.stores import Store


@contextmanager
def statements_of(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def note(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("batches", [1, 10])
def test_a_lease_is_six_statements_whatever_its_size(store: Store, batches: int):
    job = submit(store.engine, plan_of(160))
    with statements_of(store.engine) as seen:
        chunk = must_lease(store.engine, job.job_id, max_batches=batches)
    assert len(chunk.batches) == batches
    assert len(seen) == 7, [statement for statement, _ in seen]


@pytest.mark.parametrize("batches", [1, 10])
def test_settling_is_nine_statements_whatever_its_size(store: Store, batches: int):
    job = submit(store.engine, plan_of(160))
    chunk = must_lease(store.engine, job.job_id, max_batches=batches)
    with statements_of(store.engine) as seen:
        settle(store.engine, chunk)
    assert len(seen) == 9, [statement for statement, _ in seen]


@pytest.mark.parametrize("shots", [8, 160])
def test_submitting_does_not_ask_more_for_more_shots(sqlite_store: Store, shots: int):
    plan = plan_of(shots)
    with statements_of(sqlite_store.engine) as seen:
        submit(sqlite_store.engine, plan)
    assert len(seen) == 8, [statement for statement, _ in seen]


def test_attaching_to_a_job_writes_nothing(store: Store):
    submit(store.engine)
    with statements_of(store.engine) as seen:
        submit(store.engine)
    assert len(seen) == 5, [statement for statement, _ in seen]


def test_no_hot_statement_walks_a_whole_table(sqlite_store: Store):
    engine = sqlite_store.engine
    job = submit(engine, plan_of(160))
    other = submit(engine, plan_of(160), job_key="other", kept=lambda _sha256: False)
    with statements_of(engine) as seen:
        stale = must_lease(engine, job.job_id, ttl_seconds=1)
        with unit_of_work(engine) as work:
            work.ledger.renew(stale, ttl_seconds=1, now=NOW)
            work.ledger.expire_leases(later(10))
            work.ledger.release(stale)
            work.commit()
        chunk = must_lease(engine, job.job_id, max_batches=5, prefer_stack=stale.stack_id)
        settle(engine, chunk, results_of(chunk, failed(_shot_fault())))
        while (chunk := lease(engine, job.job_id, max_batches=5)) is not None:
            settle(engine, chunk)
        counts(engine, job.job_id)
        with unit_of_work(engine) as work:
            work.ledger.finish(job.job_id, NOW)
            work.ledger.job(other.job_id)
            work.commit()
    with engine.connect() as connection:
        for statement, parameters in seen:
            if not statement.startswith(("SELECT", "UPDATE")):
                continue
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            walks = [
                step[3] for step in steps if step[3].startswith("SCAN") and "USING COVERING" not in step[3]
            ]
            assert walks == [], statement


def _shot_fault() -> Any:
    from policy.tasks import FaultKind

    return FaultKind.SHOT
