"""The contexts that an organisation works in: who acts, how outputs are delivered, who said so and when.

One file has them by name; the settings make the one called ``default`` where the file has none
of that name. The file is read at every question: what a context says today is what counts.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from flows.manifest_fields import KnownFields
from flows.settings import CONTEXT_NAME, Settings, Territory
from policy.errors import UnknownName, WrongUse
from policy.uses import DEFAULT_CONTEXT, Context, Delivery, Organisation

FILE = "contexts.toml"
Figure = Annotated[int, Field(ge=0, strict=True)]
Said = Annotated[bool, Field(strict=True)]  # a practice that is said in other words is not guessed at
NEXT = "Correct it; the fields are in docs/how-to/say-who-you-are.md."


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownContext:
    """What is known of a context; a figure that nobody gave is None."""

    context: Context
    organisation: Organisation
    territories: tuple[str, ...]
    source: str  # the file that it stands in, or "settings"


class _DeliveryFields(KnownFields):
    """How outputs are delivered; what is left out is not known."""

    content_filter: Said | None = None
    ai_disclosure: Said | None = None
    removes_provenance_marking: Said | None = None


class _ContextFields(KnownFields):
    """A table of the file: nobody says anything without a name and a day."""

    as_of: Annotated[date, Field(strict=True)]
    said_by: Annotated[str, Field(min_length=1, max_length=200)]
    organisation: Annotated[str, Field(max_length=200)] = ""
    kind: Literal["company", "individual", "nonprofit", "academic"] | None = None
    domicile: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    annual_revenue_usd: Figure | None = None
    group_revenue_usd: Figure | None = None
    mau: Figure | None = None
    monthly_visits: Figure | None = None
    territories: tuple[Territory, ...] = ("WORLD",)
    delivery: _DeliveryFields = _DeliveryFields()


def find_context(settings: Settings, name: str, today: date) -> KnownContext:
    """The context of a name, or that of an order that names none; UnknownName with the nearest names."""
    wanted, known = name or settings.context, known_contexts(settings, today)
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=3)
        place = contexts_file(settings)
        raise UnknownName(
            f"There is no context {wanted!r}.",
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"Known are {', '.join(sorted(known))}; describe others in {place}.",
        )
    return known[wanted]


def known_contexts(settings: Settings, today: date) -> Mapping[str, KnownContext]:
    """Every context by name; a file that cannot be used is WrongUse naming the place."""
    return {DEFAULT_CONTEXT: _from_settings(settings), **_from_file(settings, today)}


def contexts_file(settings: Settings) -> Path:
    """Where the contexts are described, or would be."""
    return settings.contexts or settings.home / FILE


def _from_settings(settings: Settings) -> KnownContext:
    as_of = settings.organisation_as_of
    return KnownContext(
        context=Context(name=DEFAULT_CONTEXT, as_of=as_of, good_until=_good_until(settings, as_of)),
        organisation=settings.organisation_facts,
        territories=settings.territories,
        source="settings",
    )


def _from_file(settings: Settings, today: date) -> dict[str, KnownContext]:
    path = contexts_file(settings)
    if settings.contexts is None and not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WrongUse(
            f"The contexts {path} cannot be read: {error.strerror}.", "Correct RIGHTSTEP_CONTEXTS."
        ) from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a date that does not exist
        raise WrongUse(f"{path} is not TOML: {error}.", "Correct that line.") from error
    return {name: _context(settings, path, name, table, today) for name, table in tables.items()}


def _context(settings: Settings, path: Path, name: str, table: Any, today: date) -> KnownContext:
    if not re.fullmatch(CONTEXT_NAME, name):
        raise WrongUse(f"{path}: {name!r} is no name of a context.", "Use small letters, digits, - . and _")
    try:
        said = _ContextFields.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join((name, *(str(part) for part in first["loc"])))
        raise WrongUse(f"{path}: {place}: {first['msg']}.", NEXT) from error
    if said.as_of > today:
        raise WrongUse(f"{path}: {name}.as_of: {said.as_of} has not come yet.", NEXT)
    return KnownContext(
        context=Context(
            name=name,
            as_of=said.as_of,
            good_until=_good_until(settings, said.as_of),
            said_by=said.said_by,
            delivery=Delivery(**said.delivery.model_dump()),
        ),
        organisation=Organisation(
            name=said.organisation,
            annual_revenue_usd=said.annual_revenue_usd,
            group_revenue_usd=said.group_revenue_usd,
            mau=said.mau,
            monthly_visits=said.monthly_visits,
            domicile=said.domicile,
            kind=said.kind,
        ),
        territories=said.territories,
        source=str(path),
    )


def _good_until(settings: Settings, as_of: date | None) -> date | None:
    if as_of is None:
        return None
    return as_of + min(timedelta(days=settings.context_days), date.max - as_of)
