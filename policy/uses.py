"""What somebody intends to do with pictures or weights: the question that a licence answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType


class Act(StrEnum):
    """The acts that licences distinguish; a verdict is always for one act."""

    EVALUATE_INTERNAL = "evaluate_internal"
    RESEARCH_NONCOMMERCIAL = "research_noncommercial"
    CHARITABLE_USE = "charitable_use"
    SHIP_OUTPUT_COMMERCIAL = "ship_output_commercial"
    HOST_SERVICE_COMMERCIAL = "host_service_commercial"
    HOST_SERVICE_NONCOMMERCIAL = "host_service_noncommercial"
    DISTRIBUTE_WEIGHTS = "distribute_weights"
    TRAIN_ON_OUTPUT_COMMERCIAL = "train_on_output_commercial"


@dataclass(frozen=True, kw_only=True, slots=True)
class Organisation:
    """Who uses; ``None`` means not known, which is never the same as zero."""

    name: str = ""
    annual_revenue_usd: int | None = None
    group_revenue_usd: int | None = None  # with affiliates, as several licences ask
    mau: int | None = None  # monthly active users
    monthly_visits: int | None = None
    domicile: str | None = None  # ISO 3166-1 alpha-2
    kind: str | None = None  # company | individual | nonprofit | academic


# Obligations that are met by how outputs are delivered, with the field below that says so.
DELIVERED: Mapping[str, str] = MappingProxyType(
    {"content_filter_or_review": "content_filter", "ai_disclosure": "ai_disclosure"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What is done with outputs before anybody sees them; None: nobody said."""

    content_filter: bool | None = None  # filtered, or each one looked at by a person
    ai_disclosure: bool | None = None  # whoever sees one is told that a machine made it
    removes_provenance_marking: bool | None = None  # marks inside a file are taken off

    @property
    def by_duty(self) -> tuple[tuple[str, bool | None], ...]:
        """The obligations that licences ask for here, and whether each is done."""
        return tuple((duty, getattr(self, practice)) for duty, practice in DELIVERED.items())


DEFAULT_CONTEXT = "default"  # the one that the settings describe


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Which of its contexts an organisation acts in, and who said the facts of it, of which day."""

    name: str = ""  # "" of a use that nobody completed yet
    as_of: date | None = None  # the day that the facts are of; None: nobody said
    good_until: date | None = None  # the last day on which they are taken as said; None: without end
    said_by: str = ""  # "" of the settings, which name nobody
    delivery: Delivery = field(default_factory=Delivery)

    def is_outdated(self, day: date | None) -> bool:
        """Whether the facts are too old on a day; without a day to judge by, facts that age are."""
        return self.good_until is not None and (day is None or day > self.good_until)


@dataclass(frozen=True, kw_only=True, slots=True)
class IntendedUse:
    """An act by an organisation, somewhere, on a day."""

    act: Act = Act.SHIP_OUTPUT_COMMERCIAL
    organisation: Organisation = field(default_factory=Organisation)
    territories: tuple[str, ...] = ()  # ISO 3166-1 alpha-2 or "WORLD"; empty = not known
    on: date | None = None  # the day the verdict is for; filled by the caller's clock
    evidence: tuple[str, ...] = ()  # ids of what can be shown, such as "stability_registration"
    outbound_licence: str | None = None  # licence id that weights go out under; None: not stated
    context: Context = field(default_factory=Context)


def asked_again(use: IntendedUse) -> IntendedUse:
    """What was asked for, without who and when: to be completed by what is known today.

    What was kept before contexts had names was of the only one that there was.
    """
    named = Context(name=use.context.name or DEFAULT_CONTEXT)
    return replace(use, organisation=Organisation(), on=None, context=named)
