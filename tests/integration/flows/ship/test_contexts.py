"""Who acts and how outputs are delivered is said once, by name: it decides the plan, the gate and the papers."""

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.manifest_files import load_manifest
from flows.planning import Overrides, plan_manifest
from flows.recalling import reevaluate
from flows.shipment import ship_job
from policy.errors import Refused, UnknownName
from policy.plan import ExecutionPlan, PlanRefusal
from policy.uses import Context, Delivery
from policy.verdicts import Ruling
from registry.evidence.dsse import unseal
from registry.evidence.intoto import PAYLOAD_TYPE
from registry.reevaluation import kept_stacks
from registry.unit_of_work import unit_of_work
from tests.integration.flows.near import render_near
from tests.integration.flows.ship.conftest import NOW, contents, order_in_own_style

TODAY = NOW.date()
FLUX, LTX = "flux1-dev-nc-1.1.1", "ltx2x-community-2026-08-11"
Order = Callable[..., Path]
Say = Callable[..., None]


@pytest.fixture
def house(house_with_a_shelf: House) -> House:
    return house_with_a_shelf


@pytest.fixture
def order(tmp_path: Path, house: House) -> Order:
    """An order of two foxes in a style of one's own, under a licence of the catalogue."""

    def put(licence: str, repo: str, **head: str) -> Path:
        fields = "\n".join(f'{name} = "{value}"' for name, value in head.items())
        return order_in_own_style(house, tmp_path, repo, tag="other", licence=licence, head=fields)

    return put


@pytest.fixture
def flux(order: Order) -> Path:
    """An order under a licence that asks for a filter, for charity, which it permits."""
    return order(FLUX, "mine/flux-1-style", use="charitable_use", context="client-work")


@pytest.fixture
def say(house: House) -> Say:
    """Describe one context; what is given replaces all that was said before."""

    def write(name: str = "client-work", as_of: date = TODAY, **delivery: bool) -> None:
        practices = "".join(f"{key} = {str(done).lower()}\n" for key, done in delivery.items())
        (house.settings.home / "contexts.toml").write_text(
            f'[{name}]\norganisation = "Client Work Ltd"\nkind = "nonprofit"\ndomicile = "DE"\n'
            f'annual_revenue_usd = 250000\nterritories = ["DE"]\nas_of = {as_of}\nsaid_by = "mia"\n'
            f"[{name}.delivery]\n{practices}"
        )

    return write


def planned(house: House, path: Path, **overrides: str) -> ExecutionPlan | PlanRefusal:
    return plan_manifest(house, load_manifest(path, now=house.clock()), Overrides(**overrides))


def against(house: House, path: Path) -> set[tuple[str, str, Ruling]]:
    refusal = planned(house, path)
    assert isinstance(refusal, PlanRefusal)
    return {(reason.code, reason.clause, reason.ruling) for reason in refusal.reasons}


def refused(house: House, job_id: str) -> set[str]:
    with pytest.raises(Refused) as error:
        ship_job(house, job_id)
    assert error.value.verdict is not None
    assert contents(house.settings.shipments) == []
    return {reason.code for reason in error.value.verdict.against()}


def test_a_filter_that_a_licence_asks_for_ships_where_somebody_says_it_runs(
    house: House, flux: Path, say: Say
):
    say(content_filter=False)
    assert ("obligation_unmet", "2.e", Ruling.REVIEW) in against(house, flux)
    say()
    job = render_near(house, flux)
    assert refused(house, job.job_id) == {"obligation_undischarged"}
    say(content_filter=True)
    shipment = ship_job(house, job.job_id)
    met = {one.obligation.id: one.discharged_by for one in shipment.obligations}
    assert met["content_filter_or_review"] == "context:client-work of 2026-01-31, said by mia"
    assert str(met["ai_disclosure"]).startswith("marking:")


def test_what_is_said_at_shipping_counts_and_not_what_was_said_at_planning(
    house: House, flux: Path, say: Say
):
    say(content_filter=True)
    job = render_near(house, flux)
    say(content_filter=False)
    assert refused(house, job.job_id) == {"obligation_undischarged", "obligation_unmet"}
    say(name="client-works")
    with pytest.raises(UnknownName, match="client-works"):
        ship_job(house, job.job_id)


def test_disclosure_that_is_not_given_is_held_although_the_files_are_marked(
    house: House, flux: Path, say: Say
):
    say(content_filter=True, ai_disclosure=False)
    assert ("obligation_unmet", "2.e", Ruling.REVIEW) in against(house, flux)


