"""Questions to the licence rules, and their answers by code."""

from policy.uses import Act
from policy.verdicts import Verdict
from registry.licences.claims import LicensedComponent
from registry.licences.evaluation import evaluate
from tests.unit.registry.licensing import catalogue, make_use

TERMS = catalogue().terms
SHIP = make_use()
LOOK = make_use(Act.EVALUATE_INTERNAL)


def judged(*components: LicensedComponent, use=SHIP, terms=TERMS) -> Verdict:
    return evaluate(components, use, terms)


def codes(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.against()}


def all_codes(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons}
