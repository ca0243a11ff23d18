"""Trains the picture codec: an `AutoencoderKL` from 64x64 pixels to 16x16 latents of 4 channels.

A Stable Diffusion pipeline knows one scale for latents and no shift, so the trained codec is folded:
per-channel mean and spread move into `quant_conv` and `post_quant_conv`, and latents come out
with mean 0 and spread 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.checkpoints import Average, Dice, State, new_optimiser
from training.config import PICTURE_SIZE, DecoderPlan, VaePlan
from training.shards import Shards

_COLOURED_SHARE = 0.5


def new_vae(plan: VaePlan) -> AutoencoderKL:
    """A fresh codec; no attention in the middle, since convolutions see nearly all of 16x16."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=plan.channels,
        layers_per_block=1,
        norm_num_groups=plan.groups,
        sample_size=PICTURE_SIZE,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False,
        scaling_factor=1.0,
        force_upcast=False,
    )


def as_floats(pixels: Tensor) -> Tensor:
    """uint8 (n, 64, 64, 3) to float (n, 3, 64, 64) in -1..1."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


class VaeStage:
    """L1 on pixels and on their gradients (edges are what makes an emoji readable), and a light KL term."""

    def __init__(self, plan: VaePlan, pixels: Tensor, device: str) -> None:
        self.plan = plan
        self.pixels = pixels
        self.device = device
        self.vae = new_vae(plan).to(device, memory_format=torch.channels_last)
        self.parameters = list(self.vae.parameters())
        self.average = Average(self.parameters, plan.average)
        self.optimiser = new_optimiser(self.parameters, plan.schedule.peak)

    def _batch(self, step: int, dice: Dice) -> Tensor:
        plan = self.plan
        crops = step < plan.crop_share * plan.schedule.steps
        count = plan.crop_batch if crops else plan.full_batch
        chosen = self.pixels[torch.randint(0, len(self.pixels), (count,), generator=dice.torch)]
        if crops:
            room = PICTURE_SIZE - plan.crop
            top, left = dice.plain.randint(0, room), dice.plain.randint(0, room)
            chosen = chosen[:, top : top + plan.crop, left : left + plan.crop]
        batch = as_floats(chosen)
        return batch.flip(3) if dice.plain.random() < 0.5 else batch

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step on crops (early) or whole pictures (late)."""
        self.optimiser.param_groups[0]["lr"] = rate
        batch = self._batch(step, dice).to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16):
            posterior = self.vae.encode(batch).latent_dist
            mean, spread = posterior.mean.float(), posterior.logvar.float().clamp(-20, 5)
            noise = torch.randn(mean.shape, generator=dice.torch).to(self.device)
            rebuilt = self.vae.decode(mean + noise * (0.5 * spread).exp()).sample.float()
        pixel, edge = pixel_and_edge(rebuilt, batch)
        kl = 0.5 * (mean**2 + spread.exp() - 1 - spread).mean()
        loss = pixel + self.plan.edge_weight * edge + self.plan.kl_weight * kl
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.average.follow(step)
        squared = float(((rebuilt.detach() - batch) / 2).pow(2).mean())
        return {
            "pixel": float(pixel.detach()),
            "edge": float(edge.detach()),
            "kl": float(kl.detach()),
            "mse": squared,
        }

    def state(self) -> State:
        return {
            "vae": self.vae.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: State) -> None:
        self.vae.load_state_dict(state["vae"])
        self.average.values = [value.to(self.device) for value in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> AutoencoderKL:
        """The averaged codec with its latents normalised, in float32 on the CPU."""
        self.average.swap()
        vae = self.vae.to("cpu", memory_format=torch.contiguous_format).eval()
        fold_normalisation(vae, self.pixels[:: max(1, len(self.pixels) // 1000)])
        return vae


class DecoderStage:
    """Goes on with the decoder alone, on whole pictures of what the model is taught.

    The encoder and the latents stand still, so everything trained on them stays valid; half of the pictures
    are on white, as in the model's own training.
    """

    def __init__(
        self, plan: DecoderPlan, vae: AutoencoderKL, pixels: Tensor, device: str, cores: int
    ) -> None:
        self.plan = plan
        self.pixels = pixels
        self.device = device
        self.latents = encode(vae, pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        self.vae = vae.requires_grad_(requires_grad=False).to(device, memory_format=torch.channels_last)
        vae.decoder.requires_grad_(requires_grad=True)
        vae.post_quant_conv.requires_grad_(requires_grad=True)
        self.shards = Shards([vae], cores)
        self.parameters = self.shards.parameters[0]
        self.average = Average(self.parameters, plan.average)
        self.optimiser = new_optimiser(self.parameters, plan.schedule.peak)

    def _lesson(self, modules: list[torch.nn.Module], part: tuple[Tensor, Tensor]) -> Mapping[str, float]:
        latents, wanted = (half.to(self.device, memory_format=torch.channels_last) for half in part)
        with torch.autocast(self.device, torch.bfloat16):
            rebuilt = modules[0].decode(latents).sample.float()
        pixel, edge = pixel_and_edge(rebuilt, wanted)
        (pixel + self.plan.edge_weight * edge).backward()
        squared = float(((rebuilt.detach() - wanted) / 2).pow(2).mean())
        return {"pixel": float(pixel.detach()), "edge": float(edge.detach()), "mse": squared}

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step: latents of whole pictures back to the pictures."""
        self.optimiser.param_groups[0]["lr"] = rate
        count, papers = self.plan.batch, self.pixels.shape[1]
        entry = torch.randint(0, len(self.pixels), (count,), generator=dice.torch)
        coloured = torch.rand(count, generator=dice.torch) < _COLOURED_SHARE
        paper = torch.randint(0, papers, (count,), generator=dice.torch) * coloured
        pictures, latents = as_floats(self.pixels[entry, paper]), self.latents[entry, paper]
        cores = len(self.shards.sets)
        parts = list(zip(latents.chunk(cores), pictures.chunk(cores), strict=True))
        figures = self.shards.learn(self._lesson, parts)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.average.follow(step)
        return figures

    def state(self) -> State:
        return {
            "decoder": [parameter.detach() for parameter in self.parameters],
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        for parameter, value in zip(self.parameters, state["decoder"], strict=True):
            parameter.copy_(value)
        self.average.values = [value.to(self.device) for value in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> AutoencoderKL:
        """The codec with the averaged decoder, in float32 on the CPU."""
        self.average.swap()
        return self.vae.to("cpu", memory_format=torch.contiguous_format).eval()


def pixel_and_edge(rebuilt: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """L1 of the pixels, and of their differences to the right and downwards."""
    off = rebuilt - wanted
    return off.abs().mean(), off.diff(dim=2).abs().mean() + off.diff(dim=3).abs().mean()


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """uint8 pictures (n, 64, 64, 3) to latent means (n, 4, 16, 16)."""
    return torch.cat([vae.encode(as_floats(part)).latent_dist.mean.float() for part in pixels.split(64)])


@torch.no_grad()
def fold_normalisation(vae: AutoencoderKL, pixels: Tensor) -> None:
    """Move the latents' mean and spread, measured on these pictures, into the two 1x1 convolutions."""
    latents = encode(vae, pixels).permute(1, 0, 2, 3).flatten(1)
    mean, spread = latents.mean(1), latents.std(1)
    inward, outward = vae.quant_conv, vae.post_quant_conv
    outward.bias += outward.weight[:, :, 0, 0] @ mean
    outward.weight *= spread.view(1, -1, 1, 1)
    channels = len(mean)
    inward.weight[:channels] /= spread.view(-1, 1, 1, 1)
    inward.bias[:channels] = (inward.bias[:channels] - mean) / spread
    inward.bias[channels:] -= 2 * spread.log()


@torch.no_grad()
def round_trip(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """Pictures through the codec and back, uint8 (n, 64, 64, 3)."""
    rebuilt = torch.cat(
        [vae.decode(vae.encode(as_floats(part)).latent_dist.mean).sample for part in pixels.split(64)]
    )
    return ((rebuilt.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def psnr(before: Tensor, after: Tensor) -> float:
    """Mean over pictures of the peak signal-to-noise ratio in dB; inputs are uint8 (n, 64, 64, 3)."""
    error = ((before.float() - after.float()) / 255).pow(2).mean((1, 2, 3)).clamp(min=1e-10)
    return float((-10 * error.log10()).mean())
