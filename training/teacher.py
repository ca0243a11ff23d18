"""Trains the denoiser and its text encoder from nothing on the flat and 3d art."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.checkpoints import Average, Dice, State, new_optimiser
from training.config import LATENT_SIZE, TEXT_LENGTH, TeacherPlan
from training.diffusion import Noise, Rounds, new_scheduler, stratified_times, token_ids
from training.pictures import ART, BACKGROUND_NAMES, caption, drawn_background
from training.shards import Shards, split_dice


@dataclass(frozen=True, slots=True)
class Lessons:
    """`latents` is (subjects, art, backgrounds, 4, 16, 16); `entries` are the (subject, art) pairs taught."""

    names: tuple[str, ...]
    latents: Tensor
    entries: list[tuple[int, int]]


def lesson_batch(
    lessons: Lessons, rounds: Rounds, step: int, count: int, dice: Dice, style_share: float
) -> tuple[Tensor, list[str]]:
    """Clean latents (n, 4, 16, 16) and their captions; `style_share` of the captions name the style."""
    chosen, words = [], []
    for entry in rounds.take(step * count, count):
        subject, art = lessons.entries[entry]
        background = drawn_background(dice.plain)
        chosen.append(lessons.latents[subject, art, background])
        style = ART[art] if dice.plain.random() < style_share else None
        words.append(caption(lessons.names[subject], style, BACKGROUND_NAMES[background], dice.plain))
    return torch.stack(chosen), words


def new_text_encoder(plan: TeacherPlan, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A small CLIP text encoder; embeddings start larger than CLIP's, so that words differ from the start."""
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=plan.text_width,
            intermediate_size=3 * plan.text_width,
            num_hidden_layers=plan.text_layers,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            projection_dim=plan.text_width,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    for module in encoder.modules():
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.05)
    return encoder


def new_unet(plan: TeacherPlan) -> UNet2DConditionModel:
    """Three levels, cross-attention on the lower two; `attention_head_dim` holds head counts, as in SD."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=plan.channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=plan.text_width,
        attention_head_dim=plan.heads,
        norm_num_groups=plan.groups,
    )


class TeacherStage:
    """v-prediction with min-SNR weights; a share of empty captions teaches the unguided half of guidance."""

    def __init__(
        self,
        plan: TeacherPlan,
        lessons: Lessons,
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
        self.rounds = Rounds(f"{seed}/teacher", len(lessons.entries))
        self.text = new_text_encoder(plan, tokenizer).to(device)
        self.unet = new_unet(plan).to(device, memory_format=torch.channels_last)
        self.unet.set_attn_processor(AttnProcessor())
        self.shards = Shards([self.unet, self.text], cores)
        self.parameters = [*self.unet.parameters(), *self.text.parameters()]
        self.average = Average(self.parameters, plan.average)
        self.optimiser = new_optimiser(self.parameters, plan.schedule.peak, 0.01)

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step on a batch of captioned latents."""
        plan = self.plan
        self.optimiser.param_groups[0]["lr"] = rate
        clean, words = lesson_batch(self.lessons, self.rounds, step, plan.batch, dice, 0.6)
        words = ["" if dice.plain.random() < plan.empty_caption_share else text for text in words]
        figures = learn_denoising(self.shards, self.tokenizer, self.noise, clean, words, plan.snr_cap, dice)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.average.follow(step)
        return figures

    def state(self) -> State:
        return {
            "unet": self.unet.state_dict(),
            "text": self.text.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: State) -> None:
        self.unet.load_state_dict(state["unet"])
        self.text.load_state_dict(state["text"])
        self.average.values = [value.to(self.device) for value in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> tuple[UNet2DConditionModel, CLIPTextModel]:
        """The averaged denoiser and text encoder, in float32 on the CPU."""
        self.average.swap()
        return self.unet.to("cpu", memory_format=torch.contiguous_format).eval(), self.text.to("cpu").eval()


def denoising_loss(
    unet: UNet2DConditionModel,
    text: CLIPTextModel,
    noise: Noise,
    clean: Tensor,
    ids: Tensor,
    snr_cap: float,
    dice: Dice,
) -> tuple[Tensor, float]:
    """The weighted v-prediction loss of a batch, and the plain error for the log."""
    device = noise.power.device
    times = stratified_times(len(clean), dice.torch).to(device)
    drawn = torch.randn(clean.shape, generator=dice.torch).to(device)
    clean = clean.to(device)
    noisy = noise.mixed(clean, drawn, times).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16):
        states = text(ids.to(device)).last_hidden_state
        predicted = unet(noisy, times, states).sample.float()
    error = (predicted - noise.velocity(clean, drawn, times)).pow(2).mean((1, 2, 3))
    weight = noise.weight(times, snr_cap)
    return (weight * error).mean() / weight.mean(), float(error.detach().mean())


def learn_denoising(
    shards: Shards,
    tokenizer: CLIPTokenizer,
    noise: Noise,
    clean: Tensor,
    words: Sequence[str],
    snr_cap: float,
    dice: Dice,
) -> Mapping[str, float]:
    """Leave the gradients of a batch in the shards' first set, which is (denoiser, text encoder)."""
    count = len(shards.sets)
    size = len(words) // count
    ids = token_ids(tokenizer, words)
    parts = [
        (clean[i * size : (i + 1) * size], ids[i * size : (i + 1) * size], throw)
        for i, throw in enumerate(split_dice(dice, count))
    ]

    def lesson(modules: list[torch.nn.Module], part: tuple[Tensor, Tensor, Dice]) -> Mapping[str, float]:
        loss, error = denoising_loss(modules[0], modules[1], noise, part[0], part[1], snr_cap, part[2])
        loss.backward()
        return {"loss": float(loss.detach()), "error": error}

    return shards.learn(lesson, parts)
