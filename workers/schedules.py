"""Schedulers built from a preset's own values, without weights, and the schedule they really run."""

import inspect
from dataclasses import dataclass
from typing import Any

import diffusers

from policy.errors import RenderFault
from policy.methods import SchedulerSpec, StepSchedule
from workers.flow_grids import OWN
from workers.shifts import BARE, Caller, told_by_pipeline

ALLOWED = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    *OWN,
    "FlowMapEulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "HeliosDMDScheduler",
    "LCMScheduler",
    "PNDMScheduler",
    "SCMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
TOLERANCE = 0.05  # of a timestep in 0..1000: published lists are rounded to one decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveSchedule:
    """What an instantiated scheduler reports, not what a table says."""

    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]  # with the last 0 where the scheduler has one; empty where it knows no sigmas


def build_scheduler(spec: SchedulerSpec) -> Any:
    """A fresh scheduler of an allowed class from a complete config; a key it does not know is refused."""
    if spec.class_name not in ALLOWED:
        raise RenderFault(
            f"The scheduler {spec.class_name} is not on the list of allowed ones.",
            f"Use one of {', '.join(ALLOWED)}.",
        )
    made = scheduler_class(spec.class_name)
    known = inspect.signature(made.__init__).parameters
    strange = [key for key, _ in spec.config if key not in known]
    if strange:
        raise RenderFault(
            f"{spec.class_name} has no setting {' or '.join(strange)}: this is not the published recipe.",
            "Correct the scheduler of the preset.",
        )
    return made(**dict(spec.config))


def scheduler_class(name: str) -> Any:
    """A scheduler's class: one of this house's own, or that of the library."""
    return OWN.get(name) or getattr(diffusers, name)


def live_schedule(
    spec: SchedulerSpec, steps: int, published: StepSchedule | None = None, caller: Caller = BARE
) -> LiveSchedule:
    """The schedule that a scheduler really takes when a pipeline sets it, at its size."""
    scheduler = build_scheduler(spec)
    if isinstance(scheduler, diffusers.HeliosDMDScheduler):
        return pyramid_schedule(scheduler, steps)
    told = told_by_pipeline(caller, scheduler, steps)
    if published is not None and published.explicit_timesteps:
        told = told | {"timesteps": _whole(published.timesteps)}
    elif published is not None and published.sigmas:
        told = told | {"sigmas": list(published.sigmas)}
    try:
        if "timesteps" in told or "sigmas" in told:
            scheduler.set_timesteps(**told)
        else:
            scheduler.set_timesteps(steps, **told)
    except (TypeError, ValueError) as fault:
        raise RenderFault(
            f"{spec.class_name} does not run this schedule of {steps} steps: {fault}",
            "Choose a step count that the preset allows.",
        ) from fault
    return schedule_of(scheduler)


def pyramid_schedule(scheduler: Any, steps: int, *, amplified: bool = False) -> LiveSchedule:
    """The steps of all stages of a pyramid in a row; ``amplified`` as the first chunk runs: twice as many."""
    stages = scheduler.config.stages
    if steps % stages:
        raise RenderFault(
            f"{steps} steps do not divide into the {stages} stages of {type(scheduler).__name__}.",
            "Choose a step count that the preset allows.",
        )
    found: list[LiveSchedule] = []
    for stage in range(stages):
        scheduler.set_timesteps(steps // stages, stage_index=stage, is_amplify_first_chunk=amplified)
        found.append(schedule_of(scheduler))
    return LiveSchedule(
        timesteps=tuple(value for stage in found for value in stage.timesteps),
        sigmas=tuple(value for stage in found for value in stage.sigmas),
    )


def schedule_of(scheduler: Any) -> LiveSchedule:
    """The schedule that a scheduler has just been set to."""
    found = getattr(scheduler, "sigmas", None)
    timesteps = tuple(float(value) for value in scheduler.timesteps)
    if isinstance(scheduler, diffusers.SCMScheduler):
        timesteps = timesteps[:-1]  # it lists the end too, at which nothing is computed
    return LiveSchedule(
        timesteps=timesteps,
        sigmas=() if found is None else tuple(float(value) for value in found),
    )


def pipeline_schedule(published: StepSchedule | None, steps: int) -> dict[str, Any]:
    """The arguments by which a pipeline is told its schedule."""
    if published is not None and published.explicit_timesteps:
        return {"timesteps": _whole(published.timesteps), "num_inference_steps": steps}
    if published is not None and published.sigmas:
        return {"sigmas": list(published.sigmas), "num_inference_steps": steps}
    return {"num_inference_steps": steps}


def require_published(
    spec: SchedulerSpec, published: StepSchedule | None, steps: int, caller: Caller = BARE
) -> LiveSchedule:
    """Refuse to run a preset on any schedule but its published one; returns the live schedule.

    At another size than the figures were published for, the live schedule is the pipeline's own
    computation, and that is what has to run.
    """
    live = live_schedule(spec, steps, published, caller)
    if published is not None and published.holds_at(caller.size):
        refuse_other(spec.class_name, published.timesteps, live)
    return live


def refuse_other(scheduler: str, published: tuple[float, ...], live: LiveSchedule) -> None:
    """Raise RenderFault where the live timesteps are not the published ones."""
    if not same_timesteps(published, live.timesteps):
        raise RenderFault(
            f"{scheduler} would run timesteps {_shown(live.timesteps)}, "
            f"but the preset was published for {_shown(published)}.",
            "Correct the scheduler of the preset; on another schedule a distilled model washes out.",
        )


def same_timesteps(published: tuple[float, ...], live: tuple[float, ...]) -> bool:
    """Equal in number and, but for rounding in print, in value."""
    return len(published) == len(live) and all(
        abs(told - found) <= TOLERANCE for told, found in zip(published, live, strict=True)
    )


def _whole(timesteps: tuple[float, ...]) -> list[float]:
    return [int(value) if value.is_integer() else value for value in timesteps]


def _shown(timesteps: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in timesteps)
