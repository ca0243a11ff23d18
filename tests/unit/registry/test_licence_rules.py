"""P1 to P4, each by what it must catch."""

from dataclasses import replace
from datetime import date

import pytest

from policy.uses import Act, Organisation
from policy.verdicts import Ruling
from registry.licences.case import make_case
from registry.licences.claims import Claim, ClaimKind, Conclusion, Edge
from registry.licences.evaluation import findings_of
from registry.licences.rules import RULES
from registry.licences.terms import (
    Comparison,
    Condition,
    EdgeKind,
    Lineage,
    Territory,
)
from tests.unit.registry.judging import LOOK, SHIP, TERMS, all_codes, codes, judged
from tests.unit.registry.licensing import make_component, make_lora, make_terms, make_use, tag

# --- nothing, and everything in order ---------------------------------------------------


def test_nothing_known_means_no():
    assert judged().ruling is Ruling.DENY


def test_a_component_in_order_is_cleared_with_the_clause_that_grants():
    verdict = judged(make_component())
    assert verdict.is_permit
    assert all_codes(verdict) == {"granted", "all_clear"}
    assert next(reason for reason in verdict.reasons if reason.code == "granted").clause == "2, 3"


def test_a_stack_is_as_strict_as_its_strictest_part():
    base = make_component()
    verdict = judged(base, make_lora("cc-by-4.0", base), make_lora("cc-by-nc-4.0", base))
    assert verdict.ruling is Ruling.DENY
    (against,) = verdict.against()
    assert (against.code, against.component) == ("noncommercial_licence", "studio/cc-by-nc-4.0-lora")
    assert "2(a)(1)" in against.clause
    assert "1(i)" in against.clause
    assert {r.component for r in verdict.reasons if r.code == "all_clear"} == {
        "studio/apache-2.0",
        "studio/cc-by-4.0-lora",
    }


def test_the_rules_stand_in_the_order_of_the_policy():
    assert [rule.id for rule in RULES] == sorted(rule.id for rule in RULES)
    assert {rule.id for rule in RULES} == {f"P{number}" for number in range(1, 10)}
    assert RULES[0].sentence == "what is unknown is not permitted"


def test_the_proof_says_which_rule_found_what():
    findings = findings_of(make_case([make_component("cc-by-nc-4.0")], SHIP, TERMS))
    denying = [
        finding.rule.id for finding in findings if any(r.ruling is Ruling.DENY for r in finding.reasons)
    ]
    assert len(findings) == len(RULES)
    assert denying == ["P4"]


# --- P1 unknown -------------------------------------------------------------------------


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize(
    "component",
    [make_component(""), make_component("unknown:abc"), make_component("", claims=(tag("newish-1.0"),))],
)
def test_an_unknown_licence_never_permits(act, component):
    verdict = judged(component, use=make_use(act))
    looking = act in {Act.EVALUATE_INTERNAL, Act.RESEARCH_NONCOMMERCIAL}
    assert verdict.ruling is (Ruling.REVIEW if looking else Ruling.DENY)
    assert codes(verdict) & {"licence_missing", "licence_text_unknown"}


def test_a_tag_that_says_other_is_no_licence():
    assert codes(judged(make_component("", claims=(tag("other"),)))) == {"licence_missing"}


def test_an_act_the_text_does_not_address_is_unknown():
    terms = make_terms(acts=())
    assert codes(judged(make_component(), terms=terms)) == {"act_not_addressed"}
    assert judged(make_component(), terms=terms, use=LOOK).ruling is Ruling.REVIEW


def test_a_clause_that_nobody_read_is_for_a_person():
    acts = tuple(replace(term, verified=False) for term in TERMS["apache-2.0"].acts)
    verdict = judged(make_component(), terms=make_terms(acts=acts))
    assert verdict.ruling is Ruling.REVIEW
    assert codes(verdict) == {"term_unverified"}


# --- P2 pins ----------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["main", "", "abc123", "A" * 40, "g" * 40])
def test_a_floating_revision_is_denied(revision):
    assert codes(judged(make_component(revision=revision))) == {"unpinned_revision"}


def test_a_commit_without_file_digests_is_denied():
    assert codes(judged(make_component(pinned=False))) == {"unpinned_revision"}


def test_changed_bytes_are_denied():
    assert codes(judged(make_component(intact=False))) == {"integrity_mismatch"}


# --- P3 contradictions ------------------------------------------------------------------


def test_a_tag_that_contradicts_the_text_is_for_a_person():
    verdict = judged(make_component("apache-2.0", claims=(tag("mit"),)))
    assert verdict.ruling is Ruling.REVIEW
    assert codes(verdict) == {"claim_conflict"}


