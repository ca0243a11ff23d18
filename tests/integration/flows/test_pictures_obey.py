"""What another process changes is obeyed by the very next request, and by one whose picture is being made."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from flows.approving import ask_for_approval, give_approval, open_questions, withdraw_approval
from flows.bootstrap import House, open_house
from flows.concluding import conclude_licence
from flows.identities import create_identity, revoke_identity
from flows.pictures import OrderedPictures, order_pictures, settle_pictures
from flows.pinning import pin_model
from flows.recalling import affected, revoke_model
from flows.settings import Settings
from policy.approvals import ApprovalKind
from policy.errors import Refused
from policy.identities import IdentityRole
from policy.manifest import LoraRequest, RenderManifest, Shot
from policy.plan import PlanRefusal
from policy.tasks import BatchResult
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from registry.drift import DriftFinding, DriftKind, DriftSeverity
from registry.records import JobState
from registry.shipment_records import ShipmentRecord
from registry.sources import builtin_source
from registry.unit_of_work import unit_of_work
from tests.integration.flows.near import near_station
from tests.integration.registry.conftest import (  # noqa: F401 - fixtures, found by their names here
    postgresql,
    postgresql_store,
    sqlite_store,
    store,
)
from tests.integration.registry.stores import Store

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
BASE, STYLE = "rightstep/emoji-64", "mine/style"
NUMBERS = count()


@dataclass
class Studio:
    """A house that serves, another process on its database, and the day that both have."""

    serving: House
    other: House
    shelf: Path
    mail: Path
    moment: list[datetime] = field(default_factory=lambda: [NOW])

    def order(self) -> RenderManifest:
        number = next(NUMBERS)
        shot = Shot(
            name="picture-1", prompt="a fox", model=BASE, seed=number, loras=(LoraRequest(repo=STYLE),)
        )
        return RenderManifest(
            name=f"images-{number}",
            shots=(replace(shot, width=64, height=64),),
            service=ServiceLevel(tier=ServiceTier.INTERACTIVE),
            use=IntendedUse(),
            owner="tester",
        )

    def ordered(self) -> OrderedPictures:
        outcome = order_pictures(self.serving, self.order())
        assert isinstance(outcome, OrderedPictures), outcome
        return outcome

    def rendered(self, ordered: OrderedPictures) -> list[BatchResult]:
        assert ordered.leased is not None
        return list(near_station(self.serving).bench.run(ordered.leased.tasks))

    def settled(self, ordered: OrderedPictures, results: list[BatchResult]) -> ShipmentRecord:
        assert ordered.leased is not None
        settled = settle_pictures(self.serving, ordered, ordered.leased, results)
        assert settled.delivered is not None
        return settled.delivered.shipment

    def made(self) -> ShipmentRecord:
        ordered = self.ordered()
        return self.settled(ordered, self.rendered(ordered))


@pytest.fixture
def studio(tmp_path: Path, store: Store) -> Iterator[Studio]:  # noqa: F811 - the fixture of that name
    """A style whose card and text do not agree, approved by a person; served on either database."""
    shelf, moment = tmp_path / "shelf", [NOW]
    shutil.copytree(builtin_source().root / "rightstep" / "emoji-64-style-twemoji", shelf / STYLE)
    card = shelf / STYLE / "README.md"
    card.write_text(card.read_text().replace("license: cc-by-4.0", "license: apache-2.0"))
    weights = shelf / STYLE / "pytorch_lora_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    mail = tmp_path / "mail.txt"
    mail.write_text("CC BY 4.0 is right.")
    settings = Settings(
        home=tmp_path / "home",
        model_folders=(shelf,),
        renderer="synthetic",
        workers=1,
        actor="tester",
        database_url=SecretStr(store.url),
        database_owner_url=SecretStr(store.owner_url),
    )
    serving, other = (open_house(settings, clock=lambda: moment[0]) for _ in range(2))
    pin_model(serving, STYLE)
    create_identity(other, "ann", IdentityRole.REQUESTER)
    create_identity(other, "ben", IdentityRole.APPROVER)
    opened = Studio(serving=serving, other=other, shelf=shelf, mail=mail, moment=moment)
    approve(opened)
    yield opened
    for house in (serving, other):
        house.engine.dispose()


def approve(studio: Studio) -> str:
    manifest = studio.mail.with_name("order.toml")
    manifest.write_text(
        'tier = "interactive"\n'
        f'[[shots]]\nname = "fox"\nprompt = "a fox"\nmodel = "{BASE}"\nloras = ["{STYLE}"]\n'
    )
    given = ""
    for question in open_questions(studio.other, str(manifest)):
        asked = ask_for_approval(
            studio.other, question, kind=ApprovalKind.APPROVAL, reason="The tag is a slip.", requester="ann"
        )
        given = give_approval(
            studio.other,
            asked.request_id,
            approver="ben",
            reason="The author wrote so.",
            evidence=[studio.mail],
            valid_until=NOW + timedelta(hours=1),
        ).approval_id
    return given


def withdraw(studio: Studio) -> None:
    with unit_of_work(studio.other.engine, read_only=True) as work:
        standing = [one.approval_id for one in work.approvals.known() if one.withdrawn_at is None]
    for approval_id in standing:
        withdraw_approval(studio.other, approval_id, "It was a mistake.")


def expire(studio: Studio) -> None:
    studio.moment[0] = NOW + timedelta(hours=1)


def revoke(studio: Studio) -> None:
    revoke_model(studio.other, STYLE, reason="It was stolen.")


def revoke_the_key(studio: Studio) -> None:
    revoke_identity(studio.other, "ben", "The key was lost.")


def forge(studio: Studio) -> None:
    """Past every rule of the product: a row that says what nobody signed."""
    with studio.other.engine.begin() as connection:
        connection.execute(text("UPDATE approvals SET reason = 'Because.'"))


def conclude(studio: Studio) -> None:
    conclude_licence(
        studio.other,
        STYLE,
        licences=["cc-by-nc-4.0"],
        approver="ben",
        reason="The author changed it.",
        evidence=[studio.mail],
    )


def pin_anew(studio: Studio) -> None:
    readme = studio.shelf / STYLE / "README.md"
    readme.write_text(readme.read_text() + "\nOther words.\n")
    pin_model(studio.other, STYLE)


def drift(studio: Studio) -> None:
    with unit_of_work(studio.other.engine) as work:
        pin = work.models.pin_of(STYLE).pin
        finding = DriftFinding(
            kind=DriftKind.LICENCE_FILE,
            severity=DriftSeverity.HOLD,
            subject="LICENSE",
            pinned="cc-by-4.0",
            upstream="cc-by-nc-4.0",
            detail="The licence changed upstream.",
        )
        work.upstream.save_findings(pin, [finding], actor="watch", now=studio.moment[0])
        work.commit()


Change = Callable[[Studio], None]
AT_PLANNING: dict[str, Change] = {
    "withdrawn approval": withdraw,
    "approval that ends": expire,
    "revoked model": revoke,
    "revoked key": revoke_the_key,
    "forged row": forge,
    "conclusion": conclude,
    "other bytes pinned": pin_anew,  # another stack: the approval is not for it
}
AT_DELIVERY = {**AT_PLANNING, "drift": drift}


@pytest.mark.parametrize("change", AT_PLANNING.values(), ids=list(AT_PLANNING))
def test_a_change_by_another_process_is_obeyed_by_the_very_next_request(studio: Studio, change: Change):
    studio.made()
    change(studio)
    assert isinstance(order_pictures(studio.serving, studio.order()), PlanRefusal)


@pytest.mark.parametrize("change", AT_DELIVERY.values(), ids=list(AT_DELIVERY))
def test_a_change_while_a_picture_is_made_keeps_it_back(studio: Studio, change: Change):
    studio.made()
    ordered = studio.ordered()
    results = studio.rendered(ordered)
    change(studio)
    with pytest.raises(Refused):
        studio.settled(ordered, results)
    with unit_of_work(studio.other.engine, read_only=True) as work:
        assert work.shipments.shipments_of(ordered.job.job_id) == ()
        assert work.ledger.job(ordered.job.job_id).state is JobState.FINISHED
        assert work.audit.latest(1)[0].event.tag == "shipment:gate:refused"


def test_what_is_permitted_again_is_made_again(studio: Studio):
    studio.made()
    withdraw(studio)
    assert isinstance(order_pictures(studio.serving, studio.order()), PlanRefusal)
    studio.moment[0] = NOW + timedelta(minutes=1)
    approve(studio)
    shipment = studio.made()
    assert shipment.shipment_id in affected(studio.other, STYLE).shipments


def test_the_licence_of_a_new_pin_is_what_a_shipment_names(studio: Studio):
    before = studio.made()
    pin_anew(studio)
    approve(studio)
    after = studio.made()
    revisions = [
        {used.revision for used in shipment.licences if used.repo == STYLE} for shipment in (before, after)
    ]
    assert len(revisions[0] | revisions[1]) == 2


def test_a_style_whose_folder_is_gone_is_out_of_reach_at_once_and_back_when_it_is(studio: Studio):
    studio.made()
    away = studio.shelf.with_name("away")
    studio.shelf.rename(away)
    refusal = order_pictures(studio.serving, studio.order())
    assert isinstance(refusal, PlanRefusal)
    assert {reason.code for reason in refusal.reasons} == {"not_on_the_menu"}
    away.rename(studio.shelf)
    studio.made()
