"""A licence known by name alone permits nothing, and says what to read."""

import pytest

from policy.uses import Act
from policy.verdicts import Ruling
from registry.licences.evaluation import evaluate
from registry.licences.unseen import UNSEEN, what_would_settle
from tests.unit.registry.licensing import catalogue, make_component, small_use, tag

TERMS = catalogue().terms


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda one: one.id)
def test_it_is_not_in_the_catalogue_under_any_name(unseen):
    known = {name for terms in TERMS.values() for name in (terms.id, *terms.hub_names, *terms.hub_tags)}
    assert unseen.id in unseen.names
    assert not known & set(unseen.names)


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda one: one.id)
def test_it_permits_nothing_and_names_what_settles_it(unseen, act):
    for component in (
        make_component(unseen.id),
        make_component("", claims=(tag(unseen.names[-1]),)),
    ):
        verdict = evaluate([component], small_use(act), TERMS)
        looking = act in {Act.EVALUATE_INTERNAL, Act.RESEARCH_NONCOMMERCIAL}
        assert verdict.ruling is (Ruling.REVIEW if looking else Ruling.DENY)
        (reason,) = (reason for reason in verdict.reasons if reason.code == "licence_text_unknown")
        assert reason.detail.startswith("Text not seen: ")
        assert unseen.settles in reason.detail


def test_a_name_that_nobody_expected_is_still_unknown():
    assert "nobody knows what it permits" in what_would_settle("unknown:abc")
