"""A licence is its words: what identifies it, and what must not pass for it."""

import pytest

from registry.licences.texts import core_sha256, licence_of, normalised, normalised_sha256, text_digests
from tests.unit.registry.licensing import catalogue

MIT = catalogue().texts["mit"].decode()
IDS = catalogue().text_ids


def test_line_breaks_case_and_typography_do_not_make_another_licence():
    changed = "\ufeff" + MIT.upper().replace("\n", "\r\n   ").replace("FI", "ﬁ")
    assert normalised_sha256(changed) == normalised_sha256(MIT)


def test_one_changed_word_makes_another_licence():
    assert licence_of(text_digests(MIT.replace("without restriction", "with restriction")), IDS).startswith(
        "unknown:"
    )


def test_words_are_collapsed_to_single_spaces():
    assert normalised("  A\t\tB\n\nC ") == "a b c"


@pytest.mark.parametrize(
    "heading",
    [
        "MIT License\n\nCopyright (c) 2024 Some Person\n\n",
        "The MIT License (MIT)\nCopyright 2019-2024 The Authors. All rights\n",
        "Copyright © 2024 Ärzte GmbH\n",
        "(c) 2021 A. Uthor\nAll rights reserved.\n",
    ],
)
def test_an_owner_above_the_text_leaves_it_the_same_licence(heading):
    assert licence_of(text_digests(heading + MIT), IDS) == "mit"


@pytest.mark.parametrize(
    "rider",
    [
        "Copyright (c) 2024 X. For non-commercial use only.\n",
        "Copyright (c) 2024 X, research purposes\n",
        "The software shall be used for Good, not Evil.\n",
        "Copyright (c) 2024 " + "x" * 200 + "\n",
        "copyright owner consent needed\n",
    ],
)
def test_no_rider_hides_in_a_copyright_line(rider):
    assert licence_of(text_digests(rider + MIT), IDS).startswith("unknown:")


def test_apache_is_known_with_its_appendix_filled_in_or_left_out():
    text = catalogue().texts["apache-2.0"].decode()
    filled = text.replace("Copyright [yyyy] [name of copyright owner]", "Copyright 2026 Some Studio")
    assert filled != text
    assert licence_of(text_digests(filled), IDS) == "apache-2.0"
    end = "END OF TERMS AND CONDITIONS"
    assert licence_of(text_digests(text[: text.index(end) + len(end)]), IDS) == "apache-2.0"


def test_every_known_text_is_found_by_its_own_words():
    for licence, body in catalogue().texts.items():
        assert licence_of(text_digests(body), IDS) == licence


def test_no_two_texts_share_a_core():
    cores = [core_sha256(body) for body in catalogue().texts.values()]
    assert len(set(cores)) == len(cores)


def test_bytes_that_are_no_text_are_an_unknown_licence():
    assert licence_of(text_digests(b"\xff\xfe\x00\x01"), IDS).startswith("unknown:")
