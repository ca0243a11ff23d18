"""The laws of composition: whatever the stack, more parts never make a verdict looser."""

from dataclasses import replace
from datetime import date

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.stacks import Role
from policy.uses import Act, Delivery, IntendedUse, Organisation
from policy.verdicts import SEVERITY, Ruling
from registry.licences.circumstances import ORDINARY, Circumstances, PaidLicence
from registry.licences.claims import (
    CivitaiFlags,
    Claim,
    ClaimKind,
    Conclusion,
    Copy,
    Edge,
    LicensedComponent,
)
from registry.licences.evaluation import PERMITTING, evaluate
from registry.licences.remembered import RememberedVerdicts
from registry.licences.terms import EdgeKind
from tests.unit.registry.licensing import catalogue

TERMS = catalogue().terms
# A busy machine is slow to draw and to judge; that says nothing about the laws.
LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LICENCES = (*TERMS, "unknown:abc", "no-such-licence")
TAGS = (*(tag for terms in TERMS.values() for tag in terms.hub_tags), "other", "mystery")
EVIDENCE = sorted({needed.id for terms in TERMS.values() for needed in terms.evidence})

tag_claims = st.builds(Claim, kind=st.just(ClaimKind.HUB_TAG), value=st.sampled_from(TAGS))
name_claims = st.builds(
    Claim, kind=st.just(ClaimKind.LICENSE_NAME), value=st.sampled_from(("mit", "own-terms"))
)
# A few of each, because what matters is how they meet.
COPIES = (
    Copy(repo="o/copy"),
    Copy(repo="o/copy", tags=("mit",)),
    Copy(repo="o/copy", tags=("unknown",)),
    Copy(repo="o/copy", tags=("other",)),
    Copy(repo="o/copy", licence_texts=("cc-by-nc-4.0",)),
)
PAGES = tuple(
    CivitaiFlags(
        commercial_use=uses,
        allows_derivatives=bool(uses),
        allows_no_credit=free,
        allows_other_licence=free,
        is_snapshot=not free,
    )
    for uses in ((), ("Image",), ("Image", "Rent", "Sell"))
    for free in (False, True)
)
CONCLUSIONS = tuple(
    Conclusion(licences=licences, reason="read", concluded_by="officer", concluded_on=None, scope=scope)
    for licences in (("apache-2.0",), ("cc-by-nc-4.0", "mit"), ("no-such-licence",))
    for scope in ("", "a-*")
)
ANY_CONCLUSIONS = tuple(replace(one, is_claimed=claimed) for one in CONCLUSIONS for claimed in (False, True))
copies = st.sampled_from(COPIES)


def components(parents: st.SearchStrategy[LicensedComponent | None]) -> st.SearchStrategy[LicensedComponent]:
    edges = st.builds(
        Edge, kind=st.sampled_from(EdgeKind), to=st.sampled_from(("o/a", "o/b", "o/c")), parent=parents
    )
    return st.builds(
        LicensedComponent,
        repo=st.sampled_from(("o/a", "o/b", "o/c", "o/d")),
        role=st.sampled_from(Role),
        revision=st.sampled_from(("a" * 40, "a" * 40, "main")),
        pinned=st.sampled_from((True, True, True, False)),
        claims=st.lists(tag_claims | name_claims, max_size=2).map(tuple),
        licence_texts=st.lists(st.sampled_from(LICENCES), max_size=2, unique=True).map(tuple),
        edges=st.lists(edges, max_size=2).map(tuple),
        path=st.sampled_from(("", "a-1.safetensors", "b-1.safetensors")),
        copies=st.sampled_from(((), (), *((copy,) for copy in COPIES))),
        flags=st.sampled_from((None, None, *PAGES)),
        sections_in=st.sampled_from(("", "", "LICENSE.md")),
        conclusions=st.sampled_from(((), (), *((one,) for one in ANY_CONCLUSIONS))),
        texts_at_link=st.sampled_from((None, None, ("apache-2.0",), ("nvidia-open-model-2025-10-24",))),
        unsafe_files=st.sampled_from(((), (), ("x.bin",))),
        gated=st.booleans(),
        gate_accepted=st.booleans(),
        texts_on_main=st.none() | st.lists(st.sampled_from(LICENCES), max_size=1).map(tuple),
    )


