"""Claims on artefacts as the ledger tells them, and the outbox: on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from policy.errors import LedgerFault, WrongMoment
from policy.messages import Channel, Event, JobNews
from policy.retention import MayGo, Retention, make_retention_verdict
from policy.tasks import TakeState
from registry.records import JobRecord
from registry.retention_facts import LedgerArtefact
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import (
    must_lease,
    plan_of,
    put_order,
    render_all,
    settle,
    submit,
)
from tests.integration.registry.stores import Store
from tests.integration.registry.test_query_counts import statements_of
from tests.integration.registry.test_shipments import make_draft, ship

LONG_AGO = NOW - timedelta(days=9)
IN_A_YEAR = NOW + timedelta(days=365)


@pytest.fixture
def job(store: Store) -> JobRecord:
    return render_all(store.engine, submit(store.engine, plan_of(8)).job_id)


def facts(store: Store) -> tuple[LedgerArtefact, ...]:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.retention.artefacts(work.retention.page("", 100))


def may_go(store: Store) -> set[str]:
    verdicts = [
        make_retention_verdict(one.stored(LONG_AGO, 0), Retention(days=30), IN_A_YEAR) for one in facts(store)
    ]
    return {one.sha256 for one in verdicts if isinstance(one, MayGo)}


def remove(store: Store, job: JobRecord) -> None:
    digests = [one.sha256 for one in facts(store)]
    with unit_of_work(store.engine) as work:
        work.retention.stand_still()
        work.keeping.note_removed(job.job_id, digests, actor="t", because="kept 30 days", now=NOW)
        work.commit()


def test_what_was_shipped_is_a_claim_of_its_own(store: Store, job: JobRecord):
    assert len(may_go(store)) == 8
    draft = make_draft(store, job)
    ship(store, draft)
    assert all(one.is_shipped for one in facts(store))
    assert may_go(store) == set()


def test_nothing_ships_that_was_removed_since_it_was_looked_at(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    remove(store, job)
    with pytest.raises(WrongMoment, match="removed meanwhile"):
        ship(store, draft)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.shipments.shipments_of(job.job_id) == ()


def test_what_was_removed_is_no_artefact_until_it_is_made_again(store: Store, job: JobRecord):
    remove(store, job)
    assert facts(store) == ()
    again = submit(store.engine, plan_of(8), job_key="again")
    assert again.counts.reused == 0
    settle(store.engine, must_lease(store.engine, again.job_id, max_batches=9))
    assert {tuple(sorted(one.job_id for one in found.jobs)) for found in facts(store)} == {
        tuple(sorted((job.job_id, again.job_id)))
    }
    assert submit(store.engine, plan_of(8), job_key="third").counts.reused == 8


def test_whoever_made_and_whoever_reused_an_artefact_has_a_claim_on_it(store: Store, job: JobRecord):
    other = submit(store.engine, plan_of(8), job_key="other", owner="agency")
    with unit_of_work(store.engine, read_only=True) as work:
        assert {shot.state for shot in work.ledger.shots(other.job_id)} == {TakeState.REUSED}
    for one in facts(store):
        assert {(claim.owner, claim.ended_at is None) for claim in one.jobs} == {
            ("studio", False),
            ("agency", True),
        }
    assert may_go(store) == set()


def test_a_page_costs_a_fixed_number_of_statements(store: Store, job: JobRecord):
    assert job.counts.made == 8
    with statements_of(store.engine) as seen:
        facts(store)
    assert len(seen) == 7, [statement for statement, _ in seen]


def test_the_size_of_the_database_and_the_length_of_the_log_are_known(store: Store, job: JobRecord):
    ship(store, make_draft(store, job))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.retention.database_bytes() > 100_000
        assert work.retention.audit_rows() == len(work.audit.events(after=0))


def news_of(job: JobRecord) -> JobNews:
    return JobNews(
        event=Event.FINISHED,
        at=NOW,
        job_id=job.job_id,
        name=job.name,
        owner=job.owner,
        tier=job.tier,
        detail="",
        deadline=None,
        started_at=None,
        ended_at=NOW,
        shots=8,
        made=8,
        reused=0,
        dead=0,
        open=0,
    )


def test_a_message_that_is_taken_is_nobody_elses_until_its_time_is_over(store: Store, job: JobRecord):
    with unit_of_work(store.engine) as work:
        message_id = work.messages.put(news_of(job), Channel.WEBHOOK)
        first = work.messages.take(NOW, 120.0)
        assert first is not None
        assert work.messages.take(NOW, 120.0) is None
        assert not work.messages.has_due(NOW)
        second = work.messages.take(NOW + timedelta(seconds=120), 120.0)
        assert second is not None
        assert (first.message_id, second.message_id, second.tries) == (message_id, message_id, 2)
        assert not work.messages.note_sent(first, NOW), "a try that took too long says nothing any more"
        assert work.messages.note_sent(second, NOW)
        assert not work.messages.has_due(IN_A_YEAR)
        work.commit()


@pytest.mark.postgres
def test_who_keeps_house_waits_for_nobody_that_orders_and_who_orders_waits_for_them(postgresql_store: Store):
    engine = postgresql_store.engine
    with unit_of_work(engine) as ordering:
        put_order(ordering, plan_of(8))
        with pytest.raises(LedgerFault), unit_of_work(engine) as keeping:
            keeping.retention.stand_still()
        ordering.commit()
    with ThreadPoolExecutor(1) as thread, unit_of_work(engine) as keeping:
        keeping.retention.stand_still()
        ordered = thread.submit(submit, engine, plan_of(8), job_key="second")
        with pytest.raises(TimeoutError):
            ordered.result(timeout=0.5)
        keeping.commit()
        assert ordered.result().counts.shots == 8
