"""The command line and the settings explain themselves, and their pages cannot drift from them."""

import pytest

from infra.docs.cli_reference import load_application, walk
from infra.docs.pages import FOLDER, PAGES, stale
from infra.docs.settings_reference import load_settings


def test_every_command_says_what_it_does():
    commands = list(walk(load_application()))
    assert len(commands) > 20
    assert [command.name for command in commands if not command.help] == []


def test_every_option_says_what_it_means():
    silent = [
        f"{command.name} {parameter.name}"
        for command in walk(load_application())
        for parameter in command.parameters
        if not (getattr(parameter, "help", None) or "").strip()
        and parameter.name not in {"install_completion", "show_completion"}
    ]
    assert silent == []


def test_every_setting_says_what_it_means():
    fields = load_settings().model_fields
    assert len(fields) > 10
    assert [name for name, field in fields.items() if not (field.description or "").strip()] == []


def test_every_command_is_in_the_reference():
    text = (FOLDER / "cli.md").read_text(encoding="utf-8")
    missing = [c.name for c in walk(load_application()) if len(c.words) > 1 and f"`{c.name}`" not in text]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_says_what_the_product_does_now(name: str):
    assert not stale(name), "run `make docs` and look at what changed"