def test_a_contradiction_denies_where_one_reading_forbids():
    assert judged(make_component("apache-2.0", claims=(tag("cc-by-nc-4.0"),))).ruling is Ruling.DENY
    assert judged(make_component("cc-by-nc-4.0", claims=(tag("apache-2.0"),))).ruling is Ruling.DENY


def test_a_contradiction_denies_where_one_reading_is_unknown():
    assert judged(make_component("apache-2.0", claims=(tag("mystery"),))).ruling is Ruling.DENY
    named = Claim(kind=ClaimKind.LICENSE_NAME, value="my-own-terms")
    assert judged(make_component("apache-2.0", claims=(tag("other"), named))).ruling is Ruling.DENY


def test_a_tag_shared_by_versions_agrees_with_each_of_their_texts():
    for licence in ("openrailpp-sdxl-2023-07-26", "openrailpp-sd2-2022-11-24"):
        assert judged(make_component(licence, claims=(tag("openrail++"),))).is_permit


def test_metadata_inside_the_weights_is_heard_too():
    inside = Claim(kind=ClaimKind.SAFETENSORS_METADATA, value="CC-BY-NC-4.0", path="x.safetensors")
    assert judged(make_component("apache-2.0", claims=(inside,))).ruling is Ruling.DENY


def test_several_texts_all_apply():
    verdict = judged(make_component("", licence_texts=("apache-2.0", "cc-by-nc-4.0")))
    assert codes(verdict) == {"noncommercial_licence"}


def test_a_list_of_tags_all_apply():
    verdict = judged(make_component("", claims=(tag("apache-2.0"), tag("cc-by-nc-4.0"))))
    assert codes(verdict) == {"noncommercial_licence"}
    assert "multi_licence_unscoped" in all_codes(verdict)


def test_a_conclusion_settles_a_contradiction_until_it_expires():
    concluded = Conclusion(
        licences=("apache-2.0",),
        reason="The tag is a slip; the author confirmed it.",
        concluded_by="R. Officer",
        concluded_on=date(2026, 1, 1),
        valid_until=date(2026, 6, 30),
    )
    component = make_component("apache-2.0", claims=(tag("mit"),), conclusions=(concluded,))
    settled = judged(component, use=make_use(on=date(2026, 6, 30)))
    assert settled.is_permit
    assert "concluded_by_a_person" in all_codes(settled)
    assert codes(judged(component, use=make_use(on=date(2026, 7, 1)))) == {"claim_conflict"}
    assert codes(judged(component, use=make_use(on=None))) == {"claim_conflict"}
    unlimited = replace(component, conclusions=(replace(concluded, valid_until=None),))
    assert judged(unlimited, use=make_use(on=None)).is_permit


def test_a_conclusion_holds_for_the_files_in_its_scope_and_for_no_others():
    concluded = Conclusion(
        licences=("apache-2.0",),
        reason="Section one.",
        concluded_by="R. Officer",
        concluded_on=date(2026, 1, 1),
        scope="Hyper-SDXL-*",
    )
    whole = make_component(
        "",
        licence_texts=("apache-2.0", "flux1-dev-nc-1.0"),
        sections_in="LICENSE.md",
        conclusions=(concluded,),
    )
    assert judged(whole.at_path("Hyper-SDXL-8steps-lora.safetensors")).is_permit
    for other in (whole.at_path("Hyper-FLUX.1-dev-8steps-lora.safetensors"), whole):
        verdict = judged(other)
        assert verdict.ruling is Ruling.DENY
        assert {"noncommercial_licence", "multi_licence_unscoped"} <= codes(verdict)
        assert "conclusion_out_of_scope" in all_codes(verdict)


CLAIMED = Conclusion(
    licences=("apache-2.0",),
    reason="He said so.",
    concluded_by="ben",
    concluded_on=date(2026, 1, 1),
    key_id="a" * 64,
    is_claimed=True,
)


def test_a_conclusion_that_no_key_vouches_for_is_told_and_asks_for_a_review():
    verdict = judged(make_component("apache-2.0", conclusions=(CLAIMED,)))
    assert verdict.ruling is Ruling.REVIEW
    (told,) = [reason for reason in verdict.reasons if reason.code == "conclusion_unsigned"]
    assert told.detail == "No key vouches for it that ben concluded on 2026-01-01 (claimed): He said so."
    assert told.licence == "apache-2.0"


