"""The obligations of a shipment, and what meets each: its own bytes, or evidence that a person recorded.

What a shipment can show in its own bytes meets a duty without anybody's word. Whatever
happens elsewhere (a name displayed on a page, a registration) is met by a document; how
outputs are delivered, also by the context of the use, in which a person says it with a date.
Nothing less will do. A duty that no rule knows is met by a document too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from policy.uses import Context
from policy.verdicts import Obligation


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedDischarge:
    """Evidence that somebody recorded for a duty."""

    duty: str  # id of the obligation, or of the evidence that terms ask for
    evidence_name: str  # file name; "text" for words on the command line
    evidence_sha256: str
    actor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentShows:
    """What a staged shipment shows by itself."""

    notices_sha256: str
    credited: frozenset[str]  # components whose credit stands in the notices
    copied: frozenset[str]  # licence ids whose full text stands in the notices
    files: int
    unmarked: tuple[str, ...]  # names of files whose bytes do not say that a machine made them
    context: Context = field(default_factory=Context)  # what is said of how they are delivered


@dataclass(frozen=True, kw_only=True, slots=True)
class MetObligation:
    """An obligation of a shipment and what met it."""

    obligation: Obligation
    discharged_by: str | None  # "notices:SHA256", "marking:...", "recorded:SHA256 NAME", "context:..."


Discharge = Callable[[Obligation, ShipmentShows], str | None]


def _by_notices(owed: Obligation, shows: ShipmentShows) -> str | None:
    del owed
    return f"notices:{shows.notices_sha256}"


def _by_credit(owed: Obligation, shows: ShipmentShows) -> str | None:
    return f"notices:{shows.notices_sha256}" if owed.component in shows.credited else None


def _by_copy(owed: Obligation, shows: ShipmentShows) -> str | None:
    return f"notices:{shows.notices_sha256}" if owed.licence in shows.copied else None


def _by_marking(owed: Obligation, shows: ShipmentShows) -> str | None:
    del owed
    if shows.unmarked or not shows.files:
        return None
    return f"marking:DigitalSourceType in {shows.files} files"


AUTOMATIC: Mapping[str, Discharge] = MappingProxyType(
    {
        "notice_file": _by_notices,
        "attribution": _by_credit,
        "licence_copy": _by_copy,
        "ai_disclosure": _by_marking,
    }
)


def meet(
    owed: Iterable[Obligation], shows: ShipmentShows, recorded: Iterable[RecordedDischarge]
) -> tuple[MetObligation, ...]:
    """Every obligation with what meets it: the shipment's bytes, else a document, else its context."""
    documents = {one.duty: one for one in recorded}
    return tuple(_met(duty, shows, documents.get(duty.id)) for duty in owed)


def _met(duty: Obligation, shows: ShipmentShows, document: RecordedDischarge | None) -> MetObligation:
    automatic = AUTOMATIC.get(duty.id)
    shown = None if automatic is None else automatic(duty, shows)
    if shown is None and document is not None:
        shown = f"recorded:{document.evidence_sha256} {document.evidence_name}"
    if shown is None:
        shown = _by_context(duty, shows.context)
    return MetObligation(obligation=duty, discharged_by=shown)


def _by_context(duty: Obligation, context: Context) -> str | None:
    """What a person says of delivery, with a day; a bare claim meets nothing."""
    if not dict(context.delivery.by_duty).get(duty.id) or context.as_of is None or not context.said_by:
        return None
    return f"context:{context.name} of {context.as_of}, said by {context.said_by}"
