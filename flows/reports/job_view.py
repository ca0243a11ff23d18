"""Everything that the pages of a job show, gathered once: a page is drawn without a ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from policy.forecast import SettledBatch
from policy.verdicts import Verdict
from registry.records import (
    Attestation,
    DeviceWork,
    HeldShot,
    JobRecord,
    PlanHeader,
    ReplanningRecord,
    ShotRecord,
    TakeRecord,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured mean of a sample beside the band in which good pictures of the stack lie; each 0..1."""

    name: str  # saturation, clipping, contrast, luminance
    measured: float
    low: float
    high: float

    @property
    def is_inside(self) -> bool:
        return self.low <= self.measured <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class LookJudgement:
    """What the output checks said of the pictures of one decision."""

    decision: int  # index into the plan's decisions
    kind: (
        str  # good | black | flat | frozen | flicker | silent | clipped | washed_out | over_driven | unjudged
    )
    pictures: int
    reasons: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    waived: bool = False  # waived in the manifest: shown, and holds nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentView:
    """One shipment of this job."""

    shipment_id: str
    shipped_at: datetime
    actor: str
    recipients: tuple[str, ...]
    items: int
    notices_sha256: str


def no_picture(sha256: str) -> bytes | None:
    """The reader of a job whose artefacts cannot be read: every picture is shown as missing."""
    del sha256
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobView:
    """A job, its plan and what became of it; ``read_picture`` gives the bytes of an artefact by sha256."""

    job: JobRecord
    plan: PlanHeader
    shots: tuple[ShotRecord, ...]
    verdict: Verdict  # of every stack that was really used, for the intended use, today
    made_at: datetime  # when this view was gathered
    read_picture: Callable[[str], bytes | None] = no_picture
    failed_takes: tuple[TakeRecord, ...] = ()  # every attempt that failed, oldest first
    loaded: tuple[Attestation, ...] = ()  # what workers attested
    looks: tuple[LookJudgement, ...] = ()
    holds: tuple[HeldShot, ...] = ()
    shipments: tuple[ShipmentView, ...] = ()
    unkept: Mapping[str, str] = field(default_factory=dict[str, str])  # by shot: why its bytes were removed
    rounds: tuple[ReplanningRecord, ...] = ()  # how the night was planned anew
    batches: tuple[SettledBatch, ...] = ()  # as they were rendered, in the order in which they were settled
    files: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # shot -> file beside the page
    settled_at: tuple[datetime, ...] = ()  # when each picture was finished, in order: the timeline
    device_seconds: float = 0.0  # rendering, over all workers; reused pictures cost nothing
    load_seconds: float = 0.0  # spent making stacks resident
    workers: int = 1
    price_per_device_hour: float | None = None
    devices: tuple[DeviceWork, ...] = ()  # who did what, by device class
    prices: Mapping[str, float | None] = field(
        default_factory=lambda: MappingProxyType({})
    )  # device class -> price of its hour, where a fleet has several
    currency: str = "USD"
    version: str = ""  # of Rightstep

    @property
    def thing(self) -> str:
        """What the job makes, in the singular: picture, clip, or shot where it makes both."""
        found = {decision.thing for decision in self.plan.decisions}
        return found.pop() if len(found) == 1 else "shot"

    @property
    def cost(self) -> float | None:
        """Money for the device time that was used; None where the fleet has no price."""
        if self.prices:
            return self._cost_by_device()
        if self.price_per_device_hour is None:
            return None
        return (self.device_seconds + self.load_seconds) / 3600 * self.price_per_device_hour

    def _cost_by_device(self) -> float | None:
        hours = [
            ((one.seconds + one.load_seconds) / 3600, self.prices.get(one.device)) for one in self.devices
        ]
        if any(price is None for _, price in hours):
            return None
        return sum(spent * price for spent, price in hours if price is not None)
