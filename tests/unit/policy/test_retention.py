"""What may leave the store: only what nobody has a claim on, and it is said whose time was over."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from policy.retention import (
    Claim,
    MayGo,
    RestingJob,
    Retention,
    Stays,
    StoredArtefact,
    make_retention_verdict,
)
from tests.factories import NOW

THIRTY = Retention(days=30, owners=(("legal", None), ("studio", 90)))
LONG_AGO = NOW - timedelta(days=100)


def resting(**changes: Any) -> RestingJob:
    job = RestingJob(job_id="j1", owner="zoë", ended_at=LONG_AGO, is_held=False, is_in_review=False)
    return replace(job, **changes)


def stored(*jobs: RestingJob, **changes: Any) -> StoredArtefact:
    artefact = StoredArtefact(
        sha256="a" * 64,
        size=9,
        made_at=LONG_AGO,
        touched_at=LONG_AGO,
        is_shipped=False,
        jobs=jobs or (resting(),),
    )
    return replace(artefact, **changes)


def claim_on(artefact: StoredArtefact, retention: Retention = THIRTY) -> Claim | None:
    verdict = make_retention_verdict(artefact, retention, NOW)
    return verdict.claim if isinstance(verdict, Stays) else None


def test_what_nobody_has_a_claim_on_goes_and_it_is_said_whose_time_is_over():
    verdict = make_retention_verdict(stored(), THIRTY, NOW)
    assert verdict == MayGo(sha256="a" * 64, size=9, jobs=("j1",), because="kept 30 days for zoë")


@pytest.mark.parametrize(
    ("artefact", "claim"),
    [
        (stored(touched_at=None), Claim.GONE),
        (stored(is_shipped=True), Claim.SHIPPED),
        (stored(resting(is_held=True)), Claim.LEGAL_HOLD),
        (stored(resting(ended_at=None)), Claim.UNFINISHED),
        (stored(resting(is_in_review=True)), Claim.REVIEW),
        (stored(touched_at=NOW - timedelta(hours=23)), Claim.TOUCHED),
        (stored(resting(owner="legal")), Claim.FOREVER),
        (stored(resting(owner="studio", ended_at=NOW - timedelta(days=89))), Claim.YOUNG),
        (stored(made_at=NOW - timedelta(days=2)), Claim.YOUNG),  # late: after its job had ended
    ],
)
def test_each_claim_keeps_an_artefact_by_itself(artefact: StoredArtefact, claim: Claim):
    assert claim_on(artefact) is claim


def test_one_claim_of_any_job_is_enough_whichever_job_comes_first():
    others = (
        resting(job_id="held", is_held=True),
        resting(job_id="runs", ended_at=None),
        resting(job_id="review", is_in_review=True),
        resting(job_id="legal", owner="legal"),
        resting(job_id="young", owner="studio", ended_at=NOW - timedelta(days=1)),
    )
    for other in others:
        assert claim_on(stored(resting(), other)) is claim_on(stored(other, resting())) is not None


def test_nothing_that_was_shipped_or_is_held_goes_whatever_else_is_true_of_it():
    moments = (None, LONG_AGO, NOW)
    for ended, touched, shipped, held in product(moments, moments, (True, False), (True, False)):
        artefact = stored(resting(ended_at=ended, is_held=held), touched_at=touched, is_shipped=shipped)
        if shipped or held or ended is None:
            assert claim_on(artefact, Retention(days=1)) is not None


def test_without_a_setting_everything_stays():
    assert claim_on(stored(), Retention()) is Claim.FOREVER


def test_the_day_itself_is_the_last_on_which_it_is_kept():
    due = stored(resting(ended_at=NOW - timedelta(days=30)))
    assert claim_on(due) is None
    assert claim_on(stored(resting(ended_at=NOW - timedelta(days=30) + timedelta(seconds=1)))) is Claim.YOUNG


def test_of_several_jobs_the_one_whose_time_was_over_last_is_named():
    verdict = make_retention_verdict(stored(resting(), resting(job_id="j2", owner="studio")), THIRTY, NOW)
    assert isinstance(verdict, MayGo)
    assert (verdict.jobs, verdict.because) == (("j1", "j2"), "kept 90 days for studio")
