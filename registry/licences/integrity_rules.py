"""P2, P6, P7 and P8: exact bytes, accepted gates, changes after the pin, and nothing that runs."""

import re
from collections.abc import Iterator

from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import Case, Part
from registry.licences.term_reasons import evidence_reasons, ruling_on
from registry.licences.terms import Binding

COMMIT = re.compile(r"[0-9a-f]{40}")


def artefacts_are_pinned_and_unchanged(case: Case) -> Iterator[Reason]:
    """P2: a floating name or a changed file could be anything."""
    for part in case.loaded:
        component = part.component
        if not COMMIT.fullmatch(component.revision):
            yield _on(
                part,
                "unpinned_revision",
                Ruling.DENY,
                f'"{component.revision or "no revision"}" is not a 40-hex commit. Pin it.',
            )
        elif not component.pinned:
            yield _on(
                part, "unpinned_revision", Ruling.DENY, "Its files are not pinned by sha256 and size. Pin it."
            )
        if not component.intact:
            yield _on(part, "integrity_mismatch", Ruling.DENY, "The bytes on disk are not the pinned ones.")


def gates_are_accepted_and_evidence_is_shown(case: Case) -> Iterator[Reason]:
    """P6: a gate needs its acceptance, a registration its proof."""
    for part in case.loaded:
        if part.component.gated and not part.component.gate_accepted:
            yield _on(
                part,
                "gate_acceptance_missing",
                Ruling.REVIEW,
                "Its repository is gated and no acceptance is recorded.",
            )
    for part in case.parts:
        for licence in case.known(part):
            yield from evidence_reasons(licence, part.component.place, case.use)


def later_changes_never_decide_alone(case: Case) -> Iterator[Reason]:
    """P7: what the moving branch says today is looked at, never obeyed by itself."""
    for part in case.loaded:
        now = part.component.texts_on_main
        if now is None or set(now) == set(part.identity.licences):
            continue
        pinned, today = (
            SEVERITY[ruling_on(texts, case.use, case.terms)] for texts in (part.identity.licences, now)
        )
        if today > pinned:
            yield _on(
                part,
                "drift_stricter_after_pin",
                Ruling.PERMIT,
                "Its main branch has stricter terms today than at the pin.",
            )
        else:
            yield _on(
                part,
                "drift_looser_after_pin",
                Ruling.REVIEW,
                "Its main branch has other terms today; they do not reach back to the pin.",
            )
        if any(licence.updating.binding is Binding.AGREEMENT_UPDATES for licence in case.known(part)):
            yield _on(
                part,
                "agreement_updated_binding",
                Ruling.REVIEW,
                "Its terms say that updated terms bind, and they were updated.",
            )


def nothing_is_unpickled_or_executed(case: Case) -> Iterator[Reason]:
    """P8: loading a pickle or foreign code runs it."""
    for part in case.loaded:
        for path in part.component.unsafe_files:
            yield _on(
                part,
                "unsafe_format",
                Ruling.DENY,
                f"{path} could run code when it is loaded; only safetensors are.",
            )


def _on(part: Part, code: str, ruling: Ruling, detail: str) -> Reason:
    return Reason(code=code, ruling=ruling, detail=detail, component=part.component.place)
