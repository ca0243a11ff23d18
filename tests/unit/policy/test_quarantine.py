"""What was withdrawn is denied, whatever its licence says."""

from policy.quarantine import Revocation, quarantined
from policy.verdicts import Ruling
from tests.factories import BASE, NOW, STYLE, make_adapter_pin, make_model_pin, make_verdict

REVOKED = Revocation(repo=STYLE, revision="", reason="Rights withdrawn.", actor="officer", revoked_at=NOW)


def test_a_verdict_on_parts_that_nobody_withdrew_stays_as_it_is():
    assert quarantined(make_verdict(), [make_model_pin()], [REVOKED]) == make_verdict()
    assert quarantined(make_verdict(), [make_adapter_pin(STYLE)], []) == make_verdict()


def test_one_withdrawn_part_denies_the_stack_and_says_who_and_why():
    verdict = quarantined(make_verdict(), [make_model_pin(), make_adapter_pin(STYLE)], [REVOKED])
    assert verdict.ruling is Ruling.DENY
    (reason,) = verdict.against()
    assert (reason.code, reason.component) == ("model_revoked", STYLE)
    assert reason.detail == "officer revoked it on 2026-01-31: Rights withdrawn."


def test_a_withdrawn_commit_leaves_the_others():
    pin = make_model_pin()
    one = Revocation(repo=BASE, revision=pin.revision, reason="x", actor="officer", revoked_at=NOW)
    assert not quarantined(make_verdict(), [pin], [one]).is_permit
    assert quarantined(make_verdict(), [make_model_pin(revision="1" * 40)], [one]).is_permit
