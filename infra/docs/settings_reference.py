"""The page of settings, from the settings themselves."""

from typing import Any

HEAD = """\
# Settings

Written by `make docs` from `flows/settings.py`; do not edit by hand.

Each is an environment variable, read once at start. A value that is out of bounds stops the command with exit
code 2 and says which. Folders are separated as in `PATH`, territories by commas: `DE,FR`.

| variable | meaning | default |
| --- | --- | --- |
"""
COMPUTED = {"home": "`~/.rightstep`", "workers": "the cores this process may use", "actor": "the user's name"}


def load_settings() -> Any:
    """The class that reads the environment."""
    from flows.settings import Settings  # noqa: PLC0415  # reading this module needs no settings

    return Settings


def default_of(name: str, field: Any) -> str:
    """What a setting is when nobody sets it; a default that depends on the machine is put in words."""
    if field.default_factory is not None:
        return COMPUTED.get(name, "found when it starts")
    if field.default is None or field.default in ((), ""):
        return ""
    value = " ".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{value}`"


def page() -> str:
    """The whole page."""
    rows = (
        f"| `RIGHTSTEP_{name.upper()}` | {(field.description or '').replace('|', chr(92) + '|')} "
        f"| {default_of(name, field)} |"
        for name, field in load_settings().model_fields.items()
    )
    return HEAD + "\n".join(rows) + "\n"