anyone = components(components(st.none()) | st.none())
stacks = st.lists(anyone, min_size=1, max_size=4)
uses = st.builds(
    IntendedUse,
    act=st.sampled_from(Act),
    organisation=st.builds(
        Organisation,
        annual_revenue_usd=st.none() | st.integers(0, 10**8),
        group_revenue_usd=st.none() | st.integers(0, 10**8),
        mau=st.none() | st.integers(0, 10**9),
        monthly_visits=st.none() | st.integers(0, 10**7),
    ),
    territories=st.sampled_from(((), ("US",), ("KR", "US"), ("WORLD",))),
    evidence=st.lists(st.sampled_from(EVIDENCE), unique=True).map(tuple),
    outbound_licence=st.none() | st.sampled_from(tuple(TERMS)),
)


CIRCUMSTANCES = tuple(
    Circumstances(
        paid=tuple(
            PaidLicence(
                licensor=licensor, repos=repos, acts=tuple(Act), document_sha256=document, valid_until=until
            )
            for licensor in ("Stability AI", "Black Forest Labs")
        ),
        pipeline=pipeline,
    )
    for repos in (("o/a",), ("o/b", "o/c"))
    for document, until in (("e" * 64, None), ("e" * 64, date(2025, 1, 1)), ("", None))
    for pipeline in (Delivery(), Delivery(ai_disclosure=False, removes_provenance_marking=True))
)
circumstances = st.sampled_from((ORDINARY, *CIRCUMSTANCES))


def severity(stack: list[LicensedComponent], use: IntendedUse, around: Circumstances = ORDINARY) -> int:
    return SEVERITY[evaluate(stack, use, TERMS, around).ruling]


@LAW
@given(stacks, uses, st.randoms(use_true_random=False))
def test_the_order_of_the_parts_does_not_matter(stack, use, dice):
    shuffled = list(stack)
    dice.shuffle(shuffled)
    assert evaluate(shuffled, use, TERMS) == evaluate(stack, use, TERMS)


@LAW
@given(stacks, uses)
def test_saying_a_part_twice_changes_nothing(stack, use):
    assert evaluate([*stack, *stack], use, TERMS) == evaluate(stack, use, TERMS)


@settings(LAW, max_examples=300)
@given(stacks, anyone, uses, circumstances)
def test_another_part_never_loosens_a_verdict(stack, more, use, around):
    assert severity([*stack, more], use, around) >= severity(stack, use, around)


@LAW
@given(stacks, uses, st.sampled_from(EVIDENCE))
def test_evidence_never_tightens_a_verdict(stack, use, shown):
    assert severity(stack, replace(use, evidence=(*use.evidence, shown))) <= severity(stack, use)


@LAW
@given(stacks, uses, circumstances)
def test_a_paid_licence_never_tightens_and_never_lifts_a_territory(stack, use, around):
    with_it, without = (evaluate(stack, use, TERMS, each) for each in (around, replace(around, paid=())))
    struck = {reason for reason in without.reasons if reason.code == "territory_excluded"}
    assert struck <= set(with_it.reasons)
    if all(paid.document_sha256 for paid in around.paid):
        assert SEVERITY[with_it.ruling] <= SEVERITY[without.ruling]


@LAW
@given(stacks, uses, st.sampled_from(("FR", "GB", "KR", "US", "WORLD")))
def test_another_territory_never_loosens_a_verdict(stack, use, land):
    served = replace(use, territories=use.territories or ("US",))
    wider = replace(served, territories=(*served.territories, land))
    # Whether later terms are stricter depends on where they are asked about: that is left out here.
    still = [replace(part, texts_on_main=None, texts_at_link=None) for part in stack]
    assert severity(still, wider) >= severity(still, served)


