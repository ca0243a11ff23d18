"""What a context says reaches the rules, ages, and is told apart by the memory of verdicts."""

from dataclasses import replace
from datetime import date

import pytest

from policy.approvals import reason_name
from policy.codec import decode, encode
from policy.uses import Act, Context, Delivery, IntendedUse, Organisation, asked_again
from policy.verdicts import Ruling, Verdict
from registry.licences.circumstances import ORDINARY, Circumstances, PaidLicence, as_stated
from registry.licences.described import parse_described
from registry.licences.evaluation import evaluate
from registry.licences.remembered import RememberedVerdicts
from tests.unit.registry.licensing import COMMIT, catalogue, make_component, small_use

CAPPED, FLUX = "sai-community-2024-07-05", "flux1-dev-nc-1.1.1"
FILTERED = Context(
    name="client-work",
    as_of=date(2026, 1, 1),
    good_until=date(2027, 1, 1),
    said_by="mia",
    delivery=Delivery(content_filter=True),
)
FRESH, OLD = date(2027, 1, 1), date(2027, 1, 2)


def judged(use: IntendedUse, licence: str, around: Circumstances = ORDINARY) -> Verdict:
    component = make_component(licence, repo="studio/flux-1" if licence == FLUX else "studio/model")
    return evaluate([component], use, catalogue().terms, as_stated(around, use))


def against(verdict: Verdict) -> set[tuple[str, Ruling]]:
    return {(reason.code, reason.ruling) for reason in verdict.against()}


@pytest.mark.parametrize(
    ("licence", "act"), [(CAPPED, Act.SHIP_OUTPUT_COMMERCIAL), (FLUX, Act.CHARITABLE_USE)]
)
def test_what_a_licence_asks_is_taken_as_said_for_a_year_and_is_then_for_a_person(licence, act):
    use = replace(small_use(act, licence), context=FILTERED)
    assert judged(replace(use, on=FRESH), licence).is_permit
    assert against(judged(replace(use, on=OLD), licence)) == {("facts_outdated", Ruling.REVIEW)}
    assert against(judged(replace(use, on=None), licence)) == {("facts_outdated", Ruling.REVIEW)}


def test_what_was_confirmed_of_one_context_or_day_is_open_again_for_another():
    use = replace(small_use(Act.SHIP_OUTPUT_COMMERCIAL, CAPPED), on=OLD)
    contexts = (FILTERED, replace(FILTERED, name="lab"), replace(FILTERED, as_of=date(2025, 1, 1)))
    named = [
        {reason_name(reason) for reason in judged(replace(use, context=one), CAPPED).against()}
        for one in contexts
    ]
    assert not (named[0] & named[1])
    assert not (named[0] & named[2])


def test_old_facts_hold_up_nothing_that_asks_for_none():
    use = replace(small_use(Act.SHIP_OUTPUT_COMMERCIAL), context=FILTERED, on=OLD)
    assert judged(use, "apache-2.0").is_permit


def test_an_old_figure_that_breaks_a_cap_still_denies():
    use = replace(small_use(Act.SHIP_OUTPUT_COMMERCIAL, CAPPED, annual_revenue_usd=2_000_000), on=OLD)
    assert judged(replace(use, context=FILTERED), CAPPED).ruling is Ruling.DENY


def test_old_figures_do_not_matter_where_the_licence_was_bought():
    paid = PaidLicence(
        licensor="Stability AI",
        repos=("studio/model",),
        acts=(Act.SHIP_OUTPUT_COMMERCIAL,),
        document_sha256="d" * 64,
    )
    use = replace(small_use(Act.SHIP_OUTPUT_COMMERCIAL, CAPPED), context=FILTERED, on=OLD)
    assert judged(use, CAPPED, Circumstances(paid=(paid,))).is_permit


def test_a_bought_licence_stays_with_what_is_said_of_delivery():
    around = as_stated(
        Circumstances(paid=(PaidLicence(licensor="a", repos=(), acts=(), document_sha256=""),)),
        replace(IntendedUse(), context=FILTERED),
    )
    assert (len(around.paid), around.pipeline) == (1, FILTERED.delivery)


def test_the_memory_of_verdicts_tells_contexts_apart():
    memory = RememberedVerdicts(catalogue().terms)
    parts = [make_component(FLUX, repo="studio/flux-1")]
    use = replace(small_use(Act.CHARITABLE_USE), context=FILTERED, on=FRESH)
    bare = replace(use, context=replace(FILTERED, delivery=Delivery(content_filter=False)))
    first = memory.judge(parts, use, as_stated(ORDINARY, use))
    assert memory.judge(parts, use, as_stated(ORDINARY, use)) is first
    assert not memory.judge(parts, bare, as_stated(ORDINARY, bare)).is_permit


def test_a_use_that_was_kept_before_there_were_contexts_still_reads():
    kept = encode(IntendedUse(on=FRESH))
    del kept["context"]
    read = decode(IntendedUse, kept)
    assert read == IntendedUse(on=FRESH)
    assert asked_again(read).context.name == "default"


def test_what_is_asked_again_keeps_what_was_ordered_and_forgets_who_and_when():
    use = replace(small_use(Act.CHARITABLE_USE, FLUX), context=FILTERED, on=FRESH, outbound_licence="mit")
    again = asked_again(use)
    assert (again.act, again.territories, again.outbound_licence) == (use.act, use.territories, "mit")
    assert (again.organisation, again.on, again.context) == (
        Organisation(),
        None,
        Context(name="client-work"),
    )


def test_a_description_takes_delivery_from_the_context_unless_it_speaks_of_somebody_else():
    assumed = IntendedUse(context=FILTERED, on=FRESH)
    stack = [{"role": "base", "repo": "lab/x", "revision": COMMIT, "licence_texts": ["apache-2.0"]}]

    def asked(**use: object) -> Delivery:
        table = {"stack": stack, "use": {"act": "evaluate_internal", **use}}
        return parse_described(table, "here", catalogue().origins, assumed).circumstances.pipeline

    assert asked() == FILTERED.delivery
    assert asked(org={"mau": 1}) == Delivery()
    assert asked(pipeline={"ai_disclosure": True}) == Delivery(ai_disclosure=True)
