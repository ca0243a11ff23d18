"""Guidance is the preset's, not the caller's.

"Off" is not one number: 0.0, 1.0 or eight knobs, by pipeline; and a student with
guidance baked in burns its pictures, or washes them out, when guided again, at twice the
rows. So a caller's value is taken only inside the range its preset was published for.
"""

from policy.methods import GuidanceKnob, MethodPreset
from policy.objections import Objection
from policy.wording import number, plural, thing

Guidance = tuple[tuple[str, float], ...]
PRIMARY = "guidance_scale"


def settle_guidance(preset: MethodPreset, asked: float | None, steps: int) -> Guidance | Objection:
    """Every knob of the preset with its value; ``asked`` sets the primary one, inside its range only."""
    own = {knob.name: knob.default for knob in preset.guidance}
    if asked is None:
        return tuple(own.items())
    knob = primary_knob(preset)
    if knob is None:
        return Objection(
            preset=preset.name,
            steps=steps,
            code="guidance_not_the_callers",
            detail=f"{preset.name} has no guidance to set, and {number(asked)} was asked for.",
            remedy="Leave guidance out of the manifest.",
        )
    if not takes(knob, asked):
        return _outside(preset, knob, asked, steps)
    return tuple((own | {knob.name: float(asked)}).items())


def primary_knob(preset: MethodPreset) -> GuidanceKnob | None:
    """The knob that a manifest's ``guidance`` means: guidance_scale, else the first."""
    named = (knob for knob in preset.guidance if knob.name == PRIMARY)
    return next(named, preset.guidance[0] if preset.guidance else None)


def takes(knob: GuidanceKnob, value: float) -> bool:
    """Whether a value is inside the knob's range; what is not a number never is."""
    return knob.minimum <= value <= knob.maximum


def allowed(knob: GuidanceKnob) -> str:
    """The range in words: "only 1", "1 to 9"."""
    if knob.minimum == knob.maximum:
        return f"only {number(knob.minimum)}"
    return f"{number(knob.minimum)} to {number(knob.maximum)}"


def _outside(preset: MethodPreset, knob: GuidanceKnob, asked: float, steps: int) -> Objection:
    here, there = knob.rows_per_picture(knob.default), knob.rows_per_picture(asked)
    cost = ""
    if there > here:
        run = preset.steps_run(steps)
        passes = plural(run * there, "forward pass")
        cost = f" It would also double the cost: {passes} a {thing(preset.frames)} instead of {run * here}."
    return Objection(
        preset=preset.name,
        steps=steps,
        code="guidance_not_the_callers",
        detail=f"{preset.name} takes {allowed(knob)} for {knob.name}, not {_said(asked)}. {knob.why}{cost}",
        remedy=f"Leave guidance out: {preset.name} runs at its own {number(knob.default)}.",
    )


def _said(value: float) -> str:
    return number(value) if value - value == 0 else str(value)  # inf - inf and nan are not 0
