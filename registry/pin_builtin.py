"""The pins of the built-in models, shipped with them; ``python -m registry.pin_builtin`` writes them anew.

A damaged installation is caught at first use, because the pins were made where the weights
were made and not where they are found.
"""

import json
from pathlib import Path
from typing import Any

from policy.errors import FormatFault
from policy.stacks import FilePin, ModelPin, Role
from registry.catalogue import BUILTIN, load_catalogue
from registry.components import pin_of, role_of
from registry.licences.strict_table import StrictTable
from registry.sources import ModelSource, builtin_source

PINS = BUILTIN / "pins.json"
FORMAT = 1

_NEXT = "Install again: the built-in models are damaged."


def make_pins(source: ModelSource) -> tuple[ModelPin, ...]:
    """Pin everything that a source holds, by repository."""
    distilled = [repo for preset in load_catalogue().presets for repo in preset.repos]
    listings = [source.listing(repo) for repo in source.repositories()]
    return tuple(pin_of(listing, role_of(listing, distilled)) for listing in listings)


def pins_text(pins: tuple[ModelPin, ...]) -> str:
    """The file's text; the same pins give the same bytes."""
    document = {
        "format": FORMAT,
        "pins": [
            {
                "repo": pin.repo,
                "revision": pin.revision,
                "role": pin.role.value,
                "files": [
                    {"path": file.path, "sha256": file.sha256, "size": file.size} for file in pin.files
                ],
            }
            for pin in pins
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def load_builtin_pins(path: Path = PINS) -> tuple[ModelPin, ...]:
    """The pins as they were shipped; a file that cannot be read is a FormatFault."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatFault(f"{path} cannot be read: {error}.", _NEXT) from None
    if not isinstance(document, dict):
        raise FormatFault(f"{path} is not a table.", _NEXT)
    read = StrictTable(document, str(path), _NEXT)
    if read.take("format", int) != FORMAT:
        raise read.fault("its format is another one.")
    pins = read.many("pins", _pin)
    read.close()
    return pins


def _pin(read: StrictTable) -> ModelPin:
    return ModelPin(
        repo=read.text("repo"),
        revision=read.text("revision"),
        role=read.choice("role", Role),
        files=read.many("files", _file),
    )


def _file(read: StrictTable) -> FilePin:
    return FilePin(path=read.text("path"), sha256=read.text("sha256"), size=read.take("size", int))


def write_builtin_pins(path: Path = PINS) -> None:
    """Pin the built-in models as they are now; for whoever made them, never for a user."""
    path.write_text(pins_text(make_pins(builtin_source())), encoding="utf-8")


if __name__ == "__main__":
    write_builtin_pins()
