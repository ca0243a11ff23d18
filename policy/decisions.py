"""Decisions: how one course runs, in numbers for the worker and in sentences for the reader."""

from dataclasses import replace

from policy.canonical import digest
from policy.courses import Course
from policy.guidance import primary_knob
from policy.ladder import Candidate, Ground, Need, rejections
from policy.layouts import Laid
from policy.plan import Decision, Rejection
from policy.quality_curves import curve_of
from policy.step_counts import why_steps
from policy.tiers import is_preferred
from policy.wording import duration, number, plural, rounded, thing

CUT = "does_not_fit_the_night"  # code of the rejection that says what was asked for before a night cut it


def decide(course: Course, part: Laid, ground: Ground) -> Decision:
    """The decision of a course as it was laid out."""
    run, need = course.run, course.need
    size = part.sizes[0]
    p50, p95 = (seconds / size for seconds in run.seconds(size))
    decision = Decision(
        decision_id="",
        offer=run.offer,
        width=need.width,
        height=need.height,
        frames=need.frames,
        fps=need.frame_rate(run.offer.preset),
        steps=run.steps,
        guidance=run.guidance,
        rows_per_picture=run.rows_per_picture,
        seconds_p50=p50,
        seconds_p95=p95,
        batch_size=size,
        quality=run.quality,
        reasons=_reasons(course, ground, size, (p50, p95)),
        rejected=_rejected(course),
        devices=part.devices,
    )
    return replace(decision, decision_id=decision_digest(decision, run.offer.digest))


def decision_digest(decision: Decision, offer: str) -> str:
    """Digest of a decision; its offer, the same for many decisions, is digested once."""
    facts: dict[str, object] = {
        "offer": offer,
        "size": [decision.width, decision.height, decision.frames],
        "steps": decision.steps,
        "guidance": [[name, float(value)] for name, value in decision.guidance],
        "rows_per_picture": decision.rows_per_picture,
        "seconds": [float(decision.seconds_p50), float(decision.seconds_p95)],
        "batch_size": decision.batch_size,
        "quality": float(decision.quality),
        "reasons": decision.reasons,
        "rejected": decision.rejected,
    }
    if decision.fps is not None:
        facts["fps"] = float(decision.fps)
    if decision.devices:  # as it was before fleets had several
        facts["devices"] = [
            [cost.device, float(cost.seconds_p50), float(cost.seconds_p95)] for cost in decision.devices
        ]
    return digest("decision", facts)


def _rejected(course: Course) -> tuple[Rejection, ...]:
    asked = course.climbed.standing[0]
    others = rejections(course.run if course.run in course.climbed.standing else asked, course.climbed)
    if course.run == asked:
        return others
    night = Rejection(
        preset=asked.offer.preset.name,
        steps=asked.steps,
        code=CUT,
        detail=f"{asked.offer.preset.name} at {plural(asked.steps, 'step')} would end after the deadline.",
    )
    return (night, *(other for other in others if (other.preset, other.steps) != (night.preset, night.steps)))


def _reasons(course: Course, ground: Ground, size: int, seconds: tuple[float, float]) -> tuple[str, ...]:
    run, need, rule = course.run, course.need, ground.rule
    preset = run.offer.preset
    asked = course.climbed.standing[0]
    if run == asked:
        steps = why_steps(preset, rule, asked=need.steps, steps=run.steps, floor=ground.service.quality_floor)
    else:
        steps = f"{plural(run.steps, 'step')} instead of {asked.steps}, so that the night ends in time."
    told = (_why_rung(need, run, ground), steps, _why_worth(run, seconds[0]))
    return (*told, _why_guidance(need, run), _why_cost(need, run, size, seconds))


def _why_rung(need: Need, run: Candidate, ground: Ground) -> str:
    preset, rule = run.offer.preset, ground.rule
    if need.method is not None:
        return f"Method {preset.name}, as the manifest asks."
    if is_preferred(preset.family, run.steps, rule):
        best = f"of the family that tier {rule.tier} prefers"
    else:
        rungs = (*rule.rungs, "real-time native") if rule.admits_real_time_native else rule.rungs
        best = f"the best of tier {rule.tier} ({', then '.join(rungs)})"
    return (
        f"Method {preset.name} ({preset.rung}): {best} that is licensed for this use and fits; "
        f"quality {rounded(run.quality)}."
    )


def _why_worth(run: Candidate, seconds: float) -> str:
    """Where the steps stand on their curve, and what the neighbouring counts would change."""
    preset = run.offer.preset
    curve = curve_of(preset)
    here = curve.at(run.steps)
    basis = "measured" if curve.is_measured else "not measured, by a stated prior"
    told = f"{plural(run.steps, 'step')} are worth {rounded(here)} ({basis})"
    if run.steps == 1:
        told = told.replace("are worth", "is worth")
    more = [steps for steps in preset.steps if steps > run.steps]
    if more:
        gain = curve.at(more[0]) - here
        a_second = gain * run.steps / (seconds * (more[0] - run.steps)) if seconds > 0 else 0.0
        adds = f"adds {rounded(gain)}, {rounded(a_second)} a second" if gain > 1e-9 else "adds nothing"
        told += f"; {more[0]} {adds}"
    fewer = [steps for steps in preset.steps if steps < run.steps]
    if fewer:
        told += f"; {fewer[-1]} loses {rounded(here - curve.at(fewer[-1]))}"
    return f"{told}."


def _why_guidance(need: Need, run: Candidate) -> str:
    preset, made = run.offer.preset, thing(need.frames)
    passes = f"{plural(run.forward_passes, 'forward pass')} a {made}{_how_streamed(need, run)}"
    knob = primary_knob(preset)
    if knob is None:
        return f"No guidance: {preset.name} has none; {passes}."
    value = dict(run.guidance)[knob.name]
    whose = "as the manifest asks, inside its range" if need.guidance is not None else "the preset's own"
    effect = f"{'two rows' if run.rows_per_picture > 1 else 'one row'} a {made}"
    return f"{knob.name} {number(value)}, {whose}: {effect}, {passes}."


def _how_streamed(need: Need, run: Candidate) -> str:
    """How the forward passes of a stream come about; nothing for what does not stream."""
    rollout = run.offer.preset.rollout
    if rollout is None:
        return ""
    chunks = plural(rollout.chunks(need.frames), "chunk")
    cached = f" and {rollout.cache_passes} to fill the cache" if rollout.cache_passes else ""
    return f" ({chunks} of {plural(rollout.chunk_frames, 'frame')}, each {plural(run.steps, 'step')}{cached})"


def _why_cost(need: Need, run: Candidate, size: int, seconds: tuple[float, float]) -> str:
    samples = run.profile.samples
    basis = (
        f"from {plural(samples, 'measured take')}"
        if samples
        else "from the built-in prior, not measured here yet"
    )
    made = thing(need.frames)
    return f"{duration(seconds[0])} a {made} (p95 {duration(seconds[1])}) in batches of {size}, {basis}."
