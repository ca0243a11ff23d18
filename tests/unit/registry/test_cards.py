"""Model cards are claims by strangers: read narrowly, or refused."""

import pytest

from policy.errors import FormatFault
from registry.cards import LARGEST_FRONT_MATTER, CardFacts, parse_card


def card(front: str) -> CardFacts:
    return parse_card(f"---\n{front}\n---\n\n# Name\n\nlicense: not this\n".encode(), "org/name/README.md")


def test_licence_and_descent_are_read():
    found = card(
        "license: other\nlicense_name: own-terms\nlicense_link: LICENSE.md\nbase_model: org/base\n"
        "base_model_relation: adapter\ninstance_prompt: twemoji style\ntags: [lora]"
    )
    assert found == CardFacts(
        licences=("other",),
        license_name="own-terms",
        license_link="LICENSE.md",
        base_models=("org/base",),
        relation="adapter",
        instance_prompt="twemoji style",
    )


def test_lists_are_kept_whole():
    found = card("license: [mit, cc-by-4.0]\nbase_model:\n- org/a\n- org/b")
    assert found.licences == ("mit", "cc-by-4.0")
    assert found.base_models == ("org/a", "org/b")


@pytest.mark.parametrize(
    "readme", [b"", b"# Just a title\n", b"---\nunclosed: yes\n", b"text\n---\nlicense: mit\n---\n"]
)
def test_a_readme_without_front_matter_says_nothing(readme):
    assert parse_card(readme, "x") == CardFacts()


@pytest.mark.parametrize("front", ["", "# only a comment", "license:"])
def test_an_empty_card_says_nothing(front):
    assert card(front) == CardFacts()


def test_windows_line_ends_and_a_byte_order_mark_do_not_hide_the_card():
    assert parse_card("\ufeff---\r\nlicense: mit\r\n---\r\n".encode(), "x").licences == ("mit",)


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("a: &x [1]\nlicense: *x", "aliases"),
        ("license: !!python/object/apply:os.system [true]", "cannot be read"),
        ("license: [", "cannot be read"),
        ("[" * 20_000, "nested too deeply"),
        ("- mit", "not a table"),
        ("license: {a: b}", "not a text"),
        ("license: true", "not a text"),
        ("base_model: [[org/a]]", "not a text"),
        ("x: " + "y" * LARGEST_FRONT_MATTER, "larger than"),
        ("x: 2026-99-99", "cannot be read"),
    ],
)
def test_a_card_that_is_not_plain_is_refused(front, said):
    with pytest.raises(FormatFault, match=r"org/name/README\.md") as fault:
        card(front)
    assert said in str(fault.value)
