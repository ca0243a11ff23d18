"""A review on the way from the order to the plan: asked about, answered by another key, lifted for that stack alone."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.approving import (
    ask_for_approval,
    give_approval,
    list_approvals,
    open_questions,
    show_approval,
    withdraw_approval,
)
from flows.bootstrap import House, open_house
from flows.identities import create_identity, list_identities, revoke_identity, signatory
from flows.manifest_files import load_manifest
from flows.pinning import pin_model
from flows.planning import plan_manifest
from flows.settings import Settings
from policy.approvals import ApprovalKind
from policy.errors import FormatFault, UnknownName, WrongUse
from policy.identities import IdentityRole
from policy.plan import ExecutionPlan, PlanRefusal
from registry.sources import builtin_source

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
STYLE = "mine/style"


@pytest.fixture
def moment() -> list[datetime]:
    return [NOW]


@pytest.fixture
def house(tmp_path: Path, moment: list[datetime]) -> House:
    """A studio with a style whose card says one licence and whose LICENSE file is another."""
    shelf = tmp_path / "shelf"
    shutil.copytree(builtin_source().root / "rightstep" / "emoji-64-style-twemoji", shelf / STYLE)
    card = shelf / STYLE / "README.md"
    card.write_text(card.read_text().replace("license: cc-by-4.0", "license: apache-2.0"))
    settings = Settings(
        home=tmp_path / "home", model_folders=(shelf,), renderer="synthetic", workers=1, actor="tester"
    )
    house = open_house(settings, clock=lambda: moment[0])
    pin_model(house, STYLE)
    return house


@pytest.fixture
def order(tmp_path: Path) -> Path:
    path = tmp_path / "order.toml"
    path.write_text(
        f'[[shots]]\nname = "fox"\nprompt = "a fox"\nmodel = "rightstep/emoji-64"\nloras = ["{STYLE}"]\n'
    )
    return path


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail.txt"
    path.write_text("CC BY 4.0 is right.")
    return path


def planned(house: House, order: Path) -> ExecutionPlan | PlanRefusal:
    return plan_manifest(house, load_manifest(order, now=house.clock()))


def approved(house: House, order: Path, mail: Path) -> str:
    create_identity(house, "ann", IdentityRole.REQUESTER)
    create_identity(house, "ben", IdentityRole.APPROVER)
    ids = []
    for question in open_questions(house, str(order)):
        asked = ask_for_approval(
            house, question, kind=ApprovalKind.APPROVAL, reason="The tag is a slip.", requester="ann"
        )
        given = give_approval(
            house,
            asked.request_id,
            approver="ben",
            reason="The author wrote so.",
            evidence=[mail],
            valid_until=NOW + timedelta(days=30),
        )
        ids.append(given.approval_id)
    return ids[0]


def test_an_approval_opens_the_order_that_it_was_asked_for_until_it_expires(
    house: House, order: Path, mail: Path, moment: list[datetime]
):
    assert isinstance(planned(house, order), PlanRefusal)
    questions = open_questions(house, str(order))
    assert {reason.code for one in questions for reason in one.reasons} == {"claim_conflict"}
    first = approved(house, order, mail)
    assert open_questions(house, str(order)) == ()
    plan = planned(house, order)
    assert isinstance(plan, ExecutionPlan), plan
    told = [reason.detail for one in plan.decisions for reason in one.offer.verdict.reasons]
    assert any("Approved by ben until" in detail for detail in told)
    assert show_approval(house, first).stands
    moment[0] = NOW + timedelta(days=30)
    refusal = planned(house, order)
    assert isinstance(refusal, PlanRefusal)
    assert any("expired" in reason.detail for reason in refusal.reasons)


@pytest.mark.parametrize("end", ["withdrawn", "revoked"])
def test_an_approval_ends_when_it_is_withdrawn_or_its_key_revoked(
    house: House, order: Path, mail: Path, end: str
):
    approved(house, order, mail)
    assert isinstance(planned(house, order), ExecutionPlan)
    if end == "revoked":
        revoke_identity(house, "ben", "left in anger")
    else:
        for one in list_approvals(house).approvals:
            withdraw_approval(house, one.record.approval_id, "a mistake")
    assert isinstance(planned(house, order), PlanRefusal)
    assert not any(one.stands for one in list_approvals(house).approvals)


def test_a_key_that_others_may_read_signs_nothing(house: House):
    create_identity(house, "ann", IdentityRole.REQUESTER)
    house.settings.key_file("ann").chmod(0o644)
    with pytest.raises(FormatFault, match="Others may read"):
        signatory(house, "ann")


def test_only_a_key_of_this_home_that_the_registry_knows_signs(house: House, moment: list[datetime]):
    with pytest.raises(UnknownName, match="no key of zoe"):
        signatory(house, "zoe")
    create_identity(house, "ann", IdentityRole.REQUESTER, valid_until=NOW + timedelta(days=1))
    assert signatory(house, "ann").identity == list_identities(house)[0]
    kept = house.settings.key_file("ann").read_bytes()
    moment[0] = NOW + timedelta(days=2)
    with pytest.raises(WrongUse, match="over"):
        signatory(house, "ann")
    revoke_identity(house, "ann", "lost")
    house.settings.key_file("ann").write_bytes(kept)
    house.settings.key_file("ann").chmod(0o600)
    with pytest.raises(WrongUse, match="revoked"):
        signatory(house, "ann")
