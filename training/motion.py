"""Trains a motion adapter over the frozen teacher, and a LoRA for its picture layers beside it.

The teacher only ever saw a large subject in the middle. The LoRA teaches its picture layers to draw small
and shifted ones; the adapter's layers, which look along time alone, say which frame shows what and keep the
frames together. Published adapters come in the same two parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from peft import LoraConfig
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.checkpoints import Average, Dice, State, new_optimiser
from training.clips import ClipLessons, clip_batch
from training.config import CLIP_FRAMES, MotionPlan, TeacherPlan
from training.diffusion import Noise, Rounds, new_scheduler, stratified_times, token_ids
from training.lora import lora_targets, save_lora
from training.shards import Shards


def new_adapter(teacher: TeacherPlan) -> MotionAdapter:
    """An adapter of the teacher's widths that changes nothing yet, but has at hand what is to be learned."""
    adapter = MotionAdapter(
        block_out_channels=teacher.channels,
        motion_layers_per_block=1,
        motion_num_attention_heads=teacher.heads,
        motion_norm_num_groups=teacher.groups,
        motion_max_seq_length=CLIP_FRAMES,
    )
    for module in adapter.modules():
        if isinstance(module, AnimateDiffTransformer3D):
            set_start(module)
    return adapter


@torch.no_grad()
def set_start(layer: AnimateDiffTransformer3D) -> None:
    """Begin with the frame's number in the first attention, the frames' mean in the second, and add zero.

    Positions are added after the norm: with the picture turned down there, the first attention looks at the
    frame itself and hands on its number. From random weights the frames still knew nothing of their number
    after 250 steps; from these the first bounces were seen after 75.
    """
    nn.init.eye_(layer.proj_in.weight).mul_(0.5)
    block = layer.transformer_blocks[0]
    block.norm1.weight.fill_(0.05)
    for numbered in (block.attn1.to_q, block.attn1.to_k):
        nn.init.eye_(numbered.weight).mul_(4.0)
    for looked_at in (block.attn2.to_q, block.attn2.to_k):
        looked_at.weight.mul_(0.3)
    for attention in (block.attn1, block.attn2):
        nn.init.eye_(attention.to_v.weight)
        nn.init.eye_(attention.to_out[0].weight)
        nn.init.zeros_(attention.to_out[0].bias)
    for parameter in (layer.proj_in.bias, layer.proj_out.weight, layer.proj_out.bias):
        nn.init.zeros_(parameter)


def new_motion_model(unet: UNet2DConditionModel, teacher: TeacherPlan, rank: int) -> UNetMotionModel:
    """The teacher with a fresh adapter and a LoRA on its picture layers; only these two learn."""
    model: UNetMotionModel = UNetMotionModel.from_unet2d(unet, new_adapter(teacher))
    model.requires_grad_(requires_grad=False)
    model.add_adapter(
        LoraConfig(
            r=rank,
            lora_alpha=rank,
            init_lora_weights=True,
            target_modules=lora_targets(),
            exclude_modules=r".*motion_modules.*",
        )
    )
    for name, parameter in model.named_parameters():
        if "motion_modules" in name:
            parameter.requires_grad_(requires_grad=True)
    return model


def swapped(clips: Tensor) -> Tensor:
    """(n, frames, c, h, w) to (n, c, frames, h, w), as the model wants it, and back."""
    return clips.transpose(1, 2)


@dataclass(frozen=True, slots=True)
class Reel:
    """A part of a batch: clean clips (n, frames, 4, 16, 16), noise alike, a time for each, captions' ids."""

    clean: Tensor
    noise: Tensor
    times: Tensor
    ids: Tensor


def noisy_times(count: int, dice: Dice) -> Tensor:
    """Times in 0..999, twice as many at the noisiest end as in the middle: there it is settled what moves."""
    even = stratified_times(count, dice.torch).float() / 999
    return (even.sqrt() * 999).long()


def clip_loss(unet: UNetMotionModel, text: CLIPTextModel, noise: Noise, reel: Reel) -> Tensor:
    """The v-prediction loss over clips, (), without the teacher's weights.

    Those hardly count the noisiest times.
    """
    frames = reel.clean.shape[1]
    each = reel.times.repeat_interleave(frames)
    clean, drawn = reel.clean.flatten(0, 1), reel.noise.flatten(0, 1)
    noisy = noise.mixed(clean, drawn, each).unflatten(0, (-1, frames))
    states = text(reel.ids).last_hidden_state.repeat_interleave(frames, 0)
    predicted = swapped(unet(swapped(noisy), reel.times, states).sample).flatten(0, 1)
    return (predicted - noise.velocity(clean, drawn, each)).pow(2).mean()


class MotionStage:
    """In float32 throughout: processors without bfloat16 arithmetic take twelve times as long with it."""

    def __init__(
        self,
        plan: MotionPlan,
        lessons: ClipLessons,
        unet: UNetMotionModel,
        text: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        seed: int,
        device: str,
        cores: int,
    ) -> None:
        self.plan = plan
        self.lessons = lessons
        self.tokenizer = tokenizer
        self.noise = Noise(new_scheduler(), device)
        self.rounds = Rounds(f"{seed}/motion", len(lessons.names))
        self.device = device
        self.unet = unet.to(device)
        text = text.to(device).eval().requires_grad_(requires_grad=False)
        self.shards = Shards([self.unet, text], cores)
        self.parameters = self.shards.parameters[0]
        self.average = Average(self.parameters, plan.average)
        self.optimiser = new_optimiser(self.parameters, plan.schedule.peak)

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step on a batch of captioned clips."""
        plan, count = self.plan, len(self.shards.sets)
        self.optimiser.param_groups[0]["lr"] = rate
        clean, words = clip_batch(self.lessons, self.rounds, step, plan.batch, dice)
        words = ["" if dice.plain.random() < plan.empty_caption_share else text for text in words]
        ids = token_ids(self.tokenizer, words)
        drawn = torch.randn(clean.shape, generator=dice.torch)
        times = noisy_times(plan.batch, dice)
        whole = [part.to(self.device).chunk(count) for part in (clean, drawn, times, ids)]
        figures = self.shards.learn(self._lesson, [Reel(*parts) for parts in zip(*whole, strict=True)])
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.average.follow(step)
        return figures

    def _lesson(self, modules: list[nn.Module], reel: Reel) -> Mapping[str, float]:
        loss = clip_loss(modules[0], modules[1], self.noise, reel)
        loss.backward()
        return {"loss": float(loss.detach())}

    def state(self) -> State:
        return {
            "learned": [parameter.detach() for parameter in self.parameters],
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        for parameter, value in zip(self.parameters, state["learned"], strict=True):
            parameter.copy_(value)
        self.average.values = [value.to(self.device) for value in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> UNetMotionModel:
        """The denoiser with the averaged adapter and LoRA, on the CPU."""
        self.average.swap()
        return self.unet.to("cpu").eval()


def save_motion(unet: UNetMotionModel, folder: Path) -> None:
    """Write the adapter in the layout of published ones, and the LoRA beside it, in float32."""
    unet.save_motion_modules(str(folder))
    save_lora(unet, folder)
