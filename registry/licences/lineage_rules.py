"""P4, second half, and P5: what offspring inherit, which base they fit, and how weights may leave."""

from collections.abc import Iterator

from policy.stacks import Role
from policy.uses import Act
from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import (
    ADAPTERS,
    CONVEYS_WEIGHTS,
    MERELY_LOOKS,
    Case,
    Part,
    ancestors,
    reaches,
    unknown_ruling,
)
from registry.licences.identity import identity_of
from registry.licences.term_reasons import bought_here, part_ruling, ruling_on
from registry.licences.terms import EdgeKind, Stance


def offspring_inherit_their_parents_terms(case: Case) -> Iterator[Reason]:
    """P4: an adapter, merge, conversion or distillation is never freer than what it came from."""
    for part in case.parts:
        yield from _unknown_parents(part, case)
        if not part.is_loaded:
            yield from _handed_down(part, case)


def what_was_trained_on_outputs_was_allowed_to_be(case: Case) -> Iterator[Reason]:
    """P4: where outputs must not train other models, a model that they trained is for a person."""
    if case.use.act in {*MERELY_LOOKS, Act.CHARITABLE_USE}:
        return
    for part in case.parts:
        for edge in part.component.edges:
            parent = edge.parent
            if edge.kind is not EdgeKind.TRAINED_ON_OUTPUTS_OF or parent is None:
                continue
            if reaches(edge, parent, case.use, case.terms):
                continue  # inherited as a whole
            for licence in identity_of(parent, case.terms, case.use.on).licences:
                terms = case.terms[licence]
                term = terms.on(Act.TRAIN_ON_OUTPUT_COMMERCIAL)
                if term is not None and term.stance is Stance.ALLOW:
                    continue
                code = "act_not_addressed" if term is None else term.code
                clause = "" if term is None else term.clause
                detail = (
                    f"It was trained on outputs of {parent.place}, which {terms.name} does not plainly allow."
                )
                yield _on(part.place, code, Ruling.REVIEW, detail, licence, clause)


def adapters_fit_their_base(case: Case) -> Iterator[Reason]:
    """P4: an adapter made for another model carries terms of a model that is not here."""
    bases = [part.component for part in case.loaded if part.component.role is Role.BASE]
    for part in case.loaded:
        component = part.component
        if component.role not in ADAPTERS or not component.edges:
            continue
        for base in bases:
            if not ancestors(component) & ancestors(base):
                made_for = ", ".join(sorted({edge.to for edge in component.edges}))
                yield _on(
                    component.place,
                    "base_mismatch",
                    Ruling.REVIEW,
                    f"It was made for {made_for} and is used on {base.repo}.",
                )


def weights_leave_under_a_licence_that_suits_all(case: Case) -> Iterator[Reason]:
    """P5: demands on the outgoing licence are intersected; share-alike with no common ground denies."""
    if case.use.act not in CONVEYS_WEIGHTS:
        return
    demands = [
        (part.component.place, licence)
        for part in case.parts
        for licence in case.known(part)
        if licence.lineage.outbound and bought_here(case, licence, part.loaded_repo) is None
    ]
    stated = case.use.outbound_licence
    for place, licence in demands:
        share_alike = licence.lineage.share_alike
        if stated is None and share_alike:
            detail = (
                f"{licence.name} binds the licence of derived weights, and no outgoing licence is stated."
            )
            yield _on(
                place, "predicate_input_missing", Ruling.DENY, detail, licence.id, licence.lineage.clause
            )
        elif stated is not None and stated not in licence.lineage.outbound:
            code = "share_alike_violated" if share_alike else "use_restrictions_dropped"
            detail = f"{licence.name} does not let derived weights go out under {stated}."
            yield _on(place, code, Ruling.DENY, detail, licence.id, licence.lineage.clause)
    common = set.intersection(*(set(licence.lineage.outbound) for _, licence in demands)) if demands else {""}
    if not common and any(licence.lineage.share_alike for _, licence in demands):
        for place, licence in demands:
            detail = (
                "The licences of this stack leave no licence under which its weights could go out together."
            )
            yield _on(place, "share_alike_conflict", Ruling.DENY, detail, licence.id, licence.lineage.clause)


def _unknown_parents(part: Part, case: Case) -> Iterator[Reason]:
    component = part.component
    for edge in component.edges:
        if edge.parent is None:
            parent = edge.to or "a model without a name"
            detail = f"It comes from {parent}, whose licence is not on record. Pin that repository as well."
            yield _on(component.place, "base_unknown", unknown_ruling(case.use.act), detail)
        elif edge.parent.is_origin:
            known = ", ".join(edge.parent.licence_texts)
            detail = f"{edge.to} is not described; it is known to have gone out under {known}."
            yield _on(component.place, "base_from_the_list_of_origins", Ruling.PERMIT, detail)
    if component.role in ADAPTERS and not component.edges:
        yield _on(
            component.place,
            "base_unknown",
            Ruling.REVIEW,
            "It is an adapter and does not say of which model.",
        )


def _handed_down(part: Part, case: Case) -> Iterator[Reason]:
    """What a parent's terms mean for the component that inherits them."""
    parent = part.component
    theirs = ruling_on(case, part.identity.licences, part.loaded_repo)
    heirs = [heir for heir in case.parts if heir.component.place == part.heir]
    if theirs is not Ruling.PERMIT:
        yield _on(
            part.heir,
            "inherited_restriction",
            theirs,
            f"It comes from {parent.place}, whose terms do not permit the use.",
        )
    for heir in heirs:
        own = part_ruling(case, heir)
        if SEVERITY[own] < SEVERITY[theirs]:
            detail = f"Its own licence reads looser than that of {parent.place}, which it comes from."
            yield _on(part.heir, "claim_looser_than_base", theirs, detail)
        binding = [licence for licence in case.known(part) if licence.restrictions.must_flow_down]
        kept = any(licence.restrictions.must_flow_down for licence in case.known(heir))
        for licence in () if kept or not heir.identity.licences else binding:
            detail = f"{licence.name} binds offspring to its use restrictions; the licence here drops them."
            yield _on(
                part.heir,
                "use_restrictions_dropped",
                Ruling.REVIEW,
                detail,
                licence.id,
                licence.restrictions.clause,
            )


def _on(place: str, code: str, ruling: Ruling, detail: str, licence: str = "", clause: str = "") -> Reason:
    return Reason(code=code, ruling=ruling, detail=detail, component=place, licence=licence, clause=clause)
