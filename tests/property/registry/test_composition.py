"""The laws of composition: whatever the stack, more parts never make a verdict looser."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.stacks import Role
from policy.uses import Act, IntendedUse, Organisation
from policy.verdicts import SEVERITY, Ruling
from registry.licences.claims import Claim, ClaimKind, Edge, LicensedComponent
from registry.licences.evaluation import evaluate
from registry.licences.terms import EdgeKind
from tests.unit.registry.licensing import catalogue

TERMS = catalogue().terms
LICENCES = (*TERMS, "unknown:abc", "no-such-licence")
TAGS = (*(tag for terms in TERMS.values() for tag in terms.hub_tags), "other", "mystery")
EVIDENCE = sorted({needed.id for terms in TERMS.values() for needed in terms.evidence})

tag_claims = st.builds(Claim, kind=st.just(ClaimKind.HUB_TAG), value=st.sampled_from(TAGS))
name_claims = st.builds(
    Claim, kind=st.just(ClaimKind.LICENSE_NAME), value=st.sampled_from(("mit", "own-terms"))
)


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


def severity(stack: list[LicensedComponent], use: IntendedUse) -> int:
    return SEVERITY[evaluate(stack, use, TERMS).ruling]


@given(stacks, uses, st.randoms(use_true_random=False))
def test_the_order_of_the_parts_does_not_matter(stack, use, dice):
    shuffled = list(stack)
    dice.shuffle(shuffled)
    assert evaluate(shuffled, use, TERMS) == evaluate(stack, use, TERMS)


@given(stacks, uses)
def test_saying_a_part_twice_changes_nothing(stack, use):
    assert evaluate([*stack, *stack], use, TERMS) == evaluate(stack, use, TERMS)


@settings(max_examples=300)
@given(stacks, anyone, uses)
def test_another_part_never_loosens_a_verdict(stack, more, use):
    assert severity([*stack, more], use) >= severity(stack, use)


@given(stacks, anyone, uses)
def test_another_part_never_silences_a_reason_or_lifts_an_obligation(stack, more, use):
    alone, together = evaluate(stack, use, TERMS), evaluate([*stack, more], use, TERMS)
    assert set(alone.against()) <= set(together.against())
    assert set(alone.obligations) <= set(together.obligations)


@given(stacks, uses)
def test_a_stack_is_never_looser_than_its_strictest_part(stack, use):
    assert severity(stack, use) >= max(severity([part], use) for part in stack)


@given(stacks, anyone, uses, st.sampled_from(("", "unknown:abc", "never-heard-of")))
def test_a_stack_with_an_unknown_licence_is_never_permitted(stack, part, use, licence):
    unknown = replace(part, claims=(), licence_texts=(licence,) if licence else ())
    assert not evaluate([*stack, unknown], use, TERMS).is_permit


@given(stacks, uses)
def test_a_permit_rests_on_known_terms_of_every_part(stack, use):
    verdict = evaluate(stack, use, TERMS)
    if verdict.ruling is Ruling.PERMIT:
        granted = {reason.component for reason in verdict.reasons if reason.code == "granted"}
        assert {part.place for part in stack} <= granted
        assert not verdict.against()


@given(anyone, anyone, uses, st.sampled_from(EdgeKind))
def test_inheriting_never_loosens(part, parent, use, kind):
    child = replace(part, edges=(*part.edges, Edge(kind=kind, to=parent.repo, parent=parent)))
    without = replace(part, edges=part.edges or (Edge(kind=kind, to=parent.repo),))
    if part.edges:
        assert severity([child], use) >= severity([without], use)
