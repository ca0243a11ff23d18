"""Workers in the ledger, on both databases: what drivers tell, and whom somebody sent away."""

from typing import Any

import pytest

from policy.errors import UnknownName, WrongMoment
from registry.ledger_workers import WorkerAtWork, WorkerStanding
from registry.unit_of_work import unit_of_work
from tests.integration.registry.ledger_play import later, must_lease, submit
from tests.integration.registry.stores import Store

DRIVER = "here:1:1"


def standing(worker: str, **changes: Any) -> WorkerStanding:
    facts: dict[str, Any] = {"device": "cpu-2", "stack_id": "", "in_flight": 0, "batches": 0}
    return WorkerStanding(worker=worker, **(facts | changes))


def tell(store: Store, job_id: str, *there: WorkerStanding, holder: str = DRIVER, at: float = 0) -> Any:
    with unit_of_work(store.engine) as work:
        leaving = work.ledger.tell_workers(holder, job_id, there, later(at))
        work.commit()
    return leaving


def at_work(store: Store) -> tuple[WorkerAtWork, ...]:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.ledger.workers()


def drain(store: Store, worker: str) -> bool:
    with unit_of_work(store.engine) as work:
        found = work.ledger.drain_worker(worker, actor="alice", reason="The fan is loud.")
        work.commit()
    return found


def test_a_driver_tells_of_its_workers_and_what_they_hold_by_name(store: Store):
    job = submit(store.engine)
    stack_id = must_lease(store.engine, job.job_id).stack_id
    tell(store, job.job_id, standing("here:2"), standing("here:3"))
    tell(store, job.job_id, standing("here:2", stack_id=stack_id, in_flight=2, batches=9), at=5)
    (one,) = at_work(store)
    assert (one.worker, one.holder, one.job_id, one.device) == ("here:2", DRIVER, job.job_id, "cpu-2")
    assert (one.stack, one.in_flight, one.batches, one.seen_at) == ("emoji-64", 2, 9, later(5))
    assert not one.is_draining
    tell(store, job.job_id)
    assert at_work(store) == ()


def test_a_driver_hears_whom_somebody_sent_away_until_that_one_is_gone(store: Store):
    job = submit(store.engine)
    there = standing("here:2"), standing("here:3")
    assert tell(store, job.job_id, *there) == ()
    assert drain(store, "here:3")
    assert not drain(store, "here:3"), "once is as good as twice"
    assert tell(store, job.job_id, *there) == ("here:3",)
    (leaving,) = [one for one in at_work(store) if one.is_draining]
    assert (leaving.drained_by, leaving.drained_because) == ("alice", "The fan is loud.")
    assert tell(store, job.job_id, there[0]) == ()


def test_nobody_drains_a_worker_that_is_not_there(store: Store):
    with pytest.raises(UnknownName, match="here:9"):
        drain(store, "here:9")


def test_what_a_dead_driver_told_is_forgotten_and_a_process_id_that_comes_round_is_another_worker(
    store: Store,
):
    job = submit(store.engine)
    tell(store, job.job_id, standing("here:2"))
    drain(store, "here:2")
    assert tell(store, job.job_id, standing("here:2"), holder="here:7:7") == ()
    (one,) = at_work(store)
    assert (one.holder, one.is_draining) == ("here:7:7", False)
    with unit_of_work(store.engine) as work:
        assert work.ledger.forget_workers(lambda holder: holder == "here:7:7") == 1
        work.commit()
    assert at_work(store) == ()


def bar(store: Store, job_id: str, worker: str) -> bool:
    with unit_of_work(store.engine) as work:
        found = work.ledger.bar_worker(
            DRIVER, job_id, standing(worker), because="It failed 3 times in a row.", now=later(7)
        )
        work.commit()
    return found


def readmit(store: Store, worker: str) -> bool:
    with unit_of_work(store.engine) as work:
        found = work.ledger.readmit_worker(worker, actor="alice")
        work.commit()
    return found


