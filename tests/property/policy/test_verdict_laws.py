"""Laws of verdicts: whatever the order, however often, more evidence never loosens an answer."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from policy.verdicts import SEVERITY, Obligation, Reason, Ruling, Verdict, all_of, from_reasons

WORDS = st.sampled_from(["a", "b", "c"])
REASONS = st.builds(Reason, code=WORDS, ruling=st.sampled_from(Ruling), detail=WORDS, component=WORDS)
DUTIES = st.builds(Obligation, id=WORDS, text=WORDS, when=WORDS)
VERDICTS = st.builds(from_reasons, st.lists(REASONS, max_size=4), st.lists(DUTIES, max_size=3))


@given(st.lists(VERDICTS, min_size=1, max_size=4))
def test_the_order_of_verdicts_does_not_matter(verdicts: list[Verdict]) -> None:
    answers = {all_of(order) for order in itertools.permutations(verdicts)}
    assert len(answers) == 1


@given(VERDICTS)
def test_a_verdict_with_itself_is_itself(verdict: Verdict) -> None:
    assert all_of([verdict, verdict]) == all_of([verdict]) == verdict


@given(st.lists(VERDICTS, min_size=1, max_size=4), VERDICTS)
def test_another_verdict_never_loosens_the_answer(verdicts: list[Verdict], more: Verdict) -> None:
    before, after = all_of(verdicts), all_of([*verdicts, more])
    assert SEVERITY[after.ruling] >= SEVERITY[before.ruling]
    assert set(after.obligations) >= set(before.obligations)
    assert set(after.reasons) >= set(before.reasons)


@given(st.lists(VERDICTS, min_size=1, max_size=4))
def test_the_strictest_decides(verdicts: list[Verdict]) -> None:
    assert all_of(verdicts).ruling == max((one.ruling for one in verdicts), key=SEVERITY.__getitem__)


def test_nothing_known_is_a_denial() -> None:
    assert all_of([]).ruling is Ruling.DENY
    assert from_reasons([]).ruling is Ruling.DENY


@given(VERDICTS)
def test_reasons_against_come_worst_first_and_leave_out_the_rest(verdict: Verdict) -> None:
    against = verdict.against()
    severities = [SEVERITY[reason.ruling] for reason in against]
    assert severities == sorted(severities, reverse=True)
    assert set(against) == {reason for reason in verdict.reasons if reason.ruling is not Ruling.PERMIT}
