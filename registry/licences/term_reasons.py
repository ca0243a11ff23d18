"""What one licence says to one use: its stance, its conditions, its territory, what must be shown."""

import operator
from collections.abc import Callable, Iterator, Sequence

from policy.territories import WORLD, countries
from policy.uses import IntendedUse, Organisation
from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import Case, Part, unknown_ruling
from registry.licences.circumstances import PaidLicence
from registry.licences.grants import bought
from registry.licences.terms import ActTerm, Comparison, Condition, LicenceTerms, RequiredEvidence, Stance


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
    yield from _reasons(term, _STANCES[term.stance], licence, place)
    if not term.verified:
        yield _unverified(licence, place, term.clause)


def condition_reasons(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    """Are the conditions on the organisation met?"""
    for condition in licence.conditions:
        if use.act in condition.acts:
            yield from _condition(condition, licence, place, use)


def territory_reasons(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    """Does the grant reach everywhere it is used, and where the organisation itself sits?"""
    excluded = set(licence.territory.excluded)
    if not excluded:
        return
    used = countries(use.territories)
    if not use.territories or used is None:
        yield Reason(
            code="predicate_input_missing",
            ruling=unknown_ruling(use.act),
            detail=f"{licence.name} excludes {', '.join(sorted(excluded))}; where it is used is not known.",
            component=place,
            licence=licence.id,
            clause=licence.territory.clause,
        )
    home = countries((use.organisation.domicile,)) if use.organisation.domicile else frozenset()
    struck = (
        excluded if used is not None and WORLD in used else excluded & ((used or set()) | (home or set()))
    )
    if struck:
        yield Reason(
            code="territory_excluded",
            ruling=Ruling.DENY,
            detail=f"{licence.name} grants nothing in {', '.join(sorted(struck))}.",
            component=place,
            licence=licence.id,
            clause=licence.territory.clause,
        )
    if not licence.territory.verified:
        yield _unverified(licence, place, licence.territory.clause)


def evidence_reasons(licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    """Is everything shown that the text asks to be shown?"""
    for needed in licence.evidence:
        if use.act in needed.acts and needed.id not in use.evidence:
            yield from _reasons(needed, needed.if_missing, licence, place)


def ruling_on(case: Case, licences: Sequence[str], repo: str) -> Ruling:
    """What these licences of a repository would decide, everything else being in order; none is unknown."""
    rulings = [unknown_ruling(case.use.act)] if not licences else [Ruling.PERMIT]
    for licence in licences:
        if licence not in case.terms:
            rulings.append(unknown_ruling(case.use.act))
            continue
        known = case.terms[licence]
        questions: list[Question] = [territory_reasons]
        if bought_here(case, known, repo) is None:
            questions += [stance_reasons, condition_reasons, evidence_reasons]
        for question in questions:
            rulings += [reason.ruling for reason in question(known, "", case.use)]
    return max(rulings, key=SEVERITY.__getitem__)


def part_ruling(case: Case, part: Part) -> Ruling:
    """``ruling_on`` of a part; flags of a page stand in where they are all that is known."""
    if part.component.flags is not None and not part.identity.licences:
        return Ruling.PERMIT
    return ruling_on(case, part.identity.licences, part.loaded_repo)


def bought_here(case: Case, licence: LicenceTerms, repo: str) -> PaidLicence | None:
    """The bought licence that stands in for a public one, for a repository and the act of the case."""
    return bought(case.circumstances.paid, licence, repo, case.use)


Question = Callable[[LicenceTerms, str, IntendedUse], Iterator[Reason]]

_FIGURES: dict[Comparison, Callable[[int, int], bool]] = {
    Comparison.AT_MOST: operator.le,
    Comparison.BELOW: operator.lt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.ABOVE: operator.gt,
}
_WANT_LITTLE = frozenset({Comparison.AT_MOST, Comparison.BELOW})
_STANCES = {Stance.ALLOW: Ruling.PERMIT, Stance.REVIEW: Ruling.REVIEW, Stance.DENY: Ruling.DENY}


def _condition(condition: Condition, licence: LicenceTerms, place: str, use: IntendedUse) -> Iterator[Reason]:
    holds = _holds(condition, use.organisation)
    if holds is None:
        yield Reason(
            code="predicate_input_missing",
            ruling=unknown_ruling(use.act),
            detail=f"{condition.detail} The organisation's {condition.attribute} is not known.",
            component=place,
            licence=licence.id,
            clause=condition.clause,
        )
    elif not holds:
        yield from _reasons(condition, condition.if_false, licence, place)
    if not condition.verified:
        yield _unverified(licence, place, condition.clause)


def is_known(condition: Condition, organisation: Organisation) -> bool:
    """Whether enough is known of an organisation to say if a condition holds."""
    return _holds(condition, organisation) is not None


def _holds(condition: Condition, organisation: Organisation) -> bool | None:
    """Figures are compared with one figure, words with a list of them; None: what is asked is not known.

    A group makes at least what its entity makes: that can break a cap, and never keeps one.
    """
    value = condition.value
    if isinstance(value, tuple):
        word: str | None = getattr(organisation, condition.attribute)
        return None if word is None else (word in value) is (condition.comparison is Comparison.ONE_OF)
    compare = _FIGURES[condition.comparison]
    least, most = _bounds(condition.attribute, organisation)
    sure, against = (most, least) if condition.comparison in _WANT_LITTLE else (least, most)
    if sure is not None and compare(sure, value):
        return True
    return False if against is not None and not compare(against, value) else None


def _bounds(attribute: str, organisation: Organisation) -> tuple[int | None, int | None]:
    """The least and the most that a figure can be."""
    own, group = organisation.annual_revenue_usd, organisation.group_revenue_usd
    if attribute == "group_revenue_usd":
        known = [figure for figure in (own, group) if figure is not None]
        return (max(known) if known else None), (None if group is None else max(known))
    figure: int | None = getattr(organisation, attribute)
    return figure, figure


def _reasons(
    fact: ActTerm | Condition | RequiredEvidence, ruling: Ruling, licence: LicenceTerms, place: str
) -> Iterator[Reason]:
    """What a fact amounts to, and what could be bought instead where the text names it."""
    yield Reason(
        code=fact.code,
        ruling=ruling,
        detail=fact.detail,
        component=place,
        licence=licence.id,
        clause=fact.clause,
    )
    remedy = "" if isinstance(fact, RequiredEvidence) else fact.remedy
    if remedy and ruling is not Ruling.PERMIT:
        yield Reason(
            code="paid_licence_required",
            ruling=ruling,
            detail=f"What would allow it: {remedy[0].lower()}{remedy[1:]}",
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
