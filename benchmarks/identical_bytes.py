"""Are orchestrated pictures the very bytes of a bare diffusers loop over the same batches and seeds?"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, LCMScheduler, StableDiffusionPipeline
from PIL import Image

from benchmarks.bench_tasks import tasks_of
from benchmarks.measurement import Figure, Measurement, plain
from benchmarks.night import night_manifest, plan_of
from benchmarks.served_house import served_house
from flows.bootstrap import House
from flows.rendering import job_of, render_job, shots_of
from flows.submitting import submit_plan
from policy.plan import ExecutionPlan
from policy.tasks import RenderTask
from policy.tiers import ServiceTier

SHOTS, THREADS = 10, 1


def measure() -> Measurement:
    """Render a job through Prefect, Ray and the ledger, and the same batches with plain diffusers calls."""
    same, other = 0, 0
    with served_house(workers=2, threads=THREADS) as house:
        for tier, method in ((ServiceTier.BATCH, "emoji-64-full"), (ServiceTier.INTERACTIVE, "emoji-64-lcm")):
            plan = plan_of(house, night_manifest(SHOTS, tier=tier), method=method)
            made, bare = _orchestrated(house, plan), _bare(house, plan)
            equal = [np.array_equal(made[name], bare[name]) for name in made]
            same += sum(equal)
            other += len(equal) - sum(equal)
    return Measurement(
        question="Are orchestrated pictures the very bytes of a bare diffusers loop?",
        figures=(
            Figure(
                id="P29",
                name="pictures with identical pixels",
                value=same / (same + other),
                unit="of all",
                target="= 1",
                met=other == 0,
            ),
            plain("pictures compared", same + other, "pictures"),
        ),
        conditions=(
            f"{SHOTS} pictures at 40 guided steps and {SHOTS} at 4 distilled ones, in planned batches, "
            f"{THREADS} torch thread on both sides; the bare side loads, fuses and calls diffusers itself."
        ),
    )


def _orchestrated(house: House, plan: ExecutionPlan) -> dict[str, Any]:
    job = submit_plan(house, plan)
    render_job(house, job.job_id)
    if job_of(house, job.job_id).counts.made != len(plan.shots):
        raise RuntimeError("The benchmark's job did not finish.")
    return {
        shot.name: np.asarray(Image.open(house.store.path_of(shot.artefact.sha256)).convert("RGB"))
        for shot in shots_of(house, job.job_id)
        if shot.artefact is not None
    }


def _bare(house: House, plan: ExecutionPlan) -> dict[str, Any]:
    """Nothing of ours but the list of prompts and seeds."""
    torch.set_num_threads(THREADS)
    tasks = tasks_of(house, plan)
    pipeline = _pipeline(tasks[0])
    names = {planned.shot_key: planned.shot.name for planned in plan.shots}
    pictures: dict[str, Any] = {}
    for task in tasks:
        output = pipeline(
            prompt=[shot.prompt for shot in task.shots],
            num_inference_steps=task.steps,
            width=task.width,
            height=task.height,
            generator=[torch.Generator("cpu").manual_seed(shot.seed) for shot in task.shots],
            **dict(task.guidance),
        )
        for shot, picture in zip(task.shots, output.images, strict=True):
            pictures[names[shot.shot_key]] = np.asarray(picture)
    return pictures


def _pipeline(task: RenderTask) -> Any:
    base, *adapters = (Path(part.root) for part in task.load.parts)
    pipeline = StableDiffusionPipeline.from_pretrained(str(base), dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    if adapters:
        pipeline.load_lora_weights(str(adapters[0]), weight_name="pytorch_lora_weights.safetensors")
        pipeline.fuse_lora(safe_fusing=True)
        pipeline.unload_lora_weights()
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    else:
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    return pipeline
