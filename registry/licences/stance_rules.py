"""P4, first half: what each licence says to the use, ancestors included, and what its page permits."""

from collections.abc import Iterator

from policy.uses import Act
from policy.verdicts import Reason, Ruling
from registry.licences.case import Case, Part
from registry.licences.claims import CivitaiFlags
from registry.licences.grants import grant_reasons
from registry.licences.term_reasons import (
    bought_here,
    condition_reasons,
    stance_reasons,
    territory_reasons,
)
from registry.licences.terms import LicenceTerms

COMMERCIAL = frozenset(
    {Act.SHIP_OUTPUT_COMMERCIAL, Act.HOST_SERVICE_COMMERCIAL, Act.TRAIN_ON_OUTPUT_COMMERCIAL}
)
HOSTED = frozenset({Act.HOST_SERVICE_COMMERCIAL, Act.HOST_SERVICE_NONCOMMERCIAL})


def every_licence_permits_the_act(case: Case) -> Iterator[Reason]:
    """Each licence of each part is asked by itself; a licence that was bought stands in for a public one."""
    for part, licence in _asked(case):
        place = _blamed(case, part, licence)
        yield from grant_reasons(case.circumstances.paid, licence, part.loaded_repo, place, case.use)
        if bought_here(case, licence, part.loaded_repo) is None:
            yield from stance_reasons(licence, place, case.use)


def every_condition_of_every_licence_holds(case: Case) -> Iterator[Reason]:
    """Conditions are united: each licence keeps its own comparator and scope."""
    for part, licence in _asked(case):
        if bought_here(case, licence, part.loaded_repo) is None:
            yield from condition_reasons(licence, _blamed(case, part, licence), case.use)


def the_use_stays_where_every_licence_reaches(case: Case) -> Iterator[Reason]:
    """Territories are intersected; a bought licence does not say where it holds, so it widens none."""
    for part, licence in _asked(case):
        yield from territory_reasons(licence, part.place, case.use)


def marking_and_checks_stay_in_place(case: Case) -> Iterator[Reason]:
    """A pipeline that removes marking breaks the licences that forbid it; one without checks owes them."""
    pipeline = case.circumstances.pipeline
    lacking = {duty for duty, done in pipeline.by_duty if done is False}
    for part, licence in _asked(case):
        if pipeline.removes_provenance_marking and licence.outputs.marking_must_stay:
            detail = f"The pipeline removes marking, and {licence.name} may be revoked for that."
            clause = licence.outputs.marking_clause
            yield _about(part, "provenance_marking_removed", Ruling.DENY, detail, licence.id, clause)
        for duty in licence.duties:
            if duty.id in lacking and case.use.act in duty.acts:
                detail = "The pipeline does not do what is owed: " + duty.text.replace(
                    "{component}", part.place
                )
                yield _about(part, "obligation_unmet", Ruling.REVIEW, detail, licence.id, duty.clause)


def the_flags_of_a_page_permit_the_act(case: Case) -> Iterator[Reason]:
    """What a Civitai page permits comes in addition to the base licence, and its author can edit it."""
    for part in case.parts:
        flags = part.component.flags
        if flags is None:
            continue
        yield from _flag_reasons(part, flags, case)
        if not flags.is_snapshot:
            detail = (
                "The permissions of its page were not written down with a date; their author can edit them."
            )
            yield _about(part, "licence_text_unpinned", Ruling.REVIEW, detail)


def _flag_reasons(part: Part, flags: CivitaiFlags, case: Case) -> Iterator[Reason]:
    act, allowed = case.use.act, {word.lower() for word in flags.commercial_use}
    clause = "allowCommercialUse"
    if act in HOSTED and "rent" not in allowed:
        detail = "Its page does not permit running it on a service (Rent)."
        yield _about(part, "hosted_service_forbidden", Ruling.DENY, detail, clause=clause)
    if act in COMMERCIAL - HOSTED and "image" not in allowed:
        detail = "Its page does not permit commercial use of what it makes (Image)."
        yield _about(part, "noncommercial_licence", Ruling.DENY, detail, clause=clause)
    if act is not Act.DISTRIBUTE_WEIGHTS:
        return
    if "sell" not in allowed:
        detail = "Its page does not permit selling it (Sell): somebody has to say that this is no sale."
        yield _about(part, "noncommercial_licence", Ruling.REVIEW, detail, clause=clause)
    has_company = any(other != case.components[0] for other in case.components)  # one part twice is one
    if not flags.allows_derivatives and (has_company or part.heir):
        detail = "Its page does not permit derivatives: somebody has to say that nothing was merged with it."
        yield _about(part, "derivatives_forbidden", Ruling.REVIEW, detail, clause="allowDerivatives")
    outbound = case.use.outbound_licence
    if not flags.allows_other_licence and outbound not in part.identity.licences:
        code = "predicate_input_missing" if outbound is None else "share_alike_violated"
        detail = f"Its page does not permit another licence; going out under: {outbound or 'not stated'}."
        yield _about(part, code, Ruling.DENY, detail, clause="allowDifferentLicense")


def _asked(case: Case) -> Iterator[tuple[Part, LicenceTerms]]:
    for part in case.parts:
        for licence in case.known(part):
            yield part, licence


def _blamed(case: Case, part: Part, licence: LicenceTerms) -> str:
    """The part itself; but where it was bought and its offspring was not, the offspring."""
    own = bought_here(case, licence, part.component.repo)
    through = bought_here(case, licence, part.loaded_repo)
    return part.heir if part.heir and own is not None and through is None else part.place


def _about(part: Part, code: str, ruling: Ruling, detail: str, licence: str = "", clause: str = "") -> Reason:
    return Reason(
        code=code, ruling=ruling, detail=detail, component=part.place, licence=licence, clause=clause
    )
