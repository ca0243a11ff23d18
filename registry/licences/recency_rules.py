"""P6 for what an organisation says of itself: evidence that has aged is a person's to confirm.

A figure of an earlier year is not unknown, which P1 would deny: it was said, by somebody, of a
day. It shows less than a figure of this year does, so it is treated as evidence that has to be
shown again. It matters only where a licence asks: what asks for nothing is not held up by it.
An approval answers a reason by its clause, so the clause names the context and its day as well:
what was confirmed of one context says nothing of another.
"""

from collections.abc import Iterator

from policy.uses import IntendedUse
from policy.verdicts import Reason, Ruling
from registry.licences.case import Case
from registry.licences.term_reasons import bought_here, is_known
from registry.licences.terms import LicenceTerms


def what_was_said_is_confirmed_when_it_is_old(case: Case) -> Iterator[Reason]:
    """Each figure, place and practice that a licence asks about, where the context said it too long ago."""
    context = case.use.context
    if not context.is_outdated(case.use.on):
        return
    done = {duty for duty, is_done in case.circumstances.pipeline.by_duty if is_done}
    for part in case.parts:
        for licence in case.known(part):
            asked = list(_practices(licence, case.use, done))
            if bought_here(case, licence, part.loaded_repo) is None:
                asked += _figures(licence, case.use)
            for what, clause in (*asked, *_place(licence, case.use)):
                yield Reason(
                    code="facts_outdated",
                    ruling=Ruling.REVIEW,
                    detail=(
                        f"{licence.name} asks for {what}, and what {context.name} says of it is of "
                        f"{context.as_of}: somebody has to confirm it."
                    ),
                    component=part.place,
                    licence=licence.id,
                    clause=f"{clause}; {context.name} of {context.as_of}",
                )


def _figures(licence: LicenceTerms, use: IntendedUse) -> Iterator[tuple[str, str]]:
    for condition in licence.conditions:
        if use.act in condition.acts and is_known(condition, use.organisation):
            yield condition.attribute, condition.clause


def _practices(licence: LicenceTerms, use: IntendedUse, done: set[str]) -> Iterator[tuple[str, str]]:
    for duty in licence.duties:
        if use.act in duty.acts and duty.id in done:
            yield duty.id, duty.clause


def _place(licence: LicenceTerms, use: IntendedUse) -> Iterator[tuple[str, str]]:
    if licence.territory.excluded and use.organisation.domicile is not None:
        yield "domicile", licence.territory.clause
