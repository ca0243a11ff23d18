"""Repositories of video and causal models as files only: published names, cards and licences, no tensors.

Enough for pins, licences and plans; nothing here can be loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.unit.registry.shelf import EMPTY_WEIGHTS, put_repository

WAN_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors.index.json",
    "text_encoder/model-00001-of-00005.safetensors",
    "tokenizer/tokenizer.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
EXPERTS = (
    *WAN_FILES,
    "transformer_2/config.json",
    "transformer_2/diffusion_pytorch_model-00001-of-00002.safetensors",
)
LTX_FILES = (
    *WAN_FILES,
    "audio_vae/config.json",
    "audio_vae/diffusion_pytorch_model.safetensors",
    "connectors/config.json",
    "connectors/diffusion_pytorch_model.safetensors",
    "vocoder/config.json",
    "vocoder/diffusion_pytorch_model.safetensors",
)
SD_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/model.safetensors",
    "tokenizer/vocab.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)
T2V, I2V = "Wan-AI/Wan2.2-T2V-A14B-Diffusers", "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
SMALL, LARGE = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-T2V-14B-Diffusers"
SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
ANIMATED, LIGHTNING = "ByteDance/AnimateDiff-Lightning", "lightx2v/Wan2.2-Lightning"
SELF_FORCING, CAUSVID = "gdhe17/Self-Forcing", "tianweiy/CausVid"
LTX2, KREA, ANYFLOW = (
    "Lightricks/LTX-2",
    "krea/krea-realtime-video",
    "nvidia/AnyFlow-FAR-Wan2.1-1.3B-Diffusers",
)
SEKO = "Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-"
RAIL = "creativeml-openrail-m-2022-08-22"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a repository holds, and what its card says."""

    files: Sequence[str]
    licence: str = "apache-2.0"  # whose text is its LICENSE; "" where it has none
    tag: str = "apache-2.0"
    made_for: str = ""
    relation: str = "finetune"

    @property
    def card(self) -> str:
        """The front matter of its README."""
        told = [f"license: {self.tag}"]
        if self.made_for:
            told += ["base_model:", f"- {self.made_for}", f"base_model_relation: {self.relation}"]
        return "\n".join(told)


# Pickles lie beside what they were imported to.
LAYOUTS: Mapping[str, Layout] = {
    SD15: Layout(files=SD_FILES, licence=RAIL, tag="creativeml-openrail-m"),
    ANIMATED: Layout(
        files=[f"animatediff_lightning_{steps}step_diffusers.safetensors" for steps in (1, 2, 4, 8)],
        licence=RAIL,
        tag="creativeml-openrail-m",
        made_for=SD15,
        relation="adapter",
    ),
    T2V: Layout(files=EXPERTS),
    I2V: Layout(files=EXPERTS),
    LIGHTNING: Layout(
        files=[
            f"{folder}/{expert}_noise_model.safetensors"
            for folder in (f"{SEKO}V1", f"{SEKO}V1.1", f"{SEKO}V2.0", "Wan2.2-T2V-A14B-4steps-lora-250928",
                           "Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1")
            for expert in ("high", "low")
        ],
        made_for=T2V,
        relation="adapter",
    ),
    SMALL: Layout(files=WAN_FILES),
    LARGE: Layout(files=WAN_FILES),
    SELF_FORCING: Layout(
        files=("checkpoints/self_forcing_dmd.pt", "checkpoints/self_forcing_dmd.safetensors"), made_for=SMALL
    ),
    CAUSVID: Layout(
        files=("autoregressive_checkpoint/model.pt", "autoregressive_checkpoint/model.safetensors"),
        licence="cc-by-nc-sa-4.0",
        tag="cc-by-nc-sa-4.0",
        made_for=SMALL,
    ),
    KREA: Layout(files=("krea-realtime-video-14b.safetensors",), made_for=LARGE),
    LTX2: Layout(
        files=(
            *LTX_FILES, "ltx-2-19b-dev.safetensors", "ltx-2-19b-distilled.safetensors",
            "ltx-2-spatial-upscaler-x2-1.0.safetensors",
        ),
        licence="ltx2-community-2026-01-05",
        tag="other",
    ),
    ANYFLOW: Layout(files=WAN_FILES, licence="", tag="other", made_for=SMALL),
}  # fmt: skip


def put_videos(root: Path, *repos: str, without: str = "") -> Path:
    """A shelf of these repositories, but for the files whose path contains ``without``."""
    for repo in repos:
        layout = LAYOUTS[repo]
        files = {
            path: EMPTY_WEIGHTS if path.endswith((".safetensors", ".pt")) else b"{}"
            for path in layout.files
            if not without or without not in path
        }
        put_repository(root, repo, card=layout.card, licence=layout.licence, files=files)
    return root
