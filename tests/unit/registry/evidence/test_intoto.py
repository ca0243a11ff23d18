"""A statement is about named files, each once, or it is none."""

import json

import pytest

from policy.errors import FormatFault
from registry.evidence.intoto import make_statement

FOX, OWL = ("files/fox.png", "a" * 64), ("files/owl.png", "b" * 64)


def test_a_statement_says_what_about_which_bytes_in_the_form_of_in_toto():
    statement = json.loads(make_statement([OWL, FOX], "urn:x:v1", {"use": "art"}))
    assert statement == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "files/fox.png", "digest": {"sha256": "a" * 64}},
            {"name": "files/owl.png", "digest": {"sha256": "b" * 64}},
        ],
        "predicateType": "urn:x:v1",
        "predicate": {"use": "art"},
    }


def test_the_order_of_the_files_makes_no_other_bytes():
    assert make_statement([OWL, FOX], "urn:x:v1", {}) == make_statement([FOX, OWL], "urn:x:v1", {})


@pytest.mark.parametrize("subjects", [[], [FOX, ("files/fox.png", "c" * 64)], [("files/fox.png", "A" * 64)]])
def test_a_statement_about_nothing_or_about_nobody_knows_what_is_refused(subjects):
    with pytest.raises(FormatFault, match="each named once"):
        make_statement(subjects, "urn:x:v1", {})