def test_a_conclusion_that_no_key_vouches_for_settles_nothing():
    for part, kept in (
        (make_component("", claims=()), "licence_missing"),
        (make_component("cc-by-nc-4.0"), "noncommercial_licence"),
        (make_component("apache-2.0", claims=(tag("mit"),)), "claim_conflict"),
        (make_component("apache-2.0", sections_in="LICENSE.md"), "multi_licence_unscoped"),
    ):
        assert codes(judged(part)) == {kept}
        assert codes(judged(replace(part, conclusions=(CLAIMED,)))) == {kept, "conclusion_unsigned"}


def test_a_conclusion_that_no_key_vouches_for_may_still_forbid():
    strict = replace(CLAIMED, licences=("cc-by-nc-4.0",))
    verdict = judged(make_component("apache-2.0", conclusions=(strict,)))
    assert verdict.ruling is Ruling.DENY
    assert codes(verdict) == {"conclusion_unsigned"}


def test_a_signed_conclusion_outranks_what_was_only_claimed_before_it_and_nothing_that_was_since():
    signed = replace(CLAIMED, is_claimed=False)
    older = make_component("apache-2.0", claims=(tag("mit"),), conclusions=(signed, CLAIMED))
    newer = replace(older, conclusions=(CLAIMED, signed))
    assert judged(older).is_permit
    assert codes(judged(newer)) == {"conclusion_unsigned"}
    assert "concluded_by_a_person" in all_codes(judged(newer))


def test_the_terms_of_a_parent_reach_its_offspring_where_they_were_only_concluded_in_name():
    parent = make_component("apache-2.0", repo="o/parent", conclusions=(CLAIMED,))
    child = make_component(
        "apache-2.0", edges=(Edge(kind=EdgeKind.FINETUNED_FROM, to="o/parent", parent=parent),)
    )
    assert codes(judged(child)) == {"conclusion_unsigned"}


def test_without_a_conclusion_that_tells_files_apart_a_file_is_its_repository():
    assert make_component().at_path("x.safetensors") == make_component()


# --- P4 conditions, territory, lineage --------------------------------------------------

CAP = Condition(
    id="cap",
    attribute="annual_revenue_usd",
    comparison=Comparison.AT_MOST,
    value=1_000_000,
    scope="entity and affiliates",
    acts=tuple(Act),
    if_false=Ruling.DENY,
    code="revenue_cap_exceeded",
    clause="5",
    detail="Above USD 1M of yearly revenue the licence ends.",
    remedy="A paid licence.",
    verified=True,
)


@pytest.mark.parametrize(
    ("comparison", "revenue", "holds"),
    [
        (Comparison.AT_MOST, 1_000_000, True),
        (Comparison.AT_MOST, 1_000_001, False),
        (Comparison.BELOW, 1_000_000, False),
        (Comparison.BELOW, 999_999, True),
        (Comparison.AT_LEAST, 1_000_000, True),
        (Comparison.AT_LEAST, 999_999, False),
        (Comparison.ABOVE, 1_000_000, False),
        (Comparison.ABOVE, 1_000_001, True),
    ],
)
def test_a_cap_keeps_its_own_comparator(comparison, revenue, holds):
    terms = make_terms(conditions=(replace(CAP, comparison=comparison),))
    verdict = judged(
        make_component(), terms=terms, use=make_use(organisation=Organisation(annual_revenue_usd=revenue))
    )
    assert codes(verdict) == (set() if holds else {"revenue_cap_exceeded", "paid_licence_required"})


def test_a_figure_that_is_not_known_is_not_zero():
    terms = make_terms(conditions=(CAP,))
    verdict = judged(make_component(), terms=terms, use=make_use(organisation=Organisation()))
    assert verdict.ruling is Ruling.DENY
    assert codes(verdict) == {"predicate_input_missing"}


@pytest.mark.parametrize(
    ("comparison", "kind", "holds"),
    [("in", "nonprofit", True), ("in", "company", False), ("not in", "company", True)],
)
def test_a_condition_on_words_asks_for_membership(comparison, kind, holds):
    condition = replace(CAP, attribute="kind", comparison=Comparison(comparison), value=("nonprofit",))
    verdict = judged(
        make_component(),
        terms=make_terms(conditions=(condition,)),
        use=make_use(organisation=Organisation(kind=kind)),
    )
    assert verdict.is_permit is holds


def test_a_condition_speaks_only_of_its_acts():
    terms = make_terms(conditions=(replace(CAP, acts=(Act.HOST_SERVICE_COMMERCIAL,)),))
    assert judged(make_component(), terms=terms, use=make_use(organisation=Organisation())).is_permit