@LAW
@given(stacks, stacks, uses, circumstances)
def test_what_is_owed_and_excluded_is_the_union_over_the_parts(stack, more, use, around):
    apart = [evaluate(part, use, TERMS, around) for part in (stack, more)]
    together = evaluate([*stack, *more], use, TERMS, around)
    assert set(together.obligations) == {duty for one in apart for duty in one.obligations}
    for code in ("territory_excluded", "granted", "revenue_cap_exceeded"):
        told = {reason for one in apart for reason in one.reasons if reason.code == code}
        assert {reason for reason in together.reasons if reason.code == code} == told


@LAW
@given(anyone, uses, copies)
def test_what_is_said_of_the_same_bytes_elsewhere_never_loosens(part, use, copy):
    assert severity([replace(part, copies=(*part.copies, copy))], use) >= severity([part], use)


@settings(LAW, max_examples=300)
@given(anyone, anyone, uses, st.sampled_from(CONCLUSIONS), circumstances)
def test_what_no_key_vouches_for_lets_nothing_through_that_was_not_without_it(part, base, use, drawn, around):
    """Neither on the part itself nor on what it comes from, and never quite in silence."""
    claimed = replace(drawn, is_claimed=True)
    with_it = replace(part, conclusions=(claimed, *part.conclusions))
    assert severity([with_it], use, around) >= severity([part], use, around)
    if claimed.covers(part.path):
        assert not evaluate([with_it], use, TERMS, around).is_permit
    lines = [
        replace(part, edges=(Edge(kind=EdgeKind.MERGE_OF, to=parent.repo, parent=parent),))
        for parent in (base, replace(base, conclusions=(claimed, *base.conclusions)))
    ]
    without, below = (severity([line], use, around) for line in lines)
    assert below >= without


@LAW
@given(anyone, uses, st.lists(st.sampled_from(LICENCES), max_size=1).map(tuple))
def test_what_main_says_after_the_pin_never_loosens(part, use, now):
    before = replace(part, texts_on_main=None)
    assert severity([replace(part, texts_on_main=now)], use) >= severity([before], use)


@LAW
@given(stacks, uses, circumstances)
def test_a_remembered_verdict_is_the_verdict(stack, use, around):
    remembered = RememberedVerdicts(TERMS, most=1)
    for _ in range(2):
        assert remembered.judge(stack, use, around) == evaluate(stack, use, TERMS, around)


@LAW
@given(stacks, anyone, uses)
def test_another_part_never_silences_a_reason_or_lifts_an_obligation(stack, more, use):
    alone, together = evaluate(stack, use, TERMS), evaluate([*stack, more], use, TERMS)
    assert set(alone.against()) <= set(together.against())
    assert set(alone.obligations) <= set(together.obligations)


@LAW
@given(stacks, uses)
def test_a_stack_is_never_looser_than_its_strictest_part(stack, use):
    assert severity(stack, use) >= max(severity([part], use) for part in stack)


@LAW
@given(stacks, anyone, uses, st.sampled_from(("", "unknown:abc", "never-heard-of")))
def test_a_stack_with_an_unknown_licence_is_never_permitted(stack, part, use, licence):
    unknown = replace(
        part, claims=(), licence_texts=(licence,) if licence else (), conclusions=(), flags=None
    )
    assert not evaluate([*stack, unknown], use, TERMS).is_permit


@LAW
@given(stacks, uses)
def test_a_permit_rests_on_known_terms_of_every_part(stack, use):
    verdict = evaluate(stack, use, TERMS)
    if verdict.ruling is Ruling.PERMIT:
        granted = {reason.component for reason in verdict.reasons if reason.code in PERMITTING}
        assert {part.place for part in stack} <= granted
        assert not verdict.against()


@LAW
@given(anyone, anyone, uses, st.sampled_from(EdgeKind))
def test_inheriting_never_loosens(part, parent, use, kind):
    child = replace(part, edges=(*part.edges, Edge(kind=kind, to=parent.repo, parent=parent)))
    without = replace(part, edges=part.edges or (Edge(kind=kind, to=parent.repo),))
    if part.edges:
        assert severity([child], use) >= severity([without], use)
