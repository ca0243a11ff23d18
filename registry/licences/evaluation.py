"""The verdict on a stack: every rule asked, every reason kept, the strictest deciding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy.uses import IntendedUse
from policy.verdicts import Obligation, Reason, Ruling, Verdict, from_reasons
from registry.licences.case import Case, make_case
from registry.licences.circumstances import ORDINARY, Circumstances
from registry.licences.claims import LicensedComponent
from registry.licences.identity import TermsById
from registry.licences.rules import RULES, Rule

PERMITTING = frozenset({"granted", "grant_applies", "declared_tag_only"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one rule found."""

    rule: Rule
    reasons: tuple[Reason, ...]


def evaluate(
    components: Sequence[LicensedComponent],
    use: IntendedUse,
    terms: TermsById,
    circumstances: Circumstances = ORDINARY,
) -> Verdict:
    """May these artefacts together be used so? Nothing at all is refused, because nothing known means no."""
    case = make_case(components, use, terms, circumstances)
    return verdict_of(case, findings_of(case))


def findings_of(case: Case) -> tuple[Finding, ...]:
    """The question answered rule by rule, rules that found nothing included."""
    return tuple(Finding(rule=rule, reasons=tuple(rule.check(case))) for rule in RULES)


def verdict_of(case: Case, findings: Sequence[Finding]) -> Verdict:
    """What the findings amount to, with what has to be done."""
    reasons = tuple(reason for finding in findings for reason in finding.reasons)
    return from_reasons((*reasons, *_all_clear(case, reasons)), obligations(case))


def obligations(case: Case) -> tuple[Obligation, ...]:
    """The union of what every licence of every part, ancestors and pages included, asks for the act."""
    owed = [
        Obligation(
            id=duty.id,
            text=duty.text.replace("{component}", part.place),
            when=duty.when,
            component=part.place,
            licence=licence.id,
        )
        for part in case.parts
        for licence in case.known(part)
        for duty in licence.duties
        if case.use.act in duty.acts
    ]
    return (*owed, *(credit for part in case.parts for credit in _credit(part.component)))


def _credit(component: LicensedComponent) -> Iterator[Obligation]:
    if component.flags is not None and not component.flags.allows_no_credit:
        yield Obligation(
            id="attribution",
            text=f"Credit the creator of {component.place}, as its page asks.",
            when="every use of the model or of its output",
            component=component.place,
        )


def _all_clear(case: Case, reasons: Sequence[Reason]) -> Iterator[Reason]:
    """Say so where nothing speaks against a component that was granted something."""
    blamed = {reason.component for reason in reasons if reason.ruling is not Ruling.PERMIT}
    granted = {reason.component for reason in reasons if reason.code in PERMITTING}
    for part in case.loaded:
        if part.place in granted and part.place not in blamed:
            under = ", ".join(part.identity.licences) or "the permissions of its page"
            yield Reason(
                code="all_clear",
                ruling=Ruling.PERMIT,
                detail=f"Pinned, licensed under {under}, and nothing speaks against the use.",
                component=part.place,
            )
