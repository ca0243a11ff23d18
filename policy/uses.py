"""What somebody intends to do with pictures or weights: the question that a licence answers."""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


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


@dataclass(frozen=True, kw_only=True, slots=True)
class IntendedUse:
    """An act by an organisation, somewhere, on a day."""

    act: Act = Act.SHIP_OUTPUT_COMMERCIAL
    organisation: Organisation = field(default_factory=Organisation)
    territories: tuple[str, ...] = ()  # ISO 3166-1 alpha-2 or "WORLD"; empty = not known
    on: date | None = None  # the day the verdict is for; filled by the caller's clock
    evidence: tuple[str, ...] = ()  # ids of what can be shown, such as "stability_registration"
    outbound_licence: str | None = None  # licence id that weights go out under; None: not stated
