"""The proof of a verdict as a tree: rule, component, reason, licence or claim, words of the clause."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy.verdicts import SEVERITY, Reason, Ruling, Verdict
from registry.licences.case import Case, Part
from registry.licences.claims import ClaimKind
from registry.licences.evaluation import Finding
from registry.licences.identity import Basis
from registry.licences.terms import LicenceTerms, Quote

OUTSIDE = {Ruling.PERMIT: "allow", Ruling.REVIEW: "needs_approval", Ruling.DENY: "deny"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProofNode:
    """One step of the reasoning, resting on the steps below it."""

    kind: str  # verdict, rule, component, reason, claim, licence or clause
    name: str  # such as "P4", a repository, a reason code, a licence id or a clause
    says: str  # one sentence for a person; of a clause: its own words
    verdict: str | None = None  # allow, needs_approval or deny: what this step alone would decide
    source: str | None = None  # of a licence or clause: where the text was read, and which words it has
    because: tuple["ProofNode", ...] = ()  # what it rests on


def prove(case: Case, findings: Sequence[Finding], verdict: Verdict) -> ProofNode:
    """Why the verdict is what it is, down to the clause; rules that found nothing are left out."""
    told = {reason.code for reason in verdict.reasons}
    return ProofNode(
        kind="verdict",
        name=case.use.act.value,
        says=f"{len(case.components)} artefacts together: {', '.join(sorted(told)) or 'nothing known'}.",
        verdict=OUTSIDE[verdict.ruling],
        because=tuple(_rule(case, finding) for finding in findings if finding.reasons),
    )


def lines(node: ProofNode, depth: int = 0) -> Iterator[str]:
    """The tree as indented lines for a person."""
    ruling = f" [{node.verdict}]" if node.verdict else ""
    source = f" ({node.source})" if node.source else ""
    yield f"{'  ' * depth}{node.name}{ruling}: {node.says}{source}"
    for below in node.because:
        yield from lines(below, depth + 1)


def _rule(case: Case, finding: Finding) -> ProofNode:
    places = dict.fromkeys(reason.component for reason in finding.reasons)
    return ProofNode(
        kind="rule",
        name=finding.rule.id,
        says=f"{finding.rule.sentence}.",
        verdict=_strictest(finding.reasons),
        because=tuple(_component(case, place, finding.reasons) for place in places),
    )


def _component(case: Case, place: str, reasons: Sequence[Reason]) -> ProofNode:
    part = next((part for part in case.parts if part.place == place), None)
    own = tuple(dict.fromkeys(reason for reason in reasons if reason.component == place))
    return ProofNode(
        kind="component",
        name=place,
        says=_rests_on(part) if part is not None else "It is not in the stack.",
        verdict=_strictest(own),
        because=tuple(_reason(case, part, reason) for reason in own),
    )


def _rests_on(part: Part) -> str:
    licences = ", ".join(part.identity.licences) or "no licence"
    descent = "" if part.is_loaded else f", and {part.heir} comes from it"
    return f"{licences}, by {part.identity.basis}{descent}."


def _reason(case: Case, part: Part | None, reason: Reason) -> ProofNode:
    terms = case.terms.get(reason.licence)
    below = [_licence(terms, reason)] if terms is not None else []
    if part is not None:
        below += _claims(part)
    return ProofNode(
        kind="reason",
        name=reason.code,
        says=reason.detail,
        verdict=OUTSIDE[reason.ruling],
        because=tuple(below),
    )


def _claims(part: Part) -> Iterator[ProofNode]:
    """What the licence of a component was concluded from."""
    concluded = part.identity.conclusion
    for one in (*part.identity.claimed, *(() if concluded is None else (concluded,))):
        standing = f" ({one.standing})" if one.standing else ""
        says = f"{', '.join(one.licences)}: {one.reason}"
        yield ProofNode(kind="claim", name=f"conclusion of {one.concluded_by}{standing}", says=says)
    if part.identity.basis is Basis.TEXT:
        texts = ", ".join(part.component.licence_texts)
        yield ProofNode(kind="claim", name="licence text at the pin", says=texts)
    for claim in part.component.claims:
        if claim.kind is not ClaimKind.LICENCE_FILE:
            yield ProofNode(kind="claim", name=claim.kind.value, says=claim.value, source=claim.path or None)
    for voice in part.identity.dissent:
        if voice.kind is ClaimKind.UPLOADER_COPY:
            yield ProofNode(kind="claim", name=voice.kind.value, says=voice.value, source=voice.where)


def _licence(terms: LicenceTerms, reason: Reason) -> ProofNode:
    digest = terms.source.text_sha256
    words = f"sha256 {digest[:12]} (normalised)" if digest else "text not at hand"
    return ProofNode(
        kind="licence",
        name=terms.id,
        says=terms.name,
        source=f"{terms.source.read_from}, read {terms.source.read_on}, {words}",
        because=tuple(
            ProofNode(kind="clause", name=quote.clause, says=f'"{quote.words}"', source=terms.source.url)
            for quote in _quoted(terms, reason.clause)
        )
        or tuple(_cited(terms, reason.clause)),
    )


def _quoted(terms: LicenceTerms, clause: str) -> tuple[Quote, ...]:
    return tuple(quote for quote in terms.quotes if clause and _cites(clause, quote.clause))


def _cites(clause: str, name: str) -> bool:
    """Is this one of the clauses that are cited? "3" is not cited by "2; 13"."""
    return bool(re.search(rf"(^|[;,] |with | and ){re.escape(name)}($|[;,]| and )", clause))


def _cited(terms: LicenceTerms, clause: str) -> Iterator[ProofNode]:
    if clause:
        yield ProofNode(kind="clause", name=clause, says="Read there; not quoted.", source=terms.source.url)


def _strictest(reasons: Sequence[Reason]) -> str:
    ruling = max((reason.ruling for reason in reasons), key=SEVERITY.__getitem__, default=Ruling.PERMIT)
    return OUTSIDE[ruling]