def test_marking_that_is_taken_off_is_denied_where_a_licence_wants_it_to_stay(
    house: House, order: Order, say: Say
):
    path = order(LTX, "mine/ltx-2-style", context="client-work")
    say(removes_provenance_marking=True)
    denied = {code for code, _, ruling in against(house, path) if ruling is Ruling.DENY}
    say(removes_provenance_marking=False)
    after = planned(house, path)
    left = {reason.code for reason in after.reasons} if isinstance(after, PlanRefusal) else set()
    assert (
        "provenance_marking_removed" in denied,
        "provenance_marking_removed" in left,
    ) == (True, False)


def test_the_papers_the_log_and_the_kept_question_name_the_context(house: House, flux: Path, say: Say):
    say(content_filter=True, ai_disclosure=True)
    shipment = ship_job(house, render_near(house, flux).job_id)
    said = Context(
        name="client-work",
        as_of=TODAY,
        good_until=TODAY + timedelta(days=365),
        said_by="mia",
        delivery=Delivery(content_filter=True, ai_disclosure=True),
    )
    assert shipment.use.context == said
    folder = house.settings.shipments / shipment.shipment_id
    manifest = json.loads((folder / "manifest.json").read_text())["use"]
    assert (manifest["context"]["name"], manifest["context"]["as_of"]) == ("client-work", "2026-01-31")
    assert manifest["organisation"]["name"] == "Client Work Ltd"
    public = bytes.fromhex((house.settings.keys / "house.pub").read_text())
    signed = json.loads(unseal((folder / "statement.dsse.json").read_bytes(), PAYLOAD_TYPE, public))
    assert signed["predicate"]["use"] == manifest
    with unit_of_work(house.engine, read_only=True) as work:
        event = work.audit.event(shipment.audit_seq)
        (kept,) = kept_stacks(work.shipments.context(shipment.shipment_id))
    assert event is not None
    logged = json.loads(event.event.payload)
    assert (logged["context"], logged["organisation"]) == (manifest["context"], manifest["organisation"])
    assert kept.circumstances.pipeline == said.delivery
    assert audit_check(house).ok


def test_a_shipment_is_judged_again_by_what_was_said_then_and_by_what_is_said_now(
    house: House, flux: Path, say: Say
):
    say(content_filter=True)
    shipment_id = ship_job(house, render_near(house, flux).job_id).shipment_id
    assert reevaluate(house, shipment_id).worse == ()
    say(content_filter=False)
    again = reevaluate(house, shipment_id)
    assert (again.that_day.ruling, again.today.ruling) == (Ruling.PERMIT, Ruling.REVIEW)
    assert [reason.code for reason in again.worse] == ["obligation_unmet"]
    say(name="other")
    again = reevaluate(house, shipment_id)
    assert [reason.code for reason in again.worse] == ["context_unknown"]


def test_what_was_said_long_ago_is_confirmed_before_it_decides_anything(
    house: House, flux: Path, say: Say, moment: list[datetime]
):
    say(content_filter=True)
    job = render_near(house, flux)
    moment[0] = NOW + timedelta(days=366)
    assert refused(house, job.job_id) == {"facts_outdated"}
    assert {code for code, *_ in against(house, flux)} == {"facts_outdated"}
    say(as_of=moment[0].date(), content_filter=True)
    assert ship_job(house, job.job_id).use.context.as_of == moment[0].date()


def test_the_same_order_has_one_plan_in_a_context_and_another_in_another(house: House, flux: Path, say: Say):
    say(content_filter=True)
    first, again = planned(house, flux), planned(house, flux)
    say(content_filter=True, ai_disclosure=True)
    other = planned(house, flux)
    plans = [one.plan_hash for one in (first, again, other) if isinstance(one, ExecutionPlan)]
    assert (len(plans), plans[0] == plans[1], plans[0] == plans[2]) == (3, True, False)


def test_an_order_is_told_apart_by_its_context_and_a_command_has_the_last_word(
    house: House, flux: Path, say: Say
):
    say(content_filter=True)
    job = render_near(house, flux)
    elsewhere = render_near(house, flux, context="default")
    assert (job.job_key == elsewhere.job_key, job.job_id == elsewhere.job_id) == (False, False)
    plan = planned(house, flux, context="default")
    assert isinstance(plan, ExecutionPlan)
    assert (plan.manifest.use.context.name, plan.manifest.use.organisation.name) == ("default", "")