def test_an_unread_condition_is_for_a_person_even_where_it_holds():
    assert codes(judged(make_component(), terms=make_terms(conditions=(replace(CAP, verified=False),)))) == {
        "term_unverified"
    }


@pytest.mark.parametrize(
    ("territories", "expected"),
    [
        (("US",), set()),
        (("US", "FR"), {"territory_excluded"}),
        (("WORLD",), {"territory_excluded"}),
        ((), {"predicate_input_missing"}),
    ],
)
def test_an_excluded_territory_denies(territories, expected):
    terms = make_terms(territory=Territory(excluded=("FR", "KR"), clause="1", verified=True))
    assert codes(judged(make_component(), terms=terms, use=make_use(territories=territories))) == expected


def test_an_unread_territory_is_for_a_person():
    terms = make_terms(territory=Territory(excluded=("FR",), clause="1", verified=False))
    assert codes(judged(make_component(), terms=terms, use=make_use(territories=("US",)))) == {
        "term_unverified"
    }


def test_an_adapter_is_never_freer_than_its_base_even_when_the_base_is_elsewhere():
    base = make_component("cc-by-nc-4.0")
    verdict = judged(make_lora("mit", base))
    assert verdict.ruling is Ruling.DENY
    assert codes(verdict) == {"noncommercial_licence", "inherited_restriction", "claim_looser_than_base"}


def test_terms_come_down_over_several_generations():
    grandparent = make_component("cc-by-nc-4.0")
    merge = make_component(
        "mit",
        repo="studio/merge",
        edges=(Edge(kind=EdgeKind.MERGE_OF, to=grandparent.repo, parent=grandparent),),
    )
    assert judged(make_lora("mit", merge)).ruling is Ruling.DENY


def test_an_adapter_of_a_model_nobody_recorded_is_unknown():
    lost = Edge(kind=EdgeKind.ADAPTER_OF, to="somebody/else")
    assert codes(judged(make_lora(edges=(lost,)))) == {"base_unknown"}
    assert judged(make_lora(edges=(lost,))).ruling is Ruling.DENY
    assert judged(make_lora(edges=(lost,)), use=LOOK).ruling is Ruling.REVIEW


def test_an_adapter_that_names_no_base_is_for_a_person():
    assert codes(judged(make_lora(edges=()))) == {"base_unknown"}
    assert judged(make_lora(edges=())).ruling is Ruling.REVIEW


def test_an_adapter_on_a_foreign_base_is_for_a_person():
    other = make_component(repo="studio/other")
    assert codes(judged(other, make_lora(parent=make_component()))) == {"base_mismatch"}


def test_an_adapter_of_the_parent_fits_its_finetunes():
    origin = make_component(repo="studio/origin")
    tuned = make_component(
        repo="studio/tuned", edges=(Edge(kind=EdgeKind.FINETUNED_FROM, to=origin.repo, parent=origin),)
    )
    assert judged(tuned, make_lora(parent=origin)).is_permit


def test_a_descent_the_text_does_not_cover_is_not_inherited():
    parent = make_component("cc-by-nc-4.0")
    student = make_component(
        edges=(Edge(kind=EdgeKind.TRAINED_ON_OUTPUTS_OF, to=parent.repo, parent=parent),)
    )
    assert codes(judged(student)) == {"noncommercial_licence"}  # training it for money was not allowed
    assert judged(student).ruling is Ruling.REVIEW
    assert judged(student, use=make_use(Act.CHARITABLE_USE)).is_permit
    unread = make_terms("cc-by-nc-4.0", lineage=Lineage(covers=(), clause="1", verified=False))
    assert judged(student, terms=unread).ruling is Ruling.DENY


def test_use_restrictions_that_an_adapter_drops_are_for_a_person():
    base = make_component("openrailpp-sdxl-2023-07-26")
    verdict = judged(base, make_lora("mit", base))
    assert verdict.ruling is Ruling.REVIEW
    assert codes(verdict) == {"use_restrictions_dropped"}
    assert judged(base, make_lora("openrailpp-sdxl-2023-07-26", base)).is_permit


def test_obligations_are_united_over_parts_and_ancestors():
    base = make_component("creativeml-openrail-m-2022-08-22")
    verdict = judged(make_lora("cc-by-4.0", base))
    assert {(owed.id, owed.component) for owed in verdict.obligations} == {
        ("attribution", "studio/cc-by-4.0-lora"),
        ("use_restrictions_flow_down", base.repo),
    }
    assert all("{component}" not in owed.text for owed in verdict.obligations)
