"""Repositories laid out like published ones, in a few bytes."""

import json
from typing import Any

from tests.unit.registry.licensing import catalogue


def weights(seed: int = 0, size: int = 4096) -> bytes:
    """A whole safetensors file with one tensor; another seed is another file."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return (
        len(header).to_bytes(8, "little")
        + header
        + (bytes((seed + place) % 251 for place in range(251)) * (size // 251 + 1))[:size]
    )


def card(**front: Any) -> bytes:
    return f"---\n{json.dumps(front)}\n---\n# A model\n".encode()


def text(licence: str) -> bytes:
    return catalogue().texts[licence]


def pipeline(licence: str = "mit", **front: Any) -> dict[str, bytes]:
    """A base in the layout of a diffusers pipeline, with the pickles that older ones still carry."""
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    return {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "README.md": card(license=licence, **front),
        "LICENSE": text(licence),
        "model_index.json": json.dumps(index).encode(),
        "unet/config.json": b'{"_class_name": "UNet2DConditionModel"}',
        "unet/diffusion_pytorch_model.safetensors": weights(1),
        "unet/diffusion_pytorch_model.bin": b"\x80\x02old pickle",
        "tokenizer/merges.txt": b"#version: 0.2\n",
    }


def adapters() -> dict[str, bytes]:
    """Adapters for several bases under several licences by path, as Hyper-SD has them; no tag on the card."""
    return {
        "README.md": card(base_model=["stabilityai/stable-diffusion-xl-base-1.0"]),
        "LICENSE.md": text("openrailpp-sdxl-2023-07-26"),
        "Hyper-SDXL-4steps-lora.safetensors": weights(2),
        "Hyper-FLUX.1-dev-8steps-lora.safetensors": weights(3),
        "Hyper-FLUX.1-dev-8steps-lora.license.txt": b"FLUX.1 [dev] Non-Commercial License",
        "comfyui/workflow.json": b"{}",
    }
