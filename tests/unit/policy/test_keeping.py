"""Which served pictures stay is a function of the job's id and the share, and of nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.keeping import is_kept

IDS = [f"20260131-{number:08x}" for number in range(4000)]


@given(st.text())
def test_all_of_them_stay_at_one_and_none_at_nothing(job_id: str):
    assert is_kept(job_id, 1.0)
    assert not is_kept(job_id, 0.0)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_what_stays_at_a_share_stays_at_every_larger_one(job_id: str, one: float, other: float):
    assert is_kept(job_id, max(one, other)) or not is_kept(job_id, min(one, other))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_about_the_share_stays(share: float):
    assert sum(is_kept(job_id, share) for job_id in IDS) / len(IDS) == pytest.approx(share, abs=0.03)
