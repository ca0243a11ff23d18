"""The rules of a verdict, P1 to P9, in order; each looks at one thing and reports every reason it finds.

A rule can only add reasons, and the strictest reason decides, so no order of rules or
components and no further component can loosen a verdict.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policy.verdicts import Reason
from registry.licences.case import Case
from registry.licences.drift_rules import later_changes_never_decide_alone
from registry.licences.identity_rules import (
    a_licence_is_asked_about_the_model_it_names,
    a_tag_without_a_text_is_only_a_declaration,
    claims_that_disagree_are_settled_by_a_person,
    sections_of_a_licence_file_are_told_apart,
    what_is_unknown_is_not_permitted,
)
from registry.licences.integrity_rules import (
    artefacts_are_pinned_and_unchanged,
    gates_are_accepted_and_evidence_is_shown,
    nothing_is_unpickled_or_executed,
)
from registry.licences.lineage_rules import (
    adapters_fit_their_base,
    offspring_inherit_their_parents_terms,
    weights_leave_under_a_licence_that_suits_all,
    what_was_trained_on_outputs_was_allowed_to_be,
)
from registry.licences.recency_rules import what_was_said_is_confirmed_when_it_is_old
from registry.licences.stance_rules import (
    every_condition_of_every_licence_holds,
    every_licence_permits_the_act,
    marking_and_checks_stay_in_place,
    the_flags_of_a_page_permit_the_act,
    the_use_stays_where_every_licence_reaches,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule and the policy paragraph it enforces."""

    id: str
    check: Callable[[Case], Iterator[Reason]]

    @property
    def sentence(self) -> str:
        return self.check.__name__.replace("_", " ")


RULES: tuple[Rule, ...] = (
    Rule(id="P1", check=what_is_unknown_is_not_permitted),
    Rule(id="P2", check=artefacts_are_pinned_and_unchanged),
    Rule(id="P3", check=claims_that_disagree_are_settled_by_a_person),
    Rule(id="P3", check=sections_of_a_licence_file_are_told_apart),
    Rule(id="P3", check=a_licence_is_asked_about_the_model_it_names),
    Rule(id="P4", check=every_licence_permits_the_act),
    Rule(id="P4", check=every_condition_of_every_licence_holds),
    Rule(id="P4", check=the_use_stays_where_every_licence_reaches),
    Rule(id="P4", check=the_flags_of_a_page_permit_the_act),
    Rule(id="P4", check=marking_and_checks_stay_in_place),
    Rule(id="P4", check=what_was_trained_on_outputs_was_allowed_to_be),
    Rule(id="P4", check=offspring_inherit_their_parents_terms),
    Rule(id="P4", check=adapters_fit_their_base),
    Rule(id="P5", check=weights_leave_under_a_licence_that_suits_all),
    Rule(id="P6", check=gates_are_accepted_and_evidence_is_shown),
    Rule(id="P6", check=what_was_said_is_confirmed_when_it_is_old),
    Rule(id="P7", check=later_changes_never_decide_alone),
    Rule(id="P8", check=nothing_is_unpickled_or_executed),
    Rule(id="P9", check=a_tag_without_a_text_is_only_a_declaration),
)
