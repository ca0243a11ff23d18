"""A plan or a refusal as lines for a reader: what was chosen, why, why not the others, and what it costs."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from policy.decisions import CUT
from policy.menu import Offer
from policy.plan import Decision, DeviceShare, ExecutionPlan, PlanRefusal
from policy.stacks import AdapterPin, ModelPin, Role
from policy.verdicts import Reason, Verdict
from policy.wording import counts, duration, number, plural, rounded, thing

LABEL = 11  # width of the column of labels
SHORT = 12  # hex digits of a digest that people compare


def explain_plan(plan: ExecutionPlan) -> tuple[str, ...]:
    """Every decision of a plan with its reasons, rejected alternatives, files, cost and licence verdict."""
    shots = Counter(planned.decision for planned in plan.shots)
    lines = [*_heading(plan)]
    for index, decision in enumerate(plan.decisions):
        which = f"Decision {index + 1} of {len(plan.decisions)}"
        lines += ["", f"{which}: {plural(shots[index], 'shot')}, {_size(decision)}"]
        lines += _decision(decision)
    if plan.warnings:
        lines += ["", "Warnings", *(f"  - {warning}" for warning in plan.warnings)]
    return tuple(lines)


def explain_refusal(refusal: PlanRefusal) -> tuple[str, ...]:
    """Every reason with its clause, then what would make it work."""
    lines = ["Refused", *(f"  - {reason_line(reason)}" for reason in refusal.reasons)]
    if refusal.remedies:
        lines += ["What would work", *(f"  - {remedy}" for remedy in refusal.remedies)]
    return tuple(lines)


def reason_line(reason: Reason) -> str:
    """A reason with the component, licence and clause it rests on."""
    clause = f"clause {reason.clause}" if reason.clause else ""
    place = ", ".join(part for part in (reason.component, reason.licence, clause) if part)
    return f"{reason.detail} [{place}]" if place else reason.detail


def _heading(plan: ExecutionPlan) -> Iterator[str]:
    totals, service = plan.totals, plan.manifest.service
    what = f"{plural(totals.shots, 'shot')}, tier {service.tier}"
    yield f'Plan {plan.plan_hash[:SHORT]} for "{plan.manifest.name}": {what}'
    yield _line(
        "predicted",
        f"{duration(totals.wall_seconds_p50)} on the fleet (p95 {duration(totals.wall_seconds_p95)}), "
        f"{duration(totals.seconds_p50)} of device time, {plural(totals.forward_passes, 'forward pass')}",
    )
    if len(totals.devices) > 1:
        yield from _listed("devices", [_share(share, totals.currency) for share in totals.devices])
    if service.deadline is not None:
        yield _line("deadline", f"{service.deadline:%Y-%m-%d %H:%M %Z}")
        yield _line("finish", _finish(plan, service.deadline))
        yield from _listed("shed", [*_shed(plan)])
    if totals.price is not None:
        yield _line("price", f"{totals.price:.2f} {totals.currency}")
    yield _line("disk", f"up to {totals.bytes_on_disk / 1e6:,.1f} MB")
    yield _line("policy", f"version {plan.policy_version}")


def _share(share: DeviceShare, currency: str) -> str:
    """What one device is predicted to do of the plan."""
    who = f"{share.device}, {plural(share.workers, 'worker')}"
    if not share.batches:
        return f"{who}: nothing, which ends sooner"
    price = "" if share.price is None else f", {share.price:.2f} {currency}"
    seconds = f"{duration(share.seconds_p50)} (p95 {duration(share.seconds_p95)})"
    return f"{who}: {seconds} in {plural(share.batches, 'batch')}{price}"


def _finish(plan: ExecutionPlan, deadline: datetime) -> str:
    """The estimated end as a band, and what it leaves."""
    p50, p95 = (
        (plan.made_at + timedelta(seconds=seconds)).astimezone(deadline.tzinfo)
        for seconds in (plan.totals.wall_seconds_p50, plan.totals.wall_seconds_p95)
    )
    spare = (deadline - p95).total_seconds()
    return f"{p50:%H:%M:%S}, in 19 of 20 nights by {p95:%H:%M:%S}: {duration(max(spare, 0.0))} to spare"


def _shed(plan: ExecutionPlan) -> Iterator[str]:
    """What the night took from whom; nothing where everything runs as asked."""
    counted = Counter(planned.decision for planned in plan.shots)
    for index, decision in enumerate(plan.decisions):
        for asked in decision.rejected:
            if asked.code == CUT and asked.steps is not None:
                yield (
                    f"{plural(counted[index], 'shot')}: {_which(decision.offer.preset.name, decision.steps)} "
                    f"instead of {_which(asked.preset, asked.steps)}"
                )


def _decision(decision: Decision) -> Iterator[str]:
    offer = decision.offer
    preset = offer.preset
    yield _line("method", f"{preset.name} version {preset.version}, {preset.family}, rung {preset.rung}")
    yield _line("steps", f"{decision.steps}, of the preset's {counts(preset.steps)}")
    yield _line("guidance", _guidance(decision))
    config = ", ".join(f"{key}={_setting(value)}" for key, value in preset.scheduler.config)
    yield _line("scheduler", f"{preset.scheduler.class_name} ({config})")
    schedule = preset.schedule_for(decision.steps)
    if schedule is not None:
        yield _line("timesteps", ", ".join(number(step) for step in schedule.timesteps))
    yield from _files(offer)
    yield from _listed("why", decision.reasons)
    yield from _listed("why not", [f"{_which(no.preset, no.steps)}: {no.detail}" for no in decision.rejected])
    yield _line(
        "cost",
        f"{duration(decision.seconds_p50)} a {thing(decision.frames)} "
        f"(p95 {duration(decision.seconds_p95)}), "
        f"{plural(decision.forward_passes, 'forward pass')}, batches of {decision.batch_size}",
    )
    yield from _listed(
        "by device",
        [
            f"{cost.device}: {duration(cost.seconds_p50)} a picture (p95 {duration(cost.seconds_p95)})"
            for cost in decision.devices
        ],
    )
    yield _line("quality", f"{rounded(decision.quality)} of the base at full steps")
    yield from _verdict(offer.verdict)
    yield from _listed(
        "sources", [_fact(fact.claim, fact.source, verified=fact.verified) for fact in preset.facts]
    )


def _guidance(decision: Decision) -> str:
    knobs = ", ".join(f"{name} {number(value)}" for name, value in decision.guidance) or "none"
    return f"{knobs}; {plural(decision.rows_per_picture, 'row')} a {thing(decision.frames)}"


def _files(offer: Offer) -> Iterator[str]:
    stack = offer.stack
    yield _line("stack", f"{stack.name} ({stack.pipeline}, {stack.dtype}), id {stack.stack_id[:SHORT]}")
    for pin in stack.pins:
        yield _line("", f"{pin.repo}@{pin.revision[:SHORT]} as {pin.role}{_scale(pin)}")
        for file in sorted(pin.files, key=lambda file: file.path):
            yield _line("", f"  {file.path}  sha256 {file.sha256[:SHORT]}  {file.size:,} bytes")


def _scale(pin: ModelPin) -> str:
    if isinstance(pin, AdapterPin) and pin.role in {Role.LORA, Role.DISTILL_LORA}:
        return f" at scale {number(pin.scale)}"
    return ""


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield _line("licence", f"{verdict.ruling}")
    for reason in verdict.reasons:
        yield _line("", f"- {reason_line(reason)}")
    yield from _listed(
        "must", [f"{duty.text} ({duty.component}; {duty.when})" for duty in verdict.obligations]
    )


def _fact(claim: str, source: str, *, verified: bool) -> str:
    return f"{claim} ({source}{'' if verified else ', unverified'})"


def _size(decision: Decision) -> str:
    frames = f", {plural(decision.frames, 'frame')}" if decision.frames > 1 else ""
    rate = f" at {number(decision.fps)} a second" if decision.fps is not None else ""
    return f"{decision.width} x {decision.height}{frames}{rate}"


def _which(preset: str, steps: int | None) -> str:
    return preset if steps is None else f"{preset} at {plural(steps, 'step')}"


def _setting(value: str | float | bool | None) -> str:  # noqa: FBT001 - a scheduler's own setting
    return number(value) if isinstance(value, float) else f"{value}"


def _listed(label: str, items: list[str] | tuple[str, ...]) -> Iterator[str]:
    for index, item in enumerate(items):
        yield _line(label if index == 0 else "", f"- {item}")


def _line(label: str, text: str) -> str:
    return f"  {label:<{LABEL}}{text}"
