"""Distils the teacher into a LoRA by latent consistency, with guidance baked in.

The student learns to jump from any time straight to what the guided teacher would reach. The target is the
student's own slower average one solver step nearer to the picture.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.checkpoints import Average, Dice, State, new_optimiser
from training.config import DistilPlan
from training.diffusion import Noise, Rounds, new_scheduler, text_states, token_ids
from training.lora import add_lora
from training.shards import Shards
from training.teacher import Lessons, lesson_batch

_SIGMA = 0.5
_TIME_SCALE = 10.0


def boundary_scalings(times: Tensor) -> tuple[Tensor, Tensor]:
    """The skip and output shares of `LCMScheduler`, (n, 1, 1, 1): at time 0 the jump is the identity."""
    scaled = times.float() * _TIME_SCALE
    skip = _SIGMA**2 / (scaled**2 + _SIGMA**2)
    out = scaled / (scaled**2 + _SIGMA**2).sqrt()
    return skip.view(-1, 1, 1, 1), out.view(-1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a part of a batch starts: noisy latents, times now and one solver step nearer, captions' ids."""

    noisy: Tensor
    now: Tensor
    nearer: Tensor
    ids: Tensor


class DistilStage:
    """Fixed guidance, ten solver steps, half of the start times jittered between them.

    The goal and the student's jump must not share an autocast context: its cache of cast weights would hand
    the student the target's weights, which are swapped into the same parameters. Here they are two passes.
    """

    def __init__(
        self,
        plan: DistilPlan,
        lessons: Lessons,
        unet: UNet2DConditionModel,
        text: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        seed: int,
        device: str,
        cores: int,
    ) -> None:
        self.plan = plan
        self.lessons = lessons
        self.tokenizer = tokenizer
        self.device = device
        self.noise = Noise(new_scheduler(), device)
        self.rounds = Rounds(f"{seed}/distil", len(lessons.entries))
        unet.set_attn_processor(AttnProcessor())
        teacher = copy.deepcopy(unet).to(device, memory_format=torch.channels_last).eval()
        teacher.requires_grad_(requires_grad=False)
        text = text.to(device).eval().requires_grad_(requires_grad=False)
        self.parameters = add_lora(unet, plan.rank)
        self.unet = unet.to(device, memory_format=torch.channels_last)
        self.shards = Shards([self.unet, teacher, text], cores)
        self.target = Average(self.parameters, plan.target_average)
        self.average = Average(self.parameters, plan.average)
        self.optimiser = new_optimiser(self.parameters, plan.schedule.peak)
        with torch.no_grad():
            self.empty = text_states(text, tokenizer, [""])

    def _starts(self, step: int, dice: Dice) -> list[Start]:
        """The parts of a batch; a boundary is the end of one of the solver's equal strides."""
        plan, count = self.plan, len(self.shards.sets)
        clean, words = lesson_batch(self.lessons, self.rounds, step, plan.batch, dice, 0.6)
        stride = 1000 // plan.boundaries
        boundary = torch.randint(1, plan.boundaries + 1, (plan.batch,), generator=dice.torch) * stride - 1
        shift = torch.randint(0, stride, (plan.batch,), generator=dice.torch)
        jittered = torch.rand(plan.batch, generator=dice.torch) < plan.jitter_share
        now = (boundary - shift * jittered).clamp(min=1).to(self.device)
        nearer = (now - stride).clamp(min=0)
        drawn = torch.randn(clean.shape, generator=dice.torch).to(self.device)
        noisy = self.noise.mixed(clean.to(self.device), drawn, now)
        ids = token_ids(self.tokenizer, words).to(self.device)
        size = plan.batch // count
        cuts = [slice(i * size, (i + 1) * size) for i in range(count)]
        return [
            Start(noisy[cut].contiguous(memory_format=torch.channels_last), now[cut], nearer[cut], ids[cut])
            for cut in cuts
        ]

    def _guided_step(self, teacher: torch.nn.Module, start: Start, states: Tensor) -> Tensor:
        """One DDIM step of the guided teacher, (n, 4, 16, 16)."""
        both = torch.cat([states, self.empty.expand(len(states), -1, -1)])
        noisy = torch.cat([start.noisy, start.noisy])
        velocity = teacher(noisy, torch.cat([start.now, start.now]), both).sample.float()
        worded, empty = velocity.chunk(2)
        guided = empty + self.plan.guidance * (worded - empty)
        clean, noise = self.noise.parts(guided, start.noisy, start.now)
        stepped = self.noise.mixed(clean, noise, start.nearer)
        return stepped.contiguous(memory_format=torch.channels_last)

    def _jump(self, unet: torch.nn.Module, noisy: Tensor, times: Tensor, states: Tensor) -> Tensor:
        """The consistency function: where the student thinks the picture is."""
        velocity = unet(noisy, times, states).sample.float()
        skip, out = boundary_scalings(times)
        return skip * noisy + out * self.noise.parts(velocity, noisy, times)[0]

    def _goal(self, modules: list[torch.nn.Module], start: Start) -> tuple[Start, Tensor, Tensor]:
        """The part with its text states and what its jump must reach, by the target's weights."""
        unet, teacher, text = modules
        with torch.no_grad(), torch.autocast(self.device, torch.bfloat16):
            states = text(start.ids).last_hidden_state
            stepped = self._guided_step(teacher, start, states)
            return start, states, self._jump(unet, stepped, start.nearer, states)

    def _lesson(
        self, modules: list[torch.nn.Module], part: tuple[Start, Tensor, Tensor]
    ) -> Mapping[str, float]:
        start, states, goal = part
        with torch.autocast(self.device, torch.bfloat16):
            reached = self._jump(modules[0], start.noisy, start.now, states)
        huber = self.plan.huber
        loss = (((reached - goal) ** 2 + huber**2).sqrt() - huber).mean()
        loss.backward()
        return {"loss": float(loss.detach())}

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step: the student's jump from the start must meet the target's jump from one step nearer."""
        self.optimiser.param_groups[0]["lr"] = rate
        starts = self._starts(step, dice)
        self._swap_target()
        goals = self.shards.map(self._goal, starts)
        self._swap_target()
        figures = self.shards.learn(self._lesson, goals)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.target.follow(step)
        self.average.follow(step)
        return figures

    def _swap_target(self) -> None:
        self.target.swap()
        self.shards.share_weights()

    def state(self) -> State:
        return {
            "lora": [parameter.detach() for parameter in self.parameters],
            "target": self.target.values,
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        for parameter, value in zip(self.parameters, state["lora"], strict=True):
            parameter.copy_(value)
        self.target.values = [value.to(self.device) for value in state["target"]]
        self.average.values = [value.to(self.device) for value in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> UNet2DConditionModel:
        """The denoiser with the averaged LoRA attached, on the CPU."""
        self.average.swap()
        return self.unet.to("cpu", memory_format=torch.contiguous_format).eval()
