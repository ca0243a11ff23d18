"""What the rules look at: every component of a stack, its ancestors, the use and the known terms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from policy.stacks import Role
from policy.uses import Act, IntendedUse
from policy.verdicts import Ruling
from registry.licences.circumstances import ORDINARY, Circumstances
from registry.licences.claims import Edge, LicensedComponent
from registry.licences.identity import Identity, TermsById, identity_of
from registry.licences.terms import LicenceTerms

# What a role that nobody knows does is not known either: it has to name what it belongs to.
ADAPTERS = frozenset(
    {Role.DISTILL_LORA, Role.LORA, Role.MOTION_ADAPTER, Role.CONTROLNET, Role.IP_ADAPTER, Role.OTHER}
)
CONVEYS_WEIGHTS = frozenset({Act.DISTRIBUTE_WEIGHTS})
MERELY_LOOKS = frozenset({Act.EVALUATE_INTERNAL, Act.RESEARCH_NONCOMMERCIAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A component with its licences, as itself or as an ancestor whose terms are inherited."""

    component: LicensedComponent
    identity: Identity
    heir: str = ""  # place of the component that inherits; "" where the part is loaded itself
    loaded_repo: str = ""  # repository of the loaded component at the end of the line

    @property
    def is_loaded(self) -> bool:
        return not self.heir

    @property
    def place(self) -> str:
        return self.component.place


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A whole question: these artefacts together, for this use, under these terms."""

    components: tuple[LicensedComponent, ...]
    parts: tuple[Part, ...]
    use: IntendedUse
    terms: TermsById
    circumstances: Circumstances = ORDINARY

    @property
    def loaded(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_loaded)

    def known(self, part: Part) -> tuple[LicenceTerms, ...]:
        """The terms of a part's licences, where a term file has them."""
        return tuple(self.terms[licence] for licence in part.identity.licences if licence in self.terms)

    def for_act(self, act: Act) -> "Case":
        """The same question about another act."""
        return replace(self, use=replace(self.use, act=act))


def make_case(
    components: Sequence[LicensedComponent],
    use: IntendedUse,
    terms: TermsById,
    circumstances: Circumstances = ORDINARY,
) -> Case:
    """Lay out a question; ancestors come along wherever their terms reach their offspring."""
    parts = tuple(
        part
        for component in components
        for part in _with_ancestors(component, use, terms, heir="", loaded=component.repo)
    )
    return Case(components=tuple(components), parts=parts, use=use, terms=terms, circumstances=circumstances)


def unknown_ruling(act: Act) -> Ruling:
    """What is not known: a person decides for looking at a model inside, nothing else is allowed."""
    return Ruling.REVIEW if act in MERELY_LOOKS else Ruling.DENY


def ancestors(component: LicensedComponent) -> frozenset[str]:
    """Every repository a component says it comes from, and itself."""
    names = {component.repo}
    for edge in component.edges:
        names.add(edge.to)
        if edge.parent is not None:
            names |= ancestors(edge.parent)
    return frozenset(names)


def reaches(edge: Edge, parent: LicensedComponent, use: IntendedUse, terms: TermsById) -> bool:
    """Do the parent's terms define this offspring as a derivative? Unknown terms reach everything."""
    identity = identity_of(parent, terms, use.on)
    known = [terms[licence] for licence in identity.licences if licence in terms]
    if not known or len(known) < len(identity.licences) or identity.dissent or identity.claimed:
        return True
    return any(edge.kind in licence.lineage.covers or not licence.lineage.verified for licence in known)


def _with_ancestors(
    component: LicensedComponent, use: IntendedUse, terms: TermsById, heir: str, loaded: str
) -> Iterator[Part]:
    identity = identity_of(component, terms, use.on)
    yield Part(component=component, identity=identity, heir=heir, loaded_repo=loaded)
    for edge in component.edges:
        if edge.parent is not None and reaches(edge, edge.parent, use, terms):
            yield from _with_ancestors(edge.parent, use, terms, heir=component.place, loaded=loaded)
