"""Prompts are in the ledger alone: they can be erased, and the chain holds as it did before."""

import pytest
from sqlalchemy import text

from policy.errors import UnknownName, WrongUse
from policy.salting import salted_digest
from policy.verdicts import Ruling
from registry.audit_walk import verify
from registry.records import JobRecord
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import plan_of, render_all, submit
from tests.integration.registry.stores import Store


@pytest.fixture
def job(store: Store) -> JobRecord:
    return render_all(store.engine, submit(store.engine, plan_of(4)).job_id)


def salt_of(store: Store, job_id: str) -> str:
    with unit_of_work(store.engine) as work:
        salt = work.prompts.salt_of(job_id)
        work.commit()
    return salt


def erase(store: Store, job_id: str) -> int:
    with unit_of_work(store.engine) as work:
        erased = work.prompts.erase(job_id, actor="alice", reason="asked to", now=NOW)
        work.commit()
    return erased.shots


def may_erase(store: Store, job_id: str) -> tuple[Ruling, set[str]]:
    with unit_of_work(store.engine, read_only=True) as work:
        verdict = work.prompts.may_erase(job_id)
    return verdict.ruling, {reason.code for reason in verdict.reasons}


def everything(store: Store) -> str:
    """Every text of every table, as one string."""
    from registry.tables import metadata

    with unit_of_work(store.engine, read_only=True) as work:
        return repr([work.connection.execute(table.select()).all() for table in metadata.sorted_tables])


def test_a_job_has_one_salt_and_another_job_another(store: Store, job: JobRecord):
    other = submit(store.engine, plan_of(4), job_key="other")
    assert salt_of(store, job.job_id) == salt_of(store, job.job_id) != salt_of(store, other.job_id)
    assert len(salt_of(store, job.job_id)) == 64


def test_a_salted_digest_needs_its_salt():
    first, second = salted_digest("prompt", "s1", ["a fox", ""]), salted_digest("prompt", "s2", ["a fox", ""])
    assert len({first, second, salted_digest("seed", "s1", ["a fox", ""])}) == 3
    assert salted_digest("prompt", "", ["a fox", ""]) == ""


def test_erased_prompts_are_nowhere_and_the_chain_holds(store: Store, job: JobRecord):
    with unit_of_work(store.engine, read_only=True) as work:
        prompts = [shot.prompt for shot in work.ledger.shots(job.job_id)]
    salt = salt_of(store, job.job_id)
    assert all(prompt in everything(store) for prompt in prompts)
    assert salt in everything(store)
    before = verify(store.engine)
    assert erase(store, job.job_id) == 4
    assert not any(prompt in everything(store) for prompt in prompts)
    assert salt not in everything(store)
    assert salt_of(store, job.job_id) == ""
    after = verify(store.engine)
    assert (before.ok, after.ok, after.rows) == (True, True, before.rows + 1)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.audit.latest(1)[0].event.tag == "job:prompts:erased"
        assert [shot.artefact is not None for shot in work.ledger.shots(job.job_id)] == [True] * 4


def test_prompts_are_erased_once(store: Store, job: JobRecord):
    erase(store, job.job_id)
    with pytest.raises(WrongUse, match="already"):
        erase(store, job.job_id)


def test_an_unfinished_job_keeps_its_prompts(store: Store):
    job = submit(store.engine, plan_of(4))
    assert may_erase(store, job.job_id) == (Ruling.DENY, {"job_unfinished"})


def test_a_legal_hold_forbids_erasure_until_every_hold_is_released(store: Store, job: JobRecord):
    assert may_erase(store, job.job_id)[0] is Ruling.PERMIT
    with unit_of_work(store.engine) as work:
        first = work.prompts.hold(job.job_id, actor="alice", reason="a claim", now=NOW)
        second = work.prompts.hold(job.job_id, actor="ben", reason="another", now=NOW)
        work.commit()
    assert may_erase(store, job.job_id) == (Ruling.DENY, {"legal_hold"})
    for hold, expected in ((first, Ruling.DENY), (second, Ruling.PERMIT)):
        with unit_of_work(store.engine) as work:
            freed = work.prompts.release(hold.hold_id, actor="alice", reason="settled", now=NOW)
            work.commit()
        assert (freed.released_by, freed.released_because) == ("alice", "settled")
        assert may_erase(store, job.job_id)[0] is expected
    with unit_of_work(store.engine, read_only=True) as work:
        assert {hold.hold_id for hold in work.prompts.holds(job.job_id)} == {first.hold_id, second.hold_id}
        tags = [event.event.tag for event in reversed(work.audit.latest(4))]
    assert tags == ["job:hold:placed"] * 2 + ["job:hold:released"] * 2


def test_a_hold_that_is_not_open_cannot_be_released(store: Store):
    with pytest.raises(UnknownName), unit_of_work(store.engine) as work:
        work.prompts.release("hold-0", actor="alice", reason="x", now=NOW)


def test_the_chain_never_heard_of_a_prompt(store: Store, job: JobRecord):
    with unit_of_work(store.engine, read_only=True) as work:
        prompts = [shot.prompt for shot in work.ledger.shots(job.job_id)]
        chain = work.connection.execute(text("SELECT * FROM audit_events")).all()
    assert not any(prompt in repr(chain) for prompt in prompts)
