"""Runs a stage step by step and survives being killed at any instant.

All randomness of a step comes from the seed and the step's number, so a run that resumes from a
checkpoint repeats exactly the steps that were lost: no random state has to be stored.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from training.config import Schedule

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dice:
    """The randomness of one step: `torch` for tensors, `plain` for choices."""

    torch: torch.Generator
    plain: random.Random

    def split(self) -> Dice:
        """Further dice that do not depend on how these are used in the meantime."""
        plain = random.Random(self.plain.getrandbits(62))
        return Dice(torch.Generator().manual_seed(plain.getrandbits(62)), plain)


class Stage(Protocol):
    """Something that learns one step at a time and can be written down."""

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]: ...

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


def dice_for(seed: int, stage: str, step: int) -> Dice:
    """The same numbers for the same seed, stage and step, whatever ran before."""
    plain = random.Random(f"{seed}/{stage}/{step}")
    return Dice(torch.Generator().manual_seed(plain.getrandbits(62)), plain)


def learning_rate(schedule: Schedule, step: int) -> float:
    """The rate for a step counted from zero."""
    warm = min(1.0, (step + 1) / max(1, schedule.warmup))
    done = (step + 1) / schedule.steps
    if done <= schedule.flat_share:
        return schedule.peak * warm
    fall = (done - schedule.flat_share) / (1 - schedule.flat_share)
    share = schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * fall))
    return schedule.peak * warm * share


def write_atomically(state: object, path: Path) -> None:
    """Write a tensor file beside its place, make it durable, then rename it in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_state(path: Path) -> State:
    """Read what `write_atomically` wrote: tensors and plain values only."""
    loaded: State = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def run_stage(stage: Stage, *, name: str, schedule: Schedule, seed: int, folder: Path) -> float:
    """Advance a stage to its last step from where its checkpoint stands; returns the seconds spent in all."""
    path = folder / f"{name}.checkpoint.pt"
    first, spent = 0, 0.0
    if path.exists():
        saved = read_state(path)
        stage.restore(saved["stage"])
        first, spent = int(saved["step"]), float(saved["seconds"])
    began, sums, counted = time.monotonic(), dict[str, float](), 0
    for step in range(first, schedule.steps):
        figures = stage.advance(step, learning_rate(schedule, step), dice_for(seed, name, step))
        counted += 1
        for key, value in figures.items():
            sums[key] = sums.get(key, 0.0) + value
        done = step + 1
        if done % schedule.checkpoint_every == 0 or done == schedule.steps:
            seconds = spent + time.monotonic() - began
            write_atomically({"stage": stage.state(), "step": done, "seconds": seconds}, path)
            line = {"stage": name, "step": done, "seconds": round(seconds, 1)}
            line |= {key: round(value / counted, 5) for key, value in sums.items()}
            with (folder / f"{name}.log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            sums, counted = {}, 0
    return spent + time.monotonic() - began


def new_optimiser(parameters: list[torch.nn.Parameter], rate: float, decay: float = 0.0) -> torch.optim.AdamW:
    """AdamW as every stage here uses it: a short memory of squared gradients, since runs are short."""
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=decay)


class Average:
    """An exponential moving average of parameters, warmed up so that early steps do not linger."""

    def __init__(self, parameters: list[torch.nn.Parameter], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self.values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move towards the live parameters after a step."""
        decay = min(self.decay, (step + 1) / (step + 12))
        torch._foreach_lerp_(self.values, [parameter.data for parameter in self.parameters], 1 - decay)

    def swap(self) -> None:
        """Exchange averaged and live values; call again to undo."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.data, value.data = value.data, parameter.data
