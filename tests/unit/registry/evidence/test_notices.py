"""The notices file says what must be said, once, and hands on every text in full."""

from dataclasses import replace
from itertools import permutations

import pytest

from policy.errors import IntegrityFault
from registry.evidence.notices import LicenceCopy, NoticedPart, make_notices
from tests.factories import make_obligation

APACHE = LicenceCopy(licence="apache-2.0", sha256="a" * 64, text="\nApache License\nVersion 2.0\n")
CC_BY = LicenceCopy(licence="cc-by-4.0", sha256="b" * 64, text="Attribution 4.0 International")
BASE = NoticedPart(
    repo="rightstep/emoji-64",
    revision="1" * 40,
    role="base",
    licences=("apache-2.0",),
    own_notice="Trained by Rightstep.",
)
STYLE = NoticedPart(
    repo="rightstep/twemoji",
    revision="2" * 40,
    role="lora",
    licences=("cc-by-4.0",),
    attribution="Twemoji\nby Twitter, Inc. and other contributors",
    changes="fused at scale 0.8",
)


def notices(parts=(BASE, STYLE), obligations=(), copies=(APACHE, CC_BY)) -> str:
    return make_notices(title="Notices for night", parts=parts, obligations=obligations, copies=copies)


def test_every_part_is_named_with_its_commit_and_licence():
    text = notices()
    assert "rightstep/emoji-64 (base), revision " + "1" * 40 in text
    assert "Licence: cc-by-4.0" in text


def test_a_work_that_asks_for_credit_gets_it_and_its_changes_are_told():
    text = notices()
    assert "  Credit: Twemoji\n          by Twitter, Inc. and other contributors\n" in text
    assert "  Changes: fused at scale 0.8" in text


def test_every_licence_text_is_handed_on_in_full():
    text = notices()
    assert f"Licence apache-2.0 (sha256 {'a' * 64})" in text
    assert "Apache License\nVersion 2.0" in text
    assert "Attribution 4.0 International" in text


def test_a_text_that_two_parts_bring_stands_there_once():
    twin = replace(BASE, repo="rightstep/other")
    assert notices(parts=(BASE, twin), copies=(APACHE, APACHE)).count("Version 2.0") == 1


def test_two_versions_of_one_licence_both_stand_there():
    older = replace(APACHE, sha256="c" * 64, text="Apache License\nVersion 1.1")
    text = notices(copies=(APACHE, older, CC_BY))
    assert "Version 1.1" in text
    assert "Version 2.0" in text


def test_the_notice_of_a_work_is_passed_on():
    assert "Notice of rightstep/emoji-64" in notices()
    assert "Trained by Rightstep." in notices()


def test_obligations_are_listed_once_with_their_source():
    owed = make_obligation()
    text = notices(obligations=(owed, owed))
    assert text.count(owed.text) == 1
    assert f"({'on ' + owed.when}; {owed.component}, {owed.licence})" in text


def test_a_licence_without_a_text_is_refused():
    with pytest.raises(IntegrityFault, match=r"No text of cc-by-4\.0"):
        notices(copies=(APACHE,))


def test_the_order_of_the_parts_does_not_change_a_byte():
    owed = (make_obligation(), make_obligation(id="ai_disclosure", component=""))
    texts = {
        notices(parts=parts, obligations=duties, copies=copies)
        for parts in permutations((BASE, STYLE))
        for duties in permutations(owed)
        for copies in permutations((APACHE, CC_BY))
    }
    assert len(texts) == 1


def test_pictures_are_said_to_be_made_by_artificial_intelligence():
    assert "made by artificial intelligence" in notices()
