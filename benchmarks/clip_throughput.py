"""How many clips does the farm make for those of a bare diffusers loop that encodes them too?"""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, LCMScheduler, MotionAdapter

from benchmarks.batch_efficiency import drive
from benchmarks.bench_tasks import tasks_of
from benchmarks.measurement import Measurement, at_least, median, plain
from benchmarks.night import night_manifest, plan_of, temporary_house
from flows.bootstrap import House
from flows.rendering import shots_of
from flows.submitting import submit_plan
from flows.workshop import open_workshop
from policy.plan import ExecutionPlan, PlannedBatch
from policy.tasks import RenderTask
from policy.tiers import ServiceTier
from registry.unit_of_work import unit_of_work
from workers.clip_files import decoded_frames, marked_clip
from workers.marking import Marking

CLIPS, ROUNDS, BATCH, THREADS = 48, 2, 4, 1
FRAMES, METHOD, RATE = 8, "emoji-64-motion-lcm", 16.0
LORA = "pytorch_lora_weights.safetensors"


def measure() -> Measurement:
    """One worker against one process that calls the same pipeline on the same batches, in turn."""
    farm, bare = list[float](), list[float]()
    with temporary_house(workers=1, threads=THREADS) as house:
        pipeline = _pipeline(tasks_of(house, _plan(house, 1, 0))[0])
        for number in range(1, ROUNDS + 1):
            plan = _plan(house, CLIPS, number * CLIPS)
            seconds, drawn = _bare(pipeline, tasks_of(house, plan))
            bare.append(seconds)
            farm.append(_farm(house, plan, drawn))
    return Measurement(
        question="How many clips does the farm make for those of a bare loop?",
        figures=(
            at_least("", "clips of the farm / clips of a bare loop", median(bare) / median(farm), 0.97),
            plain("a clip through the farm", median(farm), "s"),
            plain("a clip in the bare loop", median(bare), "s"),
        ),
        conditions=(
            f"{CLIPS} clips a round of {FRAMES} frames of 64x64, {METHOD}, {THREADS} torch thread on both "
            f"sides, in the same batches of {BATCH} with the same pixels. The farm: one Ray worker, SQLite, "
            "checks, lossless WebP with its marking, flushed to disk, and a statement a clip; from the first "
            "settled chunk to the last. The bare loop: diffusers itself, the same WebP, written and not "
            f"flushed. Median of {ROUNDS} rounds in turn."
        ),
        rounds={"farm_seconds_a_clip": farm, "bare_seconds_a_clip": bare},
    )


def _plan(house: House, clips: int, first_seed: int) -> ExecutionPlan:
    manifest = night_manifest(clips, tier=ServiceTier.INTERACTIVE, first_seed=first_seed)
    shots = tuple(
        replace(shot, frames=FRAMES, fps=RATE, prompt="a sun on a blue background") for shot in manifest.shots
    )
    plan = plan_of(house, replace(manifest, shots=shots), method=METHOD)
    batches = tuple(
        PlannedBatch(
            decision=plan.shots[start].decision, shots=tuple(range(start, min(start + BATCH, clips)))
        )
        for start in range(0, clips, BATCH)
    )
    return replace(plan, batches=batches)  # several, so that clips are settled while others are drawn


def _farm(house: House, plan: ExecutionPlan, drawn: dict[str, Any]) -> float:
    """Seconds of a clip once clips come; every one of them has the frames of the bare loop."""
    job = submit_plan(house, plan)
    with open_workshop(house, job.job_id, lambda _stage: None) as workshop:
        drive(workshop)
    for shot in shots_of(house, job.job_id):
        if shot.artefact is None:
            raise RuntimeError("The benchmark's job did not finish.")
        frames, _ = decoded_frames(house.store.path_of(shot.artefact.sha256).read_bytes())
        if not np.array_equal(frames, drawn[shot.shot_key]):
            raise RuntimeError("The two sides did not draw the same frames.")
    with unit_of_work(house.engine, read_only=True) as work:
        settled = [take.settled_at for take in work.ledger.takes(job.job_id) if take.settled_at is not None]
    first, last = min(settled), max(settled)
    return (last - first).total_seconds() / sum(moment > first for moment in settled)


def _bare(pipeline: Any, tasks: tuple[RenderTask, ...]) -> tuple[float, dict[str, Any]]:
    """Seconds of a clip in a loop around the pipeline, and the frames by shot key."""
    drawn: dict[str, Any] = {}
    with TemporaryDirectory(prefix="rsb-") as folder:
        started = time.perf_counter()
        for task in tasks:
            made = pipeline(
                prompt=[shot.prompt for shot in task.shots],
                num_frames=task.frames,
                width=task.width,
                height=task.height,
                num_inference_steps=task.steps,
                guidance_scale=1.0,
                generator=[torch.Generator().manual_seed(shot.seed) for shot in task.shots],
                output_type="np",
            ).frames
            for shot, floats in zip(task.shots, made, strict=True):
                frames = (np.asarray(floats) * 255).round().astype(np.uint8)
                marking = Marking(shot_key=shot.shot_key, stack_id=task.load.stack.stack_id)
                (Path(folder) / f"{shot.shot_key}.webp").write_bytes(marked_clip(frames, marking, fps=RATE))
                drawn[shot.shot_key] = frames
        seconds = time.perf_counter() - started
    return seconds / len(drawn), drawn


def _pipeline(task: RenderTask) -> Any:
    """The stack of a task as diffusers loads it, with nothing of ours in between; called once to warm up."""
    torch.set_num_threads(THREADS)  # merging rounds otherwise on another number of threads
    base, motion, *loras = (Path(part.root) for part in task.load.parts)
    adapter = MotionAdapter.from_pretrained(str(motion), torch_dtype=torch.float32)
    pipeline = AnimateDiffPipeline.from_pretrained(str(base), motion_adapter=adapter, dtype=torch.float32)
    names = [f"lora-{number}" for number in range(len(loras))]
    for name, root in zip(names, loras, strict=True):
        pipeline.load_lora_weights(str(root), weight_name=LORA, adapter_name=name)
    pipeline.set_adapters(names)
    pipeline.fuse_lora(adapter_names=names, safe_fusing=True)
    pipeline.unload_lora_weights()
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    _bare(pipeline, (task,))
    return pipeline
