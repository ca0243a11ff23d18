"""One table of failures: each error of ours is in it, each code is its own, and no path leaves."""

import pytest

from policy.access import AccessCode
from policy.errors import (
    LedgerFault,
    RequestKeyReused,
    RightstepError,
    StorageFault,
    UnknownName,
    WrongMoment,
)
from rightstep.web.kinds import ACCESS, ERRORS, KINDS, told
from rightstep.web.problems import problem_of, trouble_of, without_paths


def test_each_code_is_one_kind():
    assert len(KINDS) > 20
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert all(400 <= kind.status < 600 for kind in KINDS)


def test_each_error_of_ours_is_named_and_reached():
    """A class after one that it derives from would never be."""
    listed = [known.error for known in ERRORS]
    assert all(told(known.error("x")) is known for known in ERRORS)
    direct = {error for error in RightstepError.__subclasses__() if error.__module__ == "policy.errors"}
    assert direct <= set(listed)


def test_a_wrong_moment_is_the_callers_and_a_ledger_that_is_down_is_not():
    assert told(WrongMoment("x")).kind.status == 409
    assert told(LedgerFault("x")).kind.status == 503
    assert told(RequestKeyReused("x")).kind.status == 422


def test_each_refusal_of_a_key_has_its_kind():
    assert set(ACCESS) == set(AccessCode)


@pytest.mark.parametrize("known", [known for known in ERRORS if known.kind.status >= 500])
def test_what_broke_is_never_told_in_full(known):
    assert not known.in_full
    assert "secret" not in trouble_of(known.error("A secret.", "Look at the secret.")).detail


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Look at /srv/house/logs/flows.log.", "Look at flows.log."),
        ("No room under '/srv/house/artefacts': free some.", "No room under 'artefacts': free some."),
        ("/a/b", "b"),
        ("The repository org/name has no model.", "The repository org/name has no model."),
        ("See https://example.org/a/b for its terms.", "See https://example.org/a/b for its terms."),
        ("1/2 of docs/http.md, and/or ~/x/y", "1/2 of docs/http.md, and/or ~/x/y"),
        ("See: rightstep job show.", "See: rightstep job show."),
    ],
)
def test_a_sentence_keeps_its_words_and_loses_folders(said: str, left: str):
    assert without_paths(said) == left


def test_an_error_that_is_told_loses_folders_too():
    error = UnknownName("The store /srv/house/artefacts holds no x.", "See /srv/house/logs/a.log.")
    problem = problem_of(trouble_of(error), "1")
    assert (problem["detail"], problem["next_step"]) == ("The store artefacts holds no x.", "See a.log.")
    assert (
        trouble_of(StorageFault("/srv/house/x is full.")).detail
        == "Bytes could not be kept; the log of the house says more."
    )
