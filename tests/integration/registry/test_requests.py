"""Requests that come twice: one key of one client is one job, whoever is quicker."""

import threading
from dataclasses import replace

import pytest

from policy.errors import RequestKeyReused
from registry.requests import RequestKey
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import plan_of, submit
from tests.integration.registry.stores import Store

REQUEST = RequestKey(client="2283846df34b", key="8e03978e", fingerprint="a" * 64)
OTHERS = (replace(REQUEST, client="local"), replace(REQUEST, key="8e03978f"))


def keep(store: Store, request: RequestKey, job_id: str) -> None:
    with unit_of_work(store.engine) as work:
        work.requests.keep(request, job_id, NOW)
        work.commit()


def job_of(store: Store, request: RequestKey) -> str | None:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.requests.job_of(request)


def test_a_request_is_remembered_by_client_and_key(store: Store):
    job = submit(store.engine)
    keep(store, REQUEST, job.job_id)
    assert job_of(store, REQUEST) == job.job_id
    assert [job_of(store, other) for other in OTHERS] == [None, None]


def test_a_key_that_stands_for_another_request_is_refused_and_changes_nothing(store: Store):
    first, second = submit(store.engine), submit(store.engine, job_key="other")
    keep(store, REQUEST, first.job_id)
    reused = replace(REQUEST, fingerprint="b" * 64)
    with pytest.raises(RequestKeyReused, match=first.job_id):
        job_of(store, reused)
    with pytest.raises(RequestKeyReused, match=first.job_id):
        keep(store, reused, second.job_id)
    assert job_of(store, REQUEST) == first.job_id


def test_of_two_requests_at_once_by_one_key_one_makes_a_job(store: Store):
    """The other finds it refused, and its own job was never there."""
    both_read = threading.Barrier(2)
    outcomes: list[str] = []

    def ask(fingerprint: str) -> None:
        request = replace(REQUEST, fingerprint=fingerprint * 64)
        assert job_of(store, request) is None
        both_read.wait()
        try:
            with unit_of_work(store.engine) as work:
                facts = {"actor": "a", "owner": "a", "labels": (), "recipients": (), "now": NOW}
                plan = plan_of(1, name=fingerprint)
                job = work.ledger.submit(plan, job_key=fingerprint, kept=lambda _sha256: True, **facts)
                work.requests.keep(request, job.job_id, NOW)
                work.commit()
            outcomes.append(job.job_id)
        except RequestKeyReused:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 1
    with unit_of_work(store.engine, read_only=True) as work:
        assert [job.job_id for job in work.ledger.jobs()] == [name for name in outcomes if name != "refused"]


def test_jobs_and_shots_are_read_in_pages(store: Store):
    jobs = [submit(store.engine, job_key=str(number)).job_id for number in range(3)]
    with unit_of_work(store.engine, read_only=True) as work:
        ledger = work.ledger
        every = [job.job_id for job in ledger.jobs()]
        assert sorted(every) == sorted(jobs)
        pages = [ledger.jobs(limit=1), ledger.jobs(limit=2, after=every[0]), ledger.jobs(after=every[2])]
        assert [[job.job_id for job in page] for page in pages] == [every[:1], every[1:], []]
        shots = ledger.shots(every[0])
        assert ledger.shots_after(every[0], -1, 3) == shots[:3]
        assert ledger.shots_after(every[0], 2, 100) == shots[3:]
        assert ledger.shot(every[0], shots[5].name) == shots[5]
