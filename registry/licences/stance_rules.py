"""P4, first half: what each licence says to the use, ancestors included."""

from collections.abc import Iterator

from policy.verdicts import Reason
from registry.licences.case import Case
from registry.licences.term_reasons import condition_reasons, stance_reasons


def every_licence_permits_the_act(case: Case) -> Iterator[Reason]:
    """Each licence of each part is asked by itself; one that forbids is enough."""
    for part in case.parts:
        for licence in case.known(part):
            yield from stance_reasons(licence, part.component.place, case.use)


def every_condition_of_every_licence_holds(case: Case) -> Iterator[Reason]:
    """Conditions are united and territories intersected: each licence keeps its own comparator and scope."""
    for part in case.parts:
        for licence in case.known(part):
            yield from condition_reasons(licence, part.component.place, case.use)
