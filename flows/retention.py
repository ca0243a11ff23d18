"""How long is kept what was made for whom: one setting for everybody, and a file for single owners.

    [studio]
    days = 90

    ["Zoë"]
    days = "forever"

The file is read each time it is asked: what it says today is what counts.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from flows.manifest_fields import KnownFields
from flows.settings import Settings
from policy.errors import WrongUse
from policy.retention import Retention

FILE = "retention.toml"


class _OwnerFields(KnownFields):
    """A table of the file."""

    days: Annotated[int, Field(ge=1, le=36_500, strict=True)] | Literal["forever"]


def load_retention(settings: Settings) -> Retention:
    """What settings and file say; a file that cannot be used is WrongUse naming the place."""
    path = retention_file(settings)
    owners: tuple[tuple[str, int | None], ...] = ()
    if settings.retention is not None or path.exists():
        owners = tuple((owner, _days(path, owner, table)) for owner, table in _tables(path).items())
    return Retention(days=settings.keep_days, owners=owners)


def retention_file(settings: Settings) -> Path:
    """Where it is said for single owners, or would be."""
    return settings.retention or settings.home / FILE


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WrongUse(
            f"The retention file {path} cannot be read: {error.strerror}.", "Correct RIGHTSTEP_RETENTION."
        ) from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8
        raise WrongUse(f"{path} is not TOML: {error}.", "Correct that line.") from error


def _days(path: Path, owner: str, table: Any) -> int | None:
    try:
        said = _OwnerFields.model_validate(table)
    except ValidationError as error:
        fault = error.errors()[0]
        raise WrongUse(
            f"{path}: {owner}: {fault['msg']}.", 'Write days = 90, or days = "forever", under [OWNER].'
        ) from error
    return said.days if isinstance(said.days, int) else None
