"""Which step counts a tier may choose from a preset, and which one it chooses.

The tier's band is for faithful rungs in batch and for every rung where somebody waits; a
distilled method in batch is asked for because it is short, so there only the tier's
ceiling holds. A manifest may ask for less than its tier, never for more, and never for a
count outside the preset's published set.
"""

from policy.methods import MethodPreset
from policy.objections import Objection
from policy.tiers import Rung, ServiceTier, TierRule
from policy.wording import counts, number, plural

FAITHFUL = frozenset({Rung.FULL, Rung.CACHED})


def step_options(preset: MethodPreset, rule: TierRule) -> tuple[int, ...]:
    """The counts the tier may choose on its own, ascending; empty where none fits under its ceiling."""
    below = tuple(steps for steps in preset.steps if steps <= rule.max_steps)
    if rule.tier is ServiceTier.BATCH and preset.rung not in FAITHFUL:
        return below
    band = tuple(steps for steps in below if steps >= rule.min_steps)
    return band or below  # a method published only below the band runs as published


def choose_steps(preset: MethodPreset, rule: TierRule, asked: int | None, floor: float) -> int | Objection:
    """The explicit count if the preset and the tier allow it, else the tier's own choice.

    The own choice is the tier's default or the preset's recommendation, moved up to the
    first count that reaches the quality floor.
    """
    if asked is not None:
        return _as_asked(preset, rule, asked)
    options = step_options(preset, rule)
    if not options:
        return Objection(
            preset=preset.name,
            code="no_steps_in_tier",
            detail=f"{preset.name} runs {counts(preset.steps)} steps, more than tier {rule.tier} may spend.",
            remedy="Ask for tier batch, or for a method with fewer steps.",
        )
    wanted = rule.default_steps or preset.recommended_steps
    chosen = min(options, key=lambda steps: (abs(steps - wanted), -steps))
    reaching = (steps for steps in options if steps >= chosen and preset.quality_at(steps) >= floor)
    return next(reaching, chosen)


def _as_asked(preset: MethodPreset, rule: TierRule, asked: int) -> int | Objection:
    if asked not in preset.steps:
        nearest = min(preset.steps, key=lambda steps: (abs(steps - asked), -steps))
        return Objection(
            preset=preset.name,
            steps=asked,
            code="steps_not_in_set",
            detail=f"{preset.name} does not run {plural(asked, 'step')}; its set is {counts(preset.steps)}.",
            remedy=f"Ask for {plural(nearest, 'step')} with {preset.name}, or leave steps out.",
        )
    if asked > rule.max_steps:
        return Objection(
            preset=preset.name,
            steps=asked,
            code="steps_above_tier",
            detail=f"Tier {rule.tier} spends at most {plural(rule.max_steps, 'step')}, not {asked}: "
            "a manifest may ask for less than its tier, never for more.",
            remedy=f"Ask for at most {plural(rule.max_steps, 'step')}, or for tier batch."
            if rule.tier is not ServiceTier.BATCH
            else f"Ask for at most {plural(rule.max_steps, 'step')}.",
        )
    return asked


def why_steps(preset: MethodPreset, rule: TierRule, *, asked: int | None, steps: int, floor: float) -> str:
    """The sentence a plan gives for its step count."""
    if asked is not None and steps < asked:
        return f"{plural(steps, 'step')} instead of {asked}: what the latency target leaves time for."
    if asked is not None:
        return f"{plural(steps, 'step')}, as the manifest asks."
    if steps == rule.default_steps:
        return f"{plural(steps, 'step')}: the default of tier {rule.tier}."
    if rule.default_steps is None and steps == preset.recommended_steps:
        return f"{plural(steps, 'step')}: what {preset.name} recommends."
    below = [count for count in step_options(preset, rule) if count < steps]
    if floor and below and preset.quality_at(below[-1]) < floor:
        return f"{plural(steps, 'step')}: the fewest that reach the quality floor of {number(floor)}."
    return f"{plural(steps, 'step')}: the nearest that {preset.name} has within tier {rule.tier}."
