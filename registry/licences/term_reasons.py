"""What one licence says to one use: its stance, its conditions, its territory, what must be shown."""

import operator
from collections.abc import Callable, Iterator, Sequence

from policy.uses import IntendedUse, Organisation
from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import unknown_ruling
from registry.licences.identity import TermsById
from registry.licences.terms import ActTerm, Comparison, Condition, LicenceTerms, RequiredEvidence, Stance

WORLD = "WORLD"


def stance_reasons(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    """Does the text grant the act? An act it does not mention is unknown, and so is an unread clause."""
    term = licence.on(use.act)
    if term is None:
        yield Reason(
            code="act_not_addressed",
            ruling=unknown_ruling(use.act),
            detail=f"{licence.name} says nothing that is known of {use.act}.",
            component=place,
            licence=licence.id,
        )
        return
    yield _reason(term, _STANCES[term.stance], licence, place)
    if not term.verified:
        yield _unverified(licence, place, term.clause)


def condition_reasons(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    """Are the conditions on the organisation met, and does the grant reach the territories?"""
    for condition in licence.conditions:
        if use.act in condition.acts:
            yield from _condition(condition, licence, place, use)
    yield from _territory(licence, place, use)


def evidence_reasons(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    """Is everything shown that the text asks to be shown?"""
    for needed in licence.evidence:
        if use.act in needed.acts and needed.id not in use.evidence:
            yield _reason(needed, needed.if_missing, licence, place)


def ruling_on(licences: Sequence[str], use: IntendedUse, terms: TermsById) -> Ruling:
    """What these licences together would decide, everything else being in order; none at all is unknown."""
    rulings = [unknown_ruling(use.act)] if not licences else []
    for licence in licences:
        if licence not in terms:
            rulings.append(unknown_ruling(use.act))
            continue
        known = terms[licence]
        for question in (stance_reasons, condition_reasons, evidence_reasons):
            rulings += [reason.ruling for reason in question(known, "", use)]
    return max(rulings, key=SEVERITY.__getitem__)


_FIGURES: dict[Comparison, Callable[[int, int], bool]] = {
    Comparison.AT_MOST: operator.le,
    Comparison.BELOW: operator.lt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.ABOVE: operator.gt,
}
_STANCES = {Stance.ALLOW: Ruling.PERMIT, Stance.REVIEW: Ruling.REVIEW, Stance.DENY: Ruling.DENY}


def _condition(condition: Condition, licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    known = _figure(use.organisation, condition.attribute)
    if known is None:
        yield Reason(
            code="predicate_input_missing",
            ruling=unknown_ruling(use.act),
            detail=f"{condition.detail} The organisation's {condition.attribute} is not known.",
            component=place,
            licence=licence.id,
            clause=condition.clause,
        )
    elif not _holds(known, condition):
        yield _reason(condition, condition.if_false, licence, place)
    if not condition.verified:
        yield _unverified(licence, place, condition.clause)


def _figure(organisation: Organisation, attribute: str) -> int | str | None:
    figure: int | str | None = getattr(organisation, attribute)
    return figure


def _holds(known: int | str, condition: Condition) -> bool:
    """Figures are compared with one figure, words with a list of them."""
    value = condition.value
    if isinstance(value, tuple):
        return (known in value) is (condition.comparison is Comparison.ONE_OF)
    return _FIGURES[condition.comparison](int(known), value)


def _territory(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    excluded = set(licence.territory.excluded)
    if not excluded:
        return
    if not use.territories:
        yield Reason(
            code="predicate_input_missing",
            ruling=unknown_ruling(use.act),
            detail=f"{licence.name} excludes {', '.join(sorted(excluded))}; where it is used is not known.",
            component=place,
            licence=licence.id,
            clause=licence.territory.clause,
        )
        return
    struck = sorted(excluded if WORLD in use.territories else excluded & set(use.territories))
    if struck:
        yield Reason(
            code="territory_excluded",
            ruling=Ruling.DENY,
            detail=f"{licence.name} grants nothing in {', '.join(struck)}.",
            component=place,
            licence=licence.id,
            clause=licence.territory.clause,
        )
    if not licence.territory.verified:
        yield _unverified(licence, place, licence.territory.clause)


def _reason(
    fact: ActTerm | Condition | RequiredEvidence, ruling: Ruling, licence: LicenceTerms, place: str
) -> Reason:
    return Reason(
        code=fact.code,
        ruling=ruling,
        detail=fact.detail,
        component=place,
        licence=licence.id,
        clause=fact.clause,
    )


def _unverified(licence: LicenceTerms, place: str, clause: str) -> Reason:
    return Reason(
        code="term_unverified",
        ruling=Ruling.REVIEW,
        detail=f"What {licence.name} says here was not read in its text; somebody has to read it.",
        component=place,
        licence=licence.id,
        clause=clause,
    )
