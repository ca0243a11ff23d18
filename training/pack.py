"""Writes the weights as repositories in the Hub's layout: float16 safetensors, cards, licences, notices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import MotionAdapter
from safetensors.torch import load_file, save_file

from training import cards
from training.lora import WEIGHTS_NAME, load_lora
from training.projector import MOTION
from training.sampling import BASE, HUB, STUDENT_LORA
from training.stages import Workshop
from training.subjects import ADDED_STYLES

_LICENCES = Path(__file__).parent / "licences"
_STYLE_LICENCES = {"twemoji": "cc-by-4.0", "shapes": "cc-by-nc-4.0"}


def pack(shop: Workshop, hub: Path = HUB) -> None:
    """Write all repositories, and refuse to finish when an adapter does not load whole."""
    _pack_base(shop, hub / BASE)
    mit = (_LICENCES / "mit.txt").read_text()
    _pack_adapter(shop.work / "lcm-lora", hub / STUDENT_LORA)
    _add_words(hub / STUDENT_LORA, cards.student_card(), "apache-2.0", cards.base_notice(mit))
    _pack_adapter(shop.work / "motion", hub / MOTION)
    _pack_motion(shop.work / "motion", hub / MOTION)
    _add_words(hub / MOTION, cards.motion_card(), "apache-2.0", cards.motion_notice())
    for style in ADDED_STYLES:
        folder = hub / f"{BASE}-style-{style}"
        _pack_adapter(shop.work / f"style-{style}", folder)
        _add_words(folder, cards.style_card(style), _STYLE_LICENCES[style], cards.style_notice(style))
    _check_adapters(shop, hub)


def _pack_base(shop: Workshop, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pipe = shop.teacher()
    pipe.register_modules(vae=shop.vae())
    pipe.to(torch.float16).save_pretrained(folder)
    shutil.copyfile(shop.work / "tokenizer" / "vocab.json", folder / "tokenizer" / "vocab.json")
    shutil.copyfile(shop.work / "tokenizer" / "merges.txt", folder / "tokenizer" / "merges.txt")
    for path in folder.rglob("*.json"):
        _scrub(path)
    mit = (_LICENCES / "mit.txt").read_text()
    _add_words(folder, cards.base_card(shop.gallery.names), "apache-2.0", cards.base_notice(mit))
    words = json.dumps(cards.vocabulary(shop.gallery.names), indent=1)
    (folder / "vocabulary.json").write_text(words + "\n")


def _scrub(path: Path) -> None:
    """Take the builder's own paths out of a config; the tokenizer's large files hold none."""
    if path.name in ("tokenizer.json", "vocab.json"):
        return
    config = json.loads(path.read_text())
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2) + "\n")


def _pack_adapter(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.half().contiguous() for key, value in load_file(source / WEIGHTS_NAME).items()}
    save_file(tensors, folder / WEIGHTS_NAME, metadata={"format": "pt"})


def _pack_motion(source: Path, folder: Path) -> None:
    """The motion layers, in the layout that `MotionAdapter.from_pretrained` reads."""
    MotionAdapter.from_pretrained(source).half().save_pretrained(folder)
    _scrub(folder / "config.json")


def _add_words(folder: Path, card: str, licence: str, notice: str) -> None:
    (folder / "README.md").write_text(card)
    shutil.copyfile(_LICENCES / f"{licence}.txt", folder / "LICENSE")
    (folder / "NOTICE").write_text(notice)


def _check_adapters(shop: Workshop, hub: Path) -> None:
    """The adapters' LoRAs fit the pictures' denoiser too, that of the motions among them."""
    pipe = shop.teacher()
    for number, folder in enumerate(sorted(hub.glob(f"{BASE}-*"))):
        load_lora(pipe, folder, f"a{number}")
