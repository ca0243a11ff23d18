"""Service tiers: what was promised, and the steps each tier may spend."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ServiceTier(StrEnum):
    """How long somebody waits: overnight, at a spinner, or watching frames arrive."""

    BATCH = "batch"
    INTERACTIVE = "interactive"
    LIVE = "live"


class Rung(StrEnum):
    """The ladder of execution, from the most faithful to the fastest."""

    FULL = "full"
    CACHED = "cached"  # full steps with a training-free cache: no new licence
    DISTILLED = "distilled"  # a few-step student: adds licensed artefacts
    CAUSAL = "causal"  # a few-step student that streams


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLevel:
    """A tier with its promise; deadlines are aware datetimes."""

    tier: ServiceTier = ServiceTier.BATCH
    deadline: datetime | None = None
    latency_target_s: float | None = None
    quality_floor: float = 0.0  # 0..1, on the scale of the measured quality priors
    may_approximate: bool = False  # may a training-free cache skip work (the cached rung)?
    may_degrade: bool = (
        False  # may a late job, or one that somebody waits for, shed steps? Never below the tier's
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TierRule:
    """What a tier may run: rungs in order of preference and the band of steps."""

    tier: ServiceTier
    rungs: tuple[Rung, ...]
    min_steps: int
    max_steps: int
    default_steps: int | None  # None: the preset's recommendation
    preferred: tuple[
        str, ...
    ] = ()  # families that go before better ones on the same rung, most preferred first
    preferred_for_one_step: tuple[str, ...] = ()
    admits_real_time_native: bool = False  # after its rungs: what keeps up without streaming

    def place(self, rung: Rung, *, is_real_time_native: bool) -> int | None:
        """The place of a rung in the order of preference; None where the tier does not run it."""
        if rung in self.rungs:
            return self.rungs.index(rung)
        return len(self.rungs) if self.admits_real_time_native and is_real_time_native else None


def preference(family: str, steps: int, rule: TierRule) -> int:
    """The place of a family in what its tier prefers at a step count; all others come after, as equals."""
    preferred = rule.preferred_for_one_step + rule.preferred if steps == 1 else rule.preferred
    return preferred.index(family) if family in preferred else len(preferred)


def is_preferred(family: str, steps: int, rule: TierRule) -> bool:
    """Whether a tier names the family among its preferred ones."""
    return family in rule.preferred or (steps == 1 and family in rule.preferred_for_one_step)


# The table of the brief. Code and not configuration, so that it is reviewed like code:
# a manifest may ask for less than its tier, never for more.
TIER_TABLE: dict[ServiceTier, TierRule] = {
    ServiceTier.BATCH: TierRule(
        tier=ServiceTier.BATCH,
        rungs=(Rung.FULL, Rung.CACHED, Rung.DISTILLED),
        min_steps=25,
        max_steps=50,
        default_steps=None,
    ),
    ServiceTier.INTERACTIVE: TierRule(
        tier=ServiceTier.INTERACTIVE,
        rungs=(Rung.DISTILLED,),
        min_steps=4,
        max_steps=8,
        default_steps=4,
        # For pictures, then for clips; a Lightning distil only ever fits the model in use.
        preferred=("lcm-lora", "animatediff-lightning", "wan2.2-lightning"),
        preferred_for_one_step=("hyper-sd",),
    ),
    ServiceTier.LIVE: TierRule(
        tier=ServiceTier.LIVE,
        rungs=(Rung.CAUSAL,),
        min_steps=1,
        max_steps=8,
        default_steps=4,
        admits_real_time_native=True,
    ),
}
