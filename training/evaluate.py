"""Draws the measured rows with the packed weights; writes the table, the grids and the quality priors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.config import EvaluationPlan
from training.figures import Row, measure, real_row
from training.judge import Judge
from training.pictures import ART, tile
from training.sampling import HUB, STUDENT_LORA, Drawn, Easel, Prompt, Setting, measured_prompts
from training.stages import Workshop
from training.subjects import ADDED_STYLES
from training.vae import round_trip

PRESETS = {"teacher": "emoji-64-full", "student": "emoji-64-lcm", "broadcast": "emoji-64-broadcast"}
QUALITY = Path("registry/builtin/quality")
PICTURES = Path("docs/pictures")

DISPLAY = (
    "a fox", "a cat, 3d style", "an octopus, flat style", "a red apple on a blue background",
    "a rocket, 3d style", "a birthday cake", "a penguin on a yellow background", "a blue heart",
    "a tulip, flat style", "a taxi", "a robot on a pink background", "a sunflower, 3d style",
)  # fmt: skip
STYLE_DISPLAY = (
    "a cat", "a rocket on a blue background", "a red apple", "a house on a yellow background", "a robot",
    "a mushroom on a green background", "a fish", "a ghost on a purple background", "a fox", "a taxi",
    "a penguin on a pink background", "a crown",
)  # fmt: skip
_SEED = 100
_DISPLAY_SEED = 7


def style_repository(style: str) -> str:
    """The repository of an added style."""
    return f"emoji-64-style-{style}"


def settings(plan: EvaluationPlan) -> list[Setting]:
    """The rows of the table that use no added style."""
    on, full = plan.guidance, plan.full_steps
    student = (STUDENT_LORA,)
    teacher = [
        Setting(
            key=f"teacher_{steps}", label=f"teacher, {steps} steps, guidance {on:g}", steps=steps, guidance=on
        )
        for steps in (full, 8, 4, 2, 1)
    ]
    students = [
        Setting(
            key=f"student_{steps}",
            label=f"student, {steps} steps, guidance off",
            adapters=student,
            scheduler="lcm",
            steps=steps,
            guidance=1.0,
        )
        for steps in (8, 4, 2, 1)
    ]
    burnt = plan.burnt_guidance
    return [
        *teacher,
        Setting(
            key=f"broadcast_{full}",
            label=f"teacher, {full} steps, guidance {on:g}, attention every {plan.broadcast} steps",
            steps=full,
            guidance=on,
            broadcast=plan.broadcast,
        ),
        Setting(key="teacher_off_4", label="teacher, 4 steps, guidance off", steps=4, guidance=1.0),
        *students,
        Setting(
            key="student_burnt_4",
            label=f"fault: student, 4 steps, guidance left at {burnt:g}",
            adapters=student,
            scheduler="lcm",
            steps=4,
            guidance=burnt,
        ),
        Setting(
            key="forgotten_4",
            label="fault: LoRA forgotten, LCM scheduler",
            scheduler="lcm",
            steps=4,
            guidance=1.0,
        ),
        Setting(
            key="wrong_scheduler_4",
            label="fault: student with the DDIM scheduler",
            adapters=student,
            steps=4,
            guidance=1.0,
        ),
    ]


def style_settings(plan: EvaluationPlan, style: str) -> list[Setting]:
    """The rows of one added style: full steps, and on the student."""
    repository = style_repository(style)
    return [
        Setting(
            key=f"{style}_{plan.full_steps}",
            label=f"{style} LoRA, {plan.full_steps} steps, guidance {plan.guidance:g}",
            adapters=(repository,),
            steps=plan.full_steps,
            guidance=plan.guidance,
        ),
        Setting(
            key=f"{style}_student_4",
            label=f"{style} LoRA on the student, 4 steps, guidance off",
            adapters=(STUDENT_LORA, repository),
            scheduler="lcm",
            steps=4,
            guidance=1.0,
        ),
        Setting(
            key=f"{style}_burnt_4",
            label=f"fault: {style} LoRA on the student, guidance left at {plan.burnt_guidance:g}",
            adapters=(STUDENT_LORA, repository),
            scheduler="lcm",
            steps=4,
            guidance=plan.burnt_guidance,
        ),
    ]


def evaluate(shop: Workshop) -> None:
    """Measure every setting on the same prompts and noise, and keep the pictures for the thresholds."""
    plan = shop.plan.evaluation
    judge, easel = shop.judge(), Easel(HUB, plan.batch)
    plain = prompts_of(shop, "base")
    real = real_row(shop.gallery, plain, shop.plan.seed)
    others = real_row(shop.gallery, plain, shop.plan.seed + 1)
    rows: list[Row] = [measure("real", "real pictures", judge, others, plain, real)]
    softened = round_trip(shop.vae(), torch.from_numpy(others)).numpy()
    rows.append(measure("codec", "real pictures through the codec", judge, softened, plain, real))
    rows += [_measured(shop, easel, setting, plain, judge, real) for setting in settings(plan)]
    for style in ADDED_STYLES:
        prompts = prompts_of(shop, style)
        real_style = real_row(shop.gallery, prompts, shop.plan.seed)
        rows += [
            _measured(shop, easel, setting, prompts, judge, real_style)
            for setting in style_settings(plan, style)
        ]
    seconds = {
        setting.key: round(easel.first_picture_seconds(setting, 4), 4)
        for setting in settings(plan)
        if not setting.label.startswith("fault")
    }
    training = json.loads((shop.work / "record.json").read_text())
    _write_measured(rows, seconds, training)
    draw_grids(easel, plan)


def prompts_of(shop: Workshop, stack: str) -> list[Prompt]:
    """The prompts that a stack is measured on: `base`, or the name of an added style."""
    plan = shop.plan
    if stack == "base":
        return measured_prompts(shop.gallery, plan.evaluation.prompts, plan.seed)
    return measured_prompts(shop.gallery, plan.evaluation.prompts // 2, plan.seed, ART.index(stack))


def _measured(
    shop: Workshop,
    easel: Easel,
    setting: Setting,
    prompts: Sequence[Prompt],
    judge: Judge,
    real: NDArray[np.uint8],
) -> Row:
    drawn: Drawn = easel.draw(setting, [prompt.text for prompt in prompts], _SEED)
    folder = shop.work / "drawn"
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{setting.key}.npy", drawn.pictures)
    row = measure(
        setting.key, setting.label, judge, drawn.pictures, prompts, real, setting.evaluations, drawn.seconds
    )
    print(json.dumps(asdict(row)), flush=True)
    return row


def _write_measured(
    rows: Sequence[Row], alone: Mapping[str, float], training: Mapping[str, Mapping[str, float]]
) -> None:
    best = max(row.subject for row in rows if row.key.startswith("teacher_"))
    priors = [
        {
            "preset": PRESETS[row.key.split("_")[0]],
            "steps": int(row.key.split("_")[1]),
            "quality": round(min(1.0, row.subject / best), 3),
            "n": row.n,
        }
        for row in rows
        if row.key.split("_")[0] in PRESETS and row.key.split("_")[1].isdigit()
    ]
    document = {
        "model": "rightstep/emoji-64",
        "quality_is": "share of pictures whose subject the judge names, relative to the best teacher row",
        "rows": [asdict(row) | {"seconds_alone": alone.get(row.key)} for row in rows],
        "quality": priors,
        "training": training,
    }
    QUALITY.mkdir(parents=True, exist_ok=True)
    (QUALITY / "measured.json").write_text(json.dumps(document, indent=1) + "\n")


def draw_grids(easel: Easel, plan: EvaluationPlan) -> None:
    """The pictures of the documentation: the same prompts and noise under every setting, a row each."""
    pictures = [
        picture
        for setting in settings(plan)
        for picture in easel.draw(setting, DISPLAY, _DISPLAY_SEED).pictures
    ]
    tile(pictures, len(DISPLAY), PICTURES / "settings.png")
    for style in ADDED_STYLES:
        words = [_with_style(text, style) for text in STYLE_DISPLAY]
        rows = [setting for setting in style_settings(plan, style) if "burnt" not in setting.key]
        pictures = [
            picture for setting in rows for picture in easel.draw(setting, words, _DISPLAY_SEED).pictures
        ]
        tile(pictures, len(words), PICTURES / f"style-{style}.png")


def _with_style(text: str, style: str) -> str:
    noun, on, background = text.partition(" on ")
    return f"{noun}, {style} style{on}{background}"
