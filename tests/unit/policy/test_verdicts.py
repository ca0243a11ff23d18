from policy.verdicts import Ruling, all_of, from_reasons
from tests.factories import make_denial, make_obligation, make_reason, make_verdict


def test_nothing_known_is_a_denial():
    assert from_reasons([]).ruling is Ruling.DENY
    assert all_of([]).ruling is Ruling.DENY
    assert all_of([]).reasons[0].code == "no_grounds"


def test_the_strictest_reason_decides():
    review = make_reason(code="unread_card", ruling=Ruling.REVIEW)
    deny = make_reason(code="noncommercial", ruling=Ruling.DENY)
    assert from_reasons([make_reason()]).is_permit
    assert from_reasons([make_reason(), review]).ruling is Ruling.REVIEW
    assert from_reasons([review, make_reason(), deny]).ruling is Ruling.DENY


def test_reasons_and_obligations_of_all_parts_are_kept():
    first = make_verdict(obligations=(make_obligation(id="attribution"),))
    both = all_of([first, make_verdict(obligations=(make_obligation(id="notice"),)), make_denial()])
    assert {reason.code for reason in both.reasons} == {"commercial_use_granted", "noncommercial_licence"}
    assert [duty.id for duty in both.obligations] == ["attribution", "notice"]


def test_what_speaks_against_is_told_worst_first():
    review = make_reason(code="a_review", ruling=Ruling.REVIEW)
    deny = make_reason(code="z_deny", ruling=Ruling.DENY)
    verdict = from_reasons([make_reason(), review, deny])
    assert [reason.code for reason in verdict.against()] == ["z_deny", "a_review"]
