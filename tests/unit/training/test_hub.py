"""The repositories that ship are whole, small, safe to load and honest about their licences."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from training.cards import base_card, motion_card, student_card, style_card
from training.report import MarkMissing, replaced
from training.subjects import ADDED_STYLES, TAUGHT

ROOT = Path(__file__).parents[3]
HUB = ROOT / "registry" / "builtin" / "hub" / "rightstep"
LICENCES = {
    "emoji-64": ("apache-2.0", "Apache License"),
    "emoji-64-lcm-lora": ("apache-2.0", "Apache License"),
    "emoji-64-motion": ("apache-2.0", "Apache License"),
    "emoji-64-style-twemoji": ("cc-by-4.0", "Attribution 4.0 International"),
    "emoji-64-style-shapes": ("cc-by-nc-4.0", "Attribution-NonCommercial 4.0 International"),
}
PLAIN = {".json", ".md", ".safetensors", ".txt", ""}


def front_matter(repository: str) -> str:
    return (HUB / repository / "README.md").read_text(encoding="utf-8").split("---\n")[1]


def test_these_repositories_ship():
    assert {path.name for path in HUB.iterdir()} == set(LICENCES)


@pytest.mark.parametrize("repository", LICENCES)
def test_the_card_the_licence_and_the_notice_agree(repository):
    tag, words = LICENCES[repository]
    front = front_matter(repository)
    assert f"license: {tag}\n" in front
    assert words in (HUB / repository / "LICENSE").read_text(encoding="utf-8")
    assert (HUB / repository / "NOTICE").read_text(encoding="utf-8").strip()
    assert ("base_model: rightstep/emoji-64\n" in front) == (repository != "emoji-64")


def test_everything_together_stays_small_and_plain():
    files = [path for path in HUB.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40_000_000
    assert {path.suffix for path in files} <= PLAIN


def test_weights_are_half_precision():
    for path in HUB.rglob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            kinds = {weights.get_slice(key).get_dtype() for key in weights.keys()}  # noqa: SIM118
        assert kinds <= {"F16", "I64"}, path


def test_configs_do_not_tell_where_they_were_made():
    for path in HUB.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert "_name_or_path" not in text
        assert "/runs/" not in text


@pytest.mark.parametrize("repository", [name for name in LICENCES if name != "emoji-64"])
def test_adapters_have_one_key_style_and_touch_every_layer(repository):
    with safe_open(HUB / repository / "pytorch_lora_weights.safetensors", "pt") as weights:
        keys = list(weights.keys())
    assert len(keys) == 266
    assert all(key.startswith("unet.") and key.endswith(("lora_A.weight", "lora_B.weight")) for key in keys)


def test_the_vocabulary_and_the_card_name_every_subject():
    words = json.loads((HUB / "emoji-64" / "vocabulary.json").read_text(encoding="utf-8"))
    assert words["subjects"] == [subject.name for subject in TAUGHT]
    card = " ".join((HUB / "emoji-64" / "README.md").read_text(encoding="utf-8").split())
    assert ", ".join(words["subjects"]) in card


def test_cards_are_what_the_code_writes():
    nouns = [subject.name for subject in TAUGHT]
    assert (HUB / "emoji-64" / "README.md").read_text(encoding="utf-8") == base_card(nouns)
    assert (HUB / "emoji-64-lcm-lora" / "README.md").read_text(encoding="utf-8") == student_card()
    assert (HUB / "emoji-64-motion" / "README.md").read_text(encoding="utf-8") == motion_card()
    for style in ADDED_STYLES:
        card = (HUB / f"emoji-64-style-{style}" / "README.md").read_text(encoding="utf-8")
        assert card == style_card(style)


def test_a_table_goes_between_its_marks_and_nowhere_else():
    page = "before\n<!-- rates -->\nold\n<!-- end of rates -->\nafter\n"
    assert (
        replaced(page, "rates", "| new |")
        == "before\n<!-- rates -->\n\n| new |\n<!-- end of rates -->\nafter\n"
    )
    with pytest.raises(MarkMissing):
        replaced(page, "measured", "")
