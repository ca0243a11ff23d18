"""Measures what the output checks may call good, and how often they are right.

For each stack: the reference is its full-step pictures; the slack of a statistic is what the stack's honest
settings need so that fewer than one sample of eight in a hundred is called bad, also where all eight are on
the same background. The rates are then counted on other samples.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

import numpy as np

from training.evaluate import QUALITY, prompts_of, style_repository
from training.sampling import BASE, Prompt
from training.stages import Workshop
from training.subjects import ADDED_STYLES, BACKGROUNDS
from workers.output_checks import (
    SMALLEST_SAMPLE,
    Band,
    PictureStatistics,
    ReferenceStatistics,
    judge_sample,
    picture_statistics,
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The measured pictures of one setting and the background each was asked for."""

    statistics: list[PictureStatistics]
    backgrounds: list[int]


STATISTICS = tuple(field.name for field in fields(PictureStatistics))
_GROUPS = 2000
_QUANTILE = 0.998
_GOOD = ("teacher_8", "student_1", "student_2", "student_4", "student_8")
_BAD = ("student_burnt_4", "forgotten_4", "teacher_off_4", "wrong_scheduler_4")


def measure_checks(shop: Workshop) -> None:
    """Write the reference statistics of each stack, and the rates of the checks on good and bad pictures."""
    rates: dict[str, dict[str, dict[str, float]]] = {}
    full = f"_{shop.plan.evaluation.full_steps}"
    stacks: dict[str, tuple[list[str], Sequence[str], Sequence[str]]] = {
        "base": ([], ("teacher" + full, *_GOOD), _BAD)
    }
    for style in ADDED_STYLES:
        good, bad = (style + full, f"{style}_student_4"), (f"{style}_burnt_4",)
        stacks[style] = ([f"rightstep/{style_repository(style)}"], good, bad)
    lines = [
        "# Good pictures of each stack: mean and standard deviation of four figures over n pictures,",
        "# and how far the mean of a sample may honestly lie off. Made by `python -m training checks`,",
        f"# not by hand, on {datetime.now(UTC).date()}; docs/builtin-models.md has the rates.",
        f'base = "rightstep/{BASE}"',
    ]
    for stack, (loras, good, bad) in stacks.items():
        prompts = prompts_of(shop, stack)
        drawn = {key: _drawn(shop, key, prompts) for key in (*good, *bad)}
        reference = reference_of(drawn[good[0]].statistics, [drawn[key] for key in good], shop.plan.seed)
        lines += _reference_lines(loras, reference, good)
        rates[stack] = {key: _rates(drawn[key], reference, shop.plan.seed + 1) for key in (*good, *bad)}
    QUALITY.mkdir(parents=True, exist_ok=True)
    (QUALITY / f"{BASE}.toml").write_text("\n".join(lines) + "\n")
    (QUALITY / "check-rates.json").write_text(json.dumps(rates, indent=1) + "\n")


def reference_of(
    full_step: Sequence[PictureStatistics], honest: Sequence[Drawn], seed: int
) -> ReferenceStatistics:
    """Mean and spread of the full-step pictures, and the slack that the honest settings need."""
    bands = {}
    for name in STATISTICS:
        values = np.array([getattr(one, name) for one in full_step])
        mean, std = float(values.mean()), float(values.std(ddof=1))
        needed = [_slack_needed(name, pictures, mean, std, seed) for pictures in honest]
        bands[name] = Band(
            mean=round(mean, 5), std=round(std, 5), slack=math.ceil(max(0.0, *needed) * 1000) / 1000
        )
    return ReferenceStatistics(**bands, n=len(full_step))


def _slack_needed(name: str, drawn: Drawn, mean: float, std: float, seed: int) -> float:
    """How far beyond three standard errors a sample's mean lies, once in five hundred samples."""
    needed = []
    for groups in (_mixed_groups(drawn, seed), *_groups_by_background(drawn, seed)):
        off = [abs(float(np.mean([getattr(one, name) for one in group])) - mean) for group in groups]
        needed.append(float(np.quantile(off, _QUANTILE)))
    return max(needed) - 3 * std / SMALLEST_SAMPLE**0.5


def _mixed_groups(drawn: Drawn, seed: int) -> list[list[PictureStatistics]]:
    dice = random.Random(seed)
    return [dice.sample(drawn.statistics, SMALLEST_SAMPLE) for _ in range(_GROUPS)]


def _groups_by_background(drawn: Drawn, seed: int) -> list[list[list[PictureStatistics]]]:
    """Samples of one background each, for every background that has enough pictures."""
    dice = random.Random(seed)
    found = []
    for background in range(len(BACKGROUNDS)):
        pairs = zip(drawn.statistics, drawn.backgrounds, strict=True)
        pictures = [one for one, paper in pairs if paper == background]
        if len(pictures) > SMALLEST_SAMPLE:
            found.append([dice.sample(pictures, SMALLEST_SAMPLE) for _ in range(_GROUPS // len(BACKGROUNDS))])
    return found


def _rates(drawn: Drawn, reference: ReferenceStatistics, seed: int) -> dict[str, float]:
    """The shares of samples of eight that are not called good: mixed ones, and those of one background."""
    mixed = _mixed_groups(drawn, seed)
    alike = [group for groups in _groups_by_background(drawn, seed) for group in groups]
    return {"mixed": _flagged(mixed, reference), "one_background": _flagged(alike, reference)}


def _flagged(groups: Sequence[Sequence[PictureStatistics]], reference: ReferenceStatistics) -> float:
    verdicts = [judge_sample(group, reference).kind != "good" for group in groups]
    return round(float(np.mean(verdicts)), 4) if verdicts else 0.0


def _drawn(shop: Workshop, key: str, prompts: Sequence[Prompt]) -> Drawn:
    pictures = np.load(shop.work / "drawn" / f"{key}.npy")
    return Drawn([picture_statistics(picture) for picture in pictures], [one.background for one in prompts])


def _reference_lines(loras: Sequence[str], reference: ReferenceStatistics, good: Sequence[str]) -> list[str]:
    names = ", ".join(f'"{name}"' for name in loras)
    lines = ["", "[[reference]]", f"# from {good[0]}; slack also from {', '.join(good[1:])}"]
    lines += [f"loras = [{names}]", f"n = {reference.n}"]
    for name in STATISTICS:
        band: Mapping[str, float] = asdict(getattr(reference, name))
        lines += ["", f"[reference.{name}]", *(f"{key} = {value}" for key, value in band.items())]
    return lines
