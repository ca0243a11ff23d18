"""P1, P3 and P9: what is unknown, what is contradicted, and what rests on a tag alone."""

from collections.abc import Iterator

from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import Case, Part, unknown_ruling
from registry.licences.identity import Basis, Voice
from registry.licences.term_reasons import ruling_on
from registry.licences.unseen import what_would_settle


def what_is_unknown_is_not_permitted(case: Case) -> Iterator[Reason]:
    """P1: no licence, or one that no term file knows, permits nothing."""
    for part in case.parts:
        if not part.identity.licences:
            yield _on(
                part,
                "licence_missing",
                unknown_ruling(case.use.act),
                "No licence is stated, and none is not the same as free.",
            )
        for licence in part.identity.licences:
            if licence not in case.terms:
                yield _on(
                    part,
                    "licence_text_unknown",
                    unknown_ruling(case.use.act),
                    what_would_settle(licence),
                    licence,
                )


def claims_that_disagree_are_settled_by_a_person(case: Case) -> Iterator[Reason]:
    """P3: a contradiction never takes the looser reading; it denies where one forbids or is unknown."""
    for part in case.parts:
        for voice in part.identity.dissent:
            yield _on(
                part,
                "claim_conflict",
                _conflict_ruling(voice, case),
                _contradiction(part, voice),
                voice.means[0],
            )
        concluded = part.component.conclusion
        if part.identity.basis is Basis.CONCLUSION and concluded is not None:
            detail = f"{concluded.concluded_by} concluded on {concluded.concluded_on}: {concluded.reason}"
            yield _on(part, "concluded_by_a_person", Ruling.PERMIT, detail)


def a_tag_without_a_text_is_only_a_declaration(case: Case) -> Iterator[Reason]:
    """P9: a standard tag counts as the uploader's word; a free-text name without its text does not."""
    for part in case.parts:
        if part.identity.basis is Basis.TAG:
            tags = ", ".join(part.identity.tags)
            yield _on(
                part,
                "declared_tag_only",
                Ruling.PERMIT,
                f'Only the tag "{tags}" of its model card says so; there is no LICENSE file.',
            )
            if len(part.identity.tags) > 1:
                yield _on(
                    part,
                    "multi_licence_unscoped",
                    Ruling.PERMIT,
                    f"The card lists {tags} without saying which covers what: all of them apply.",
                )
        if part.identity.basis is Basis.NAME:
            yield _on(
                part,
                "licence_text_unpinned",
                Ruling.REVIEW,
                "Its card names a licence whose text is not in the repository at the pin.",
            )


def _conflict_ruling(voice: Voice, case: Case) -> Ruling:
    return max((Ruling.REVIEW, ruling_on(voice.means, case.use, case.terms)), key=SEVERITY.__getitem__)


def _contradiction(part: Part, voice: Voice) -> str:
    standing = ", ".join(part.identity.licences)
    return f'Its {voice.kind} says "{voice.value}", its {part.identity.basis} says {standing}.'


def _on(part: Part, code: str, ruling: Ruling, detail: str, licence: str = "") -> Reason:
    return Reason(code=code, ruling=ruling, detail=detail, component=part.component.place, licence=licence)
