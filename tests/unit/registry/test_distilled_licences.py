"""What the licences of distilled models say to the uses that people ask about, with the clause that says it."""

from dataclasses import replace

import pytest

from policy.uses import Act
from policy.verdicts import Ruling, Verdict
from registry.licences.claims import LicensedComponent
from registry.licences.evaluation import evaluate
from registry.licences.texts import licence_of
from tests.unit.registry.licensing import catalogue, make_component, make_lora, small_use, tag

TERMS = catalogue().terms
SHIP, HOST, WEIGHTS, LOOK = (
    Act.SHIP_OUTPUT_COMMERCIAL,
    Act.HOST_SERVICE_COMMERCIAL,
    Act.DISTRIBUTE_WEIGHTS,
    Act.EVALUATE_INTERNAL,
)
P, R, D = Ruling.PERMIT, Ruling.REVIEW, Ruling.DENY
SDXL, FLUX, WAN = "openrailpp-sdxl-2023-07-26", "flux1-dev-nc-1.1.1", "apache-2.0"
LTX2, LTX2X, STABILITY = "ltx2-community-2026-01-05", "ltx2x-community-2026-08-11", "sai-community-2024-07-05"


def judged(*components: LicensedComponent, act: Act = SHIP, licence: str = "", **organisation) -> Verdict:
    licence = licence or components[-1].licence_texts[0]
    return evaluate(components, small_use(act, licence, **organisation), TERMS)


def against(verdict: Verdict) -> set[tuple[str, str]]:
    return {(reason.code, reason.clause) for reason in verdict.against()}


def test_sdxl_turbo_may_not_make_pictures_for_sale():
    verdict = judged(make_component("sai-nc-research-2023-11-28"))
    assert verdict.ruling is D
    assert against(verdict) == {
        ("noncommercial_licence", "1.a, with the definition of Non-Commercial Uses"),
        ("paid_licence_required", "1.a, with the definition of Non-Commercial Uses"),
    }


def test_sdxl_lightning_passes_its_use_restrictions_on():
    base = make_component(SDXL)
    verdict = judged(base, make_lora(SDXL, base))
    assert verdict.is_permit
    assert {duty.id for duty in verdict.obligations} == {"use_restrictions_flow_down"}


def test_flux_schnell_is_free_and_hyper_flux_inherits_the_dev_licence():
    assert judged(make_component("apache-2.0")).is_permit
    dev = make_component(FLUX)
    verdict = judged(dev, make_lora(FLUX, dev))
    assert verdict.ruling is D
    assert {code for code, _ in against(verdict)} >= {"noncommercial_licence"}


def test_a_free_tag_on_an_adapter_of_flux_dev_frees_nothing():
    dev = make_component(FLUX)
    retagged = make_lora("mit", dev, claims=(tag("mit"),))
    assert judged(retagged, licence=FLUX).ruling is D


def test_causvid_denies_sale_and_shares_alike():
    causvid = make_component("cc-by-nc-sa-4.0")
    assert judged(causvid).ruling is D
    shared = replace(small_use(WEIGHTS), outbound_licence="mit")
    codes = {reason.code for reason in evaluate([causvid], shared, TERMS).against()}
    assert "share_alike_violated" in codes


@pytest.mark.parametrize(
    ("licence", "figure", "below", "at", "ruling_at"),
    [
        (LTX2, "group_revenue_usd", 9_999_999, 10_000_000, D),
        (LTX2X, "group_revenue_usd", 9_999_999, 10_000_000, D),
        ("ltxv-owl-2025-04-17", "annual_revenue_usd", 9_999_999, 10_000_000, D),
        (STABILITY, "group_revenue_usd", 1_000_000, 1_000_001, D),
        ("tencent-hunyuan-video-2024-12-03", "mau", 100_000_000, 100_000_001, D),
        ("tencent-hunyuan-3d-2.0", "mau", 1_000_000, 1_000_001, D),
        ("qwen-2024", "mau", 100_000_000, 100_000_001, D),
        ("tongyi-qianwen-2023", "mau", 100_000_000, 100_000_001, D),
        ("llama-3.1-community-2024", "mau", 700_000_000, 700_000_001, D),
        ("kolors-model-licence-2024-07-06", "mau", 300_000_000, 300_000_001, D),
        ("playground-v2-community", "mau", 1_000_000, 1_000_001, R),
        ("cogvideox-licence", "monthly_visits", 1_000_000, 1_000_001, D),
    ],
)
def test_a_cap_holds_to_the_last_unit_and_is_never_assumed(licence, figure, below, at, ruling_at):
    component = make_component(licence)
    assert judged(component, **{figure: below}).is_permit
    above = judged(component, **{figure: at})
    assert above.ruling is ruling_at
    codes = {code for code, _ in against(above)}
    assert "paid_licence_required" in codes
    assert codes <= {"revenue_cap_exceeded", "usage_cap_exceeded", "paid_licence_required"}
    unknown = judged(component, **{figure: None})
    assert unknown.ruling is D
    assert any(figure in reason.detail for reason in unknown.against())


