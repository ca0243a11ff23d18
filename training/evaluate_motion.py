"""Draws clips with the packed adapter; measures whether they move as asked and whether the subject stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.bounce import bounce
from training.clips import Cast
from training.config import EvaluationPlan
from training.evaluate import PICTURES, QUALITY
from training.judge import Judge, ask
from training.pictures import tile
from training.projector import MOTION, ClipPrompt, Projector, clip_prompts
from training.sampling import HUB, STUDENT_LORA, Setting
from training.stages import Workshop
from training.subjects import BACKGROUNDS
from training.tracks import flicker, likeness, set_back
from training.vae import round_trip

MEASURED = QUALITY / "measured-motion.json"
FOLLOWS = 0.8
"""The correlation from which on a clip counts as moving as asked."""
_SEED = 300
_DISPLAYED = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRow:
    """One way to make `n` clips; shares are 0..1.

    `correlation` and `reach` are medians, `follows` is the share of clips from `FOLLOWS` on, `flicker` is
    relative to real clips through the codec. The judge names the asked subject in `subject` of the middle
    frames and in `every_frame` of all; `steady` of a clip's frames show it what most of that clip's do.
    """

    key: str
    label: str
    n: int
    correlation: float
    follows: float
    reach: float
    flicker: float
    subject: float
    every_frame: float
    steady: float
    evaluations: int | None


def settings(plan: EvaluationPlan) -> list[Setting]:
    """The rows of the table."""
    on, alone = plan.guidance, (MOTION,)
    guided = [
        Setting(
            key=f"motion_{steps}",
            label=f"adapter, {steps} steps, guidance {on:g}",
            adapters=alone,
            steps=steps,
            guidance=on,
        )
        for steps in (plan.clip_steps, 4)
    ]
    return [
        *guided,
        Setting(
            key="motion_off_4", label="adapter, 4 steps, guidance off", adapters=alone, steps=4, guidance=1.0
        ),
        Setting(
            key="motion_student_4",
            label="adapter and student LoRA, 4 steps, guidance off",
            adapters=(MOTION, STUDENT_LORA),
            scheduler="lcm",
            steps=4,
            guidance=1.0,
        ),
    ]


def real_clips(cast: Cast, prompts: Sequence[ClipPrompt]) -> NDArray[np.uint8]:
    """Real clips that answer the prompts, (n, frames, 64, 64, 3)."""
    colours = tuple(BACKGROUNDS.values())
    return np.stack(
        [bounce(cast.cuts[cast.names.index(prompt.noun)], colours[prompt.background]) for prompt in prompts]
    )


def measure_clips(
    setting: Setting,
    judge: Judge,
    wanted: Sequence[int],
    clips: NDArray[np.uint8],
    real_flicker: float,
) -> ClipRow:
    """One row; the judge looks at frames with the asked bounce undone, as large as those it learned."""
    alike = [likeness(clip) for clip in clips]
    still = torch.from_numpy(np.stack([set_back(clip) for clip in clips]))
    named = ask(judge, still.flatten(0, 1))[1][0].argmax(1).view(still.shape[:2])
    right = (named == torch.tensor(wanted)[:, None]).float()
    return ClipRow(
        key=setting.key,
        label=setting.label,
        n=len(clips),
        correlation=float(np.median([one.correlation for one in alike])),
        follows=float(np.mean([one.correlation >= FOLLOWS for one in alike])),
        reach=float(np.median([one.reach for one in alike])),
        flicker=mean_flicker(clips) / real_flicker,
        subject=float(right[:, still.shape[1] // 2].mean()),
        every_frame=float(right.mean()),
        steady=float((named == named.mode(1).values[:, None]).float().mean()),
        evaluations=setting.evaluations or None,
    )


def mean_flicker(clips: NDArray[np.uint8]) -> float:
    """What is left, on the mean, between neighbouring frames when the asked bounce is undone."""
    return float(np.mean([flicker(clip) for clip in clips]))


def evaluate_motion(shop: Workshop) -> None:
    """Measure every setting on the same prompts and noise, and draw the strip of the documentation."""
    plan, judge = shop.plan.evaluation, shop.judge()
    projector = Projector(HUB, plan.clip_batch)
    prompts = clip_prompts(shop.cast.names, plan.clips, shop.plan.seed)
    wanted = [shop.gallery.names.index(prompt.noun) for prompt in prompts]
    real = real_clips(shop.cast, prompts)
    softened = round_trip(shop.vae(), torch.from_numpy(real).flatten(0, 1)).view(real.shape).numpy()
    unrest = mean_flicker(softened)
    nothing = Setting(key="real", label="real clips", steps=0, guidance=1.0)
    coded = replace(nothing, key="codec", label="real clips through the codec")
    rows = [measure_clips(nothing, judge, wanted, real, unrest)]
    rows.append(measure_clips(coded, judge, wanted, softened, unrest))
    drawn: list[NDArray[np.uint8]] = []
    for setting in settings(plan):
        count = plan.full_clips if setting.steps == plan.clip_steps else plan.clips
        clips = projector.show(setting, [prompt.text for prompt in prompts[:count]], _SEED)
        rows.append(measure_clips(setting, judge, wanted[:count], clips, mean_flicker(softened[:count])))
        print(json.dumps(asdict(rows[-1])), flush=True)
        drawn.append(clips)
    write_clips(rows, drawn[0], drawn[-1])


def write_clips(rows: Sequence[ClipRow], full: NDArray[np.uint8], few: NDArray[np.uint8]) -> None:
    """The measured rows, and a strip of the first clips: full steps on the left, the student on the right."""
    table = {"follows_from": FOLLOWS, "rows": [asdict(row) for row in rows]}
    MEASURED.write_text(json.dumps(table, indent=1) + "\n")
    pairs = zip(full[:_DISPLAYED], few[:_DISPLAYED], strict=True)
    frames = [frame for left, right in pairs for frame in (*left, *right)]
    tile(frames, 2 * full.shape[1], PICTURES / "clips.png")
