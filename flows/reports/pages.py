"""Templates to one self-contained file: styles inline, pictures as data URIs, everything else escaped."""

from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import BaseLoader, Environment, StrictUndefined
from jinja2.exceptions import TemplateNotFound
from markupsafe import Markup

from policy.errors import StorageFault
from policy.wording import duration, number, plural, rounded

TEMPLATES = resources.files("flows.reports") / "templates"


class PackagedTemplates(BaseLoader):
    """Reads the templates that lie beside this file, also from a zipped wheel."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        del environment
        try:
            return (TEMPLATES / template).read_text(encoding="utf-8"), template, None
        except FileNotFoundError:
            raise TemplateNotFound(template) from None


@cache
def environment() -> Environment:
    """Autoescape is on for every template: prompts and names come from outside."""
    made = Environment(
        loader=PackagedTemplates(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = made.filters
    filters |= {
        "duration": duration,
        "number": number,
        "rounded": rounded,
        "plural": plural,
        "percent": percent,
        "beside": beside,
        "short": short,
        "sentence": sentence,
    }
    words: dict[str, Any] = made.globals
    words["style"] = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    return made


def write_page(template: str, out: Path, facts: dict[str, object]) -> Path:
    """Draw a template into ``out``, whole or not at all."""
    text = environment().get_template(template).render(facts)
    draft = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(out)
    except OSError as fault:
        with suppress(OSError):
            draft.unlink()
        raise StorageFault(
            f"{out} could not be written: {fault.strerror}.", "Choose another --out, or free some space."
        ) from fault
    return out


def beside(file: str) -> str:
    """A link to a file in the page's own folder, whatever its name looks like."""
    return "./" + quote(file)


def sentence(text: str) -> str:
    """Somebody's words as a sentence of their own."""
    told = text.strip()
    return told if not told or told.endswith((".", "!", "?")) else f"{told}."


def percent(share: float) -> str:
    """A share as a reader says it."""
    return f"{share:.0%}"


def short(digest: str) -> str:
    """The first twelve characters of a digest, for the eye; the whole one stands in the provenance."""
    return digest[:12]


class Clock:
    """Times as the submitter reads them: in the manifest's zone, named once on the page."""

    def __init__(self, zone: str) -> None:
        try:
            self.zone: ZoneInfo | None = ZoneInfo(zone)
            self.name = zone
        except (ZoneInfoNotFoundError, ValueError):
            self.zone = None
            self.name = "UTC"

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone or UTC)

    def time(self, at: datetime) -> str:
        return f"{self.local(at):%H:%M}"

    def minute(self, at: datetime) -> str:
        return f"{self.local(at):%d %b %Y, %H:%M}".lstrip("0")

    def second(self, at: datetime) -> str:
        return f"{self.local(at):%H:%M:%S}"
