"""P7: what the moving branch and the linked page say today is looked at, never obeyed by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from policy.uses import Act
from policy.verdicts import SEVERITY, Reason, Ruling
from registry.licences.case import Case, Part
from registry.licences.circumstances import ORDINARY
from registry.licences.term_reasons import part_ruling, ruling_on
from registry.licences.terms import Binding


def later_changes_never_decide_alone(case: Case) -> Iterator[Reason]:
    """P7: looser terms are for a person, stricter ones a finding; updates that bind are for a person."""
    for part in case.loaded:
        pinned = part.identity.licences
        if part.component.same_bytes_on_main is False:
            detail = "Its main branch has other bytes today; the pinned ones are judged."
            yield _on(part, "bytes_changed_after_pin", Ruling.PERMIT, detail)
        told = {"main branch": part.component.texts_on_main, "linked page": part.component.texts_at_link}
        for where, now in told.items():
            if now is None or set(now) == set(pinned) or (where == "linked page" and set(now) <= set(pinned)):
                continue
            yield from _drift(case, part, where, now)
            yield from _binding(case, part, where, now)


def _drift(case: Case, part: Part, where: str, now: Sequence[str]) -> Iterator[Reason]:
    if _is_stricter(case, part, now):
        detail = f"Its {where} has stricter terms today than at the pin."
        yield _on(part, "drift_stricter_after_pin", Ruling.PERMIT, detail)
    else:
        detail = f"Its {where} has other terms today; they do not reach back to the pin."
        yield _on(part, "drift_looser_after_pin", Ruling.REVIEW, detail)


def _is_stricter(asked_of: Case, part: Part, now: Sequence[str]) -> bool:
    """Stricter for the act; or as strict for it, looser for no other, and more is forbidden or asked for.

    Text is held against text: what was bought and shown under the one says nothing of the other.
    """
    case = _on_paper(asked_of, (*now, *part.identity.licences))
    today = [SEVERITY[ruling_on(case, now, part.loaded_repo)]]
    then = [SEVERITY[part_ruling(case, part)]]
    if today != then:
        return today > then
    for act in Act:
        question = case.for_act(act)
        today.append(SEVERITY[ruling_on(question, now, part.loaded_repo)])
        then.append(SEVERITY[part_ruling(question, part)])
    asked, was_asked = _duties(case, now), _duties(case, part.identity.licences)
    never_looser = all(new >= old for new, old in zip(today, then, strict=True)) and asked >= was_asked
    return never_looser and (today != then or asked != was_asked)


def _on_paper(case: Case, licences: Sequence[str]) -> Case:
    known = (case.terms[licence] for licence in licences if licence in case.terms)
    shown = tuple(needed.id for licence in known for needed in licence.evidence)
    return replace(case, circumstances=ORDINARY, use=replace(case.use, evidence=shown))


def _duties(case: Case, licences: Sequence[str]) -> set[tuple[str, Act]]:
    known = (case.terms[licence] for licence in licences if licence in case.terms)
    return {(duty.id, act) for licence in known for duty in licence.duties for act in duty.acts}


def _binding(case: Case, part: Part, where: str, now: Sequence[str]) -> Iterator[Reason]:
    for licence in case.known(part):
        if licence.updating.binding is not Binding.AGREEMENT_UPDATES:
            continue
        known = [text for text in now if text in case.terms]
        theirs = ruling_on(case, known, part.loaded_repo) if known else Ruling.REVIEW
        yield Reason(
            code="agreement_updated_binding",
            ruling=max((Ruling.REVIEW, theirs), key=SEVERITY.__getitem__),
            detail=f"{licence.name} says that updated terms bind, and its {where} has updated ones.",
            component=part.place,
            licence=licence.id,
            clause=licence.updating.binding_clause,
        )


def _on(part: Part, code: str, ruling: Ruling, detail: str) -> Reason:
    return Reason(code=code, ruling=ruling, detail=detail, component=part.place)
