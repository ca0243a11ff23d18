"""P2, P6 and P8: exact bytes, accepted gates, and nothing that runs."""

import re
from collections.abc import Iterator

from policy.verdicts import Reason, Ruling
from registry.licences.case import Case, Part
from registry.licences.term_reasons import bought_here, evidence_reasons

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
            if bought_here(case, licence, part.loaded_repo) is None:
                yield from evidence_reasons(licence, part.place, case.use)


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