def test_a_large_entity_may_evaluate_ltx_2x_and_must_ask_about_ltx_2():
    rich = {"group_revenue_usd": 50_000_000}
    assert judged(make_component(LTX2X), act=LOOK, **rich).is_permit
    assert judged(make_component(LTX2), act=LOOK, **rich).ruling is R


@pytest.mark.parametrize("land", ["DE", "FR", "GB", "KR", "WORLD"])
@pytest.mark.parametrize("licence", ["tencent-hunyuan-video-2024-12-03", "tencent-hunyuan-3d-2.0"])
def test_hunyuan_grants_nothing_in_europe_britain_and_korea(licence, land):
    use = replace(small_use(SHIP, licence), territories=(land,))
    verdict = evaluate([make_component(licence)], use, TERMS)
    assert verdict.ruling is D
    assert against(verdict) == {("territory_excluded", "1.l, 2, 5.c")}


def test_hunyuan_excludes_the_whole_european_union():
    excluded = TERMS["tencent-hunyuan-video-2024-12-03"].territory.excluded
    assert len(set(excluded)) == len(excluded) == 27 + 2
    assert not {"US", "JP", "CH", "NO"} & set(excluded)


@pytest.mark.parametrize(
    ("licence", "act", "evidence", "ruling"),
    [
        (STABILITY, SHIP, "stability_registration", R),
        ("cogvideox-licence", SHIP, "cogvideox_registration", D),
        ("kolors-model-licence-2024-07-06", SHIP, "kolors_registration", D),
        (LTX2, HOST, "not_competing_with_licensor", R),
        (LTX2X, HOST, "not_competing_with_licensor", R),
    ],
)
def test_what_must_be_shown_is_asked_for(licence, act, evidence, ruling):
    shown = small_use(act, licence)
    assert evidence in shown.evidence
    assert evaluate([make_component(licence)], shown, TERMS).is_permit
    verdict = evaluate([make_component(licence)], replace(shown, evidence=()), TERMS)
    assert verdict.ruling is ruling


def test_no_hosted_service_under_the_research_licences():
    for licence, clause in (("sai-nc-research-2023-11-28", "1.b"), ("sai-nc-research-2023-12-06", "1.b")):
        verdict = judged(make_component(licence), act=Act.HOST_SERVICE_NONCOMMERCIAL)
        assert against(verdict) == {("hosted_service_forbidden", clause), ("paid_licence_required", clause)}


@pytest.mark.parametrize("licence", ["flux1-dev-nc-1.1", "flux1-dev-nc-1.1.1", "flux-dev-nc-2.0"])
def test_flux_asks_for_a_filter_and_for_disclosure_since_1_1(licence):
    duties = {duty.id for duty in judged(make_component(licence), act=LOOK).obligations}
    assert duties >= {"content_filter_or_review", "ai_disclosure"}
    before = judged(make_component("flux1-dev-nc-1.0"), act=LOOK).obligations
    assert not {duty.id for duty in before} & {"content_filter_or_review", "ai_disclosure"}


def test_causvids_copy_of_the_text_is_the_same_licence():
    (variant,) = TERMS["cc-by-nc-sa-4.0"].source.variants
    assert licence_of(variant, catalogue().text_ids) == "cc-by-nc-sa-4.0"
