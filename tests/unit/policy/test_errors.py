import pickle

import pytest

from policy import errors
from policy.errors import Refused, RightstepError
from tests.factories import make_denial

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RightstepError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_its_next_step(kind):
    found = pickle.loads(pickle.dumps(kind("The disk is full.", "Free some space.")))
    assert type(found) is kind
    assert (found.message, found.next_step) == ("The disk is full.", "Free some space.")
    assert str(found) == "The disk is full. Free some space."


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_tree_at_the_top_of_its_file(kind):
    assert kind.__name__ in (errors.__doc__ or "")


def test_a_refusal_carries_its_whole_verdict_across_processes():
    found = pickle.loads(pickle.dumps(Refused("No.", "Ask otherwise.", make_denial())))
    assert found.verdict == make_denial()
