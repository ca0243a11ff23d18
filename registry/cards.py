"""Model cards: the front matter of a README, read as claims and believed no further.

The card comes from strangers: it is small, plain YAML without aliases, or it is refused.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from policy.errors import FormatFault

LARGEST_FRONT_MATTER = 65_536  # bytes
DEEPEST = 20  # levels of YAML
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_NEXT = "Correct the front matter of the model card, or remove it: no card is better than a wrong one."


@dataclass(frozen=True, kw_only=True, slots=True)
class CardFacts:
    """What a card says about licence and descent; empty where it says nothing."""

    licences: tuple[str, ...] = ()
    license_name: str = ""
    license_link: str = ""
    base_models: tuple[str, ...] = ()
    relation: str = ""
    instance_prompt: str = ""  # the words that call a LoRA up


def parse_card(readme: bytes, where: str) -> CardFacts:
    """The facts in a README's front matter; a README without one says nothing."""
    found = _FRONT_MATTER.match(readme.decode("utf-8", errors="replace"))
    if found is None:
        return CardFacts()
    table = _yaml_table(found.group(1), where)
    return CardFacts(
        licences=_texts(table.get("license"), "license", where),
        license_name=_text(table.get("license_name"), "license_name", where),
        license_link=_text(table.get("license_link"), "license_link", where),
        base_models=_texts(table.get("base_model"), "base_model", where),
        relation=_text(table.get("base_model_relation"), "base_model_relation", where),
        instance_prompt=_text(table.get("instance_prompt"), "instance_prompt", where),
    )


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML, shallow and without aliases: a few bytes of those unfold into gigabytes."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _yaml_table(text: str, where: str) -> dict[str, Any]:
    if len(text.encode()) > LARGEST_FRONT_MATTER:
        raise FormatFault(f"{where}: the front matter is larger than {LARGEST_FRONT_MATTER} bytes.", _NEXT)
    try:
        table = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - derived from SafeLoader, and stricter
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatFault(f"{where}: the front matter cannot be read: {reason}.", _NEXT) from None
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise FormatFault(f"{where}: the front matter is not a table.", _NEXT)
    return table


def _text(value: Any, key: str, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value).strip()
    raise FormatFault(f'{where}: "{key}" is not a text.', _NEXT)


def _texts(value: Any, key: str, where: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(text for item in items if (text := _text(item, key, where)))