def take_back(store: Store) -> tuple[str, ...]:
    with unit_of_work(store.engine) as work:
        found = work.ledger.take_back_workers(DRIVER)
        work.commit()
    return found


def test_a_barred_worker_stays_on_record_after_its_process_until_somebody_lets_it_back(store: Store):
    job = submit(store.engine)
    tell(store, job.job_id, standing("here:2"), standing("here:3"))
    assert bar(store, job.job_id, "here:3")
    assert not bar(store, job.job_id, "here:3"), "once is as good as twice"
    tell(store, job.job_id, standing("here:2"), standing("here:4"), at=8)
    (barred,) = [one for one in at_work(store) if one.is_barred]
    assert (barred.worker, barred.barred_at, barred.barred_because) == (
        "here:3",
        later(7),
        "It failed 3 times in a row.",
    )
    assert take_back(store) == ()
    assert readmit(store, "here:3")
    assert not readmit(store, "here:3")
    assert [one.readmitted_by for one in at_work(store) if one.is_barred] == ["alice"]
    assert take_back(store) == ("here:3",)
    assert take_back(store) == ()
    assert [one.worker for one in at_work(store)] == ["here:2", "here:4"]


def test_a_worker_that_is_not_barred_or_not_there_is_not_let_back(store: Store):
    job = submit(store.engine)
    tell(store, job.job_id, standing("here:2"))
    with pytest.raises(WrongMoment, match="not barred"):
        readmit(store, "here:2")
    with pytest.raises(UnknownName, match="here:9"):
        readmit(store, "here:9")


def test_what_a_driver_told_ends_with_it_the_barred_ones_too(store: Store):
    job = submit(store.engine)
    tell(store, job.job_id, standing("here:2"))
    bar(store, job.job_id, "here:3")
    with unit_of_work(store.engine) as work:
        assert work.ledger.dismiss_workers(DRIVER) == 2
        work.commit()
    assert at_work(store) == ()


def test_workers_that_were_added_are_one_drivers_until_it_is_done_or_gone(store: Store):
    job = submit(store.engine)
    with unit_of_work(store.engine) as work:
        work.ledger.add_workers(job.job_id, device="cpu-2", workers=2)
        work.ledger.add_workers(job.job_id, device="cpu-2", workers=1)
        work.ledger.add_workers(job.job_id, device="cuda", workers=1)
        assert work.ledger.awaited_workers(job.job_id) == (("cpu-2", 3), ("cuda", 1))
        assert work.ledger.take_up_workers(job.job_id, DRIVER, ["cpu-2"]) == (("cpu-2", 2), ("cpu-2", 1))
        assert work.ledger.take_up_workers(job.job_id, "here:7:7", ["cpu-2"]) == ()
        assert work.ledger.awaited_workers(job.job_id) == (("cuda", 1),)
        work.ledger.dismiss_workers(DRIVER)
        assert work.ledger.take_up_workers(job.job_id, "here:7:7", ["cpu-2"]) == (("cpu-2", 2), ("cpu-2", 1))
        work.ledger.forget_workers(lambda holder: holder == "here:7:7")
        assert work.ledger.awaited_workers(job.job_id) == (("cpu-2", 3), ("cuda", 1))
        work.commit()


def test_the_crew_of_a_job_is_that_of_all_of_its_drivers(store: Store):
    job = submit(store.engine)
    with unit_of_work(store.engine) as work:
        assert work.ledger.crew_at_work(job.job_id) == ()
        work.ledger.tell_crew(DRIVER, job.job_id, {"cpu-2": 2, "cuda": 0})
        work.ledger.tell_crew("here:7:7", job.job_id, {"cpu-2": 1})
        assert work.ledger.crew_at_work(job.job_id) == (("cpu-2", 3), ("cuda", 0))
        work.ledger.tell_crew(DRIVER, job.job_id, {"cpu-2": 1, "cuda": 0})
        work.ledger.forget_workers(lambda holder: holder == "here:7:7")
        assert work.ledger.crew_at_work(job.job_id) == (("cpu-2", 1), ("cuda", 0))
        work.commit()
