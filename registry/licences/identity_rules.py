"""P1, P3 and P9: what is unknown, what is contradicted, and what rests on a tag alone."""

from collections.abc import Iterator

from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import Case, Part, ancestors, unknown_ruling
from registry.licences.claims import Conclusion
from registry.licences.identity import Basis, Voice
from registry.licences.term_reasons import ruling_on
from registry.licences.unseen import what_would_settle


def what_is_unknown_is_not_permitted(case: Case) -> Iterator[Reason]:
    """P1: no licence, or one that no term file knows, permits nothing."""
    for part in case.parts:
        if not part.identity.licences and part.identity.basis is not Basis.FLAGS:
            detail = "No licence is stated, and none is not the same as free."
            yield _on(part, "licence_missing", unknown_ruling(case.use.act), detail)
        for licence in part.identity.licences:
            if licence not in case.terms:
                detail = what_would_settle(licence)
                yield _on(part, "licence_text_unknown", unknown_ruling(case.use.act), detail, licence)


def claims_that_disagree_are_settled_by_a_person(case: Case) -> Iterator[Reason]:
    """P3: a contradiction never takes the looser reading; it denies where one forbids or is unknown.

    A conclusion that no key vouches for settles nothing: it is one more claim to look at.
    """
    for part in case.parts:
        stands = SEVERITY[ruling_on(case, part.identity.licences, part.loaded_repo)]
        for voice in part.identity.dissent:
            theirs = ruling_on(case, voice.means, part.loaded_repo)
            if part.identity.basis is Basis.CONCLUSION and SEVERITY[theirs] <= stands:
                continue  # a person may always read a text more strictly
            ruling = max((Ruling.REVIEW, theirs), key=SEVERITY.__getitem__)
            yield _on(part, "claim_conflict", ruling, _contradiction(part, voice), voice.means[0])
        yield from _conclusions(case, part)


def sections_of_a_licence_file_are_told_apart(case: Case) -> Iterator[Reason]:
    """P3: where the sections of one file hold for different files, a person says which one holds here."""
    for part in case.parts:
        if part.component.sections_in and part.identity.conclusion is None:
            detail = f"{part.component.sections_in} has sections for different files: which one holds here?"
            yield _on(part, "multi_licence_unscoped", Ruling.REVIEW, detail)


def a_licence_is_asked_about_the_model_it_names(case: Case) -> Iterator[Reason]:
    """P3: a text that licenses one named model says nothing of another one beside which it lies."""
    for part in case.parts:
        for licence in case.known(part):
            model = licence.model
            if model is not None and model.is_another({part.place, *ancestors(part.component)}):
                detail = f"{licence.name} speaks of {model.named} only, and this seems to be another model."
                yield _on(part, "licence_names_other_model", Ruling.REVIEW, detail, licence.id, model.clause)


def a_tag_without_a_text_is_only_a_declaration(case: Case) -> Iterator[Reason]:
    """P9: a standard tag counts as the uploader's word; a free-text name without its text does not."""
    for part in case.parts:
        identity = part.identity
        if identity.basis is Basis.TAG:
            tags = ", ".join(identity.tags)
            detail = f'Only the tag "{tags}" of its model card says so; there is no LICENSE file.'
            yield _on(part, "declared_tag_only", Ruling.PERMIT, detail)
            if len(identity.tags) > 1:
                detail = f"The card lists {tags} without saying which covers what: all of them apply."
                yield _on(part, "multi_licence_unscoped", Ruling.PERMIT, detail)
        if identity.basis is Basis.FLAGS:
            detail = "Only the permissions of its page say so; it has neither a tag nor a LICENSE file."
            yield _on(part, "declared_tag_only", Ruling.PERMIT, detail)
        if identity.basis is Basis.NAME:
            detail = "Its card names a licence whose text is not in the repository at the pin."
            yield _on(part, "licence_text_unpinned", Ruling.REVIEW, detail)


def _conclusions(case: Case, part: Part) -> Iterator[Reason]:
    for claimed in part.identity.claimed:
        theirs = ruling_on(case, claimed.licences, part.loaded_repo)
        ruling = max((Ruling.REVIEW, theirs), key=SEVERITY.__getitem__)
        detail = f"No key vouches for it that {_told(claimed)}"
        yield _on(part, "conclusion_unsigned", ruling, detail, next(iter(claimed.licences), ""))
    concluded = part.identity.conclusion
    if concluded is not None:
        yield _on(part, "concluded_by_a_person", Ruling.PERMIT, _told(concluded))
        return
    for other in part.component.conclusions:
        if not other.covers(part.component.path):
            detail = f"What {other.concluded_by} concluded holds for {other.scope}, and not for this."
            yield _on(part, "conclusion_out_of_scope", Ruling.PERMIT, detail)


def _told(conclusion: Conclusion) -> str:
    scope = f" of {conclusion.scope}" if conclusion.scope else ""
    when = "" if conclusion.concluded_on is None else f" on {conclusion.concluded_on}"
    standing = f" ({conclusion.standing})" if conclusion.standing else ""
    return f"{conclusion.concluded_by} concluded{scope}{when}{standing}: {conclusion.reason}"


def _contradiction(part: Part, voice: Voice) -> str:
    standing = ", ".join(part.identity.licences) or "nothing else"
    speaker = f"The same file in {voice.where}" if voice.where else f"Its {voice.kind}"
    return f'{speaker} says "{voice.value}", its {part.identity.basis} says {standing}.'


def _on(part: Part, code: str, ruling: Ruling, detail: str, licence: str = "", clause: str = "") -> Reason:
    return Reason(
        code=code, ruling=ruling, detail=detail, component=part.place, licence=licence, clause=clause
    )
