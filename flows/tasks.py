"""What a worker is sent for a decision and a batch of it: everything to render, and nothing to look up."""

from collections.abc import Mapping
from dataclasses import replace

from policy.errors import IntegrityFault, WrongUse
from policy.plan import Decision
from policy.salting import salted_digest
from policy.stacks import ModelPin
from policy.streams import StreamRefusal, stream_settings
from policy.tasks import LocatedPart, RenderTask, ShotTask, StackLoad
from policy.tiers import Rung
from registry.records import LeasedBatch


def make_template(
    decision: Decision, roots: Mapping[str, str], facts: tuple[tuple[str, str], ...]
) -> RenderTask:
    """What a worker needs for a decision, without a batch: nothing to look up, nothing to decide.

    WrongUse where the causal engine cannot run the method.
    """
    preset, stack = decision.offer.preset, decision.offer.stack
    stream = stream_settings(preset, decision.steps) if preset.rung is Rung.CAUSAL else None
    if isinstance(stream, StreamRefusal):
        raise WrongUse(f"{preset.name} cannot be streamed here: {stream.told}", "Name another method.")
    return RenderTask(
        task_id="",
        load=StackLoad(
            stack=stack,
            parts=tuple(LocatedPart(pin_id=pin.pin_id, root=_root(pin, roots)) for pin in stack.pins),
            fuse=preset.fuse,
        ),
        preset=preset.name,
        preset_version=preset.version,
        scheduler=preset.scheduler,
        schedule=preset.schedule_for(decision.steps),
        steps=decision.steps,
        guidance=decision.guidance,
        call=preset.call_at(decision.steps),
        cache=preset.cache,
        width=decision.width,
        height=decision.height,
        frames=decision.frames,
        fps=decision.fps,
        stream=stream,
        shots=(),
        provenance=facts,
    )


def make_task(batch: LeasedBatch, template: RenderTask, salt: str) -> RenderTask:
    """The template of a batch's decision, with the batch; the salt itself never reaches a worker."""
    return replace(
        template,
        task_id=batch.task_id,
        width=batch.width,
        height=batch.height,
        frames=batch.frames,
        shots=tuple(
            ShotTask(
                take_id=shot.take_id,
                shot_key=shot.shot_key,
                prompt=shot.prompt,
                negative=shot.negative,
                seed=shot.seed,
                prompt_digest=salted_digest("prompt", salt, [shot.prompt, shot.negative]),
                seed_digest=salted_digest("seed", salt, shot.seed),
            )
            for shot in batch.shots
        ),
        reuse=batch.reuse,
    )


def _root(pin: ModelPin, roots: Mapping[str, str]) -> str:
    try:
        return roots[pin.pin_id]
    except KeyError:
        raise IntegrityFault(
            f"The plan uses {pin.repo} at {pin.revision[:12]}, and that is not what is pinned now.",
            "Cancel the job and render the manifest again: it will be planned on the new pin.",
        ) from None
