"""The verdict on a stack: every rule asked, every reason kept, the strictest deciding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy.uses import IntendedUse
from policy.verdicts import Obligation, Reason, Ruling, Verdict, from_reasons
from registry.licences.case import Case, make_case
from registry.licences.claims import LicensedComponent
from registry.licences.identity import TermsById
from registry.licences.rules import RULES


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one rule found."""

    rule: str  # P1 to P9
    sentence: str
    reasons: tuple[Reason, ...]


def evaluate(components: Sequence[LicensedComponent], use: IntendedUse, terms: TermsById) -> Verdict:
    """May these artefacts together be used so? Nothing at all is refused, because nothing known means no."""
    case = make_case(components, use, terms)
    reasons = tuple(reason for rule in RULES for reason in rule.check(case))
    return from_reasons((*reasons, *_all_clear(case, reasons)), obligations(case))


def proof(components: Sequence[LicensedComponent], use: IntendedUse, terms: TermsById) -> tuple[Finding, ...]:
    """The same question answered rule by rule, rules that found nothing included."""
    case = make_case(components, use, terms)
    return tuple(
        Finding(rule=rule.id, sentence=rule.sentence, reasons=tuple(rule.check(case))) for rule in RULES
    )


def obligations(case: Case) -> tuple[Obligation, ...]:
    """The union of what every licence of every part, ancestors included, asks for the act."""
    return tuple(
        Obligation(
            id=duty.id,
            text=duty.text.replace("{component}", part.component.place),
            when=duty.when,
            component=part.component.place,
            licence=licence.id,
        )
        for part in case.parts
        for licence in case.known(part)
        for duty in licence.duties
        if case.use.act in duty.acts
    )


def _all_clear(case: Case, reasons: Sequence[Reason]) -> Iterator[Reason]:
    """Say so where nothing speaks against a component that was granted something."""
    blamed = {reason.component for reason in reasons if reason.ruling is not Ruling.PERMIT}
    granted = {reason.component for reason in reasons if reason.code == "granted"}
    for part in case.loaded:
        place = part.component.place
        if place in granted and place not in blamed:
            licences = ", ".join(part.identity.licences)
            yield Reason(
                code="all_clear",
                ruling=Ruling.PERMIT,
                detail=f"Pinned, licensed under {licences}, and nothing speaks against the use.",
                component=place,
            )
