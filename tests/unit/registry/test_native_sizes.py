"""The size that a model was trained at, read from its own files; whatever else lies there says nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from registry.native_sizes import read_native_size

HUB = Path(__file__).resolve().parents[3] / "registry" / "builtin" / "hub" / "rightstep"


def model(root: Path, denoiser: str, config: object, blocks: object = (1, 2, 4, 4)) -> Path:
    for part, told in ((denoiser, config), ("vae", {"block_out_channels": blocks})):
        (root / part).mkdir(parents=True)
        (root / part / "config.json").write_text(told if isinstance(told, str) else json.dumps(told))
    return root


def test_the_built_in_model_says_sixty_four():
    assert read_native_size(HUB / "emoji-64") == (64, 64)


@pytest.mark.parametrize(
    ("denoiser", "sample", "size"),
    [("unet", 128, (1024, 1024)), ("transformer", 64, (512, 512)), ("unet", [96, 128], (1024, 768))],
)
def test_a_size_is_that_of_the_latents_times_the_scale_of_the_autoencoder(
    tmp_path: Path, denoiser: str, sample: Any, size: tuple[int, int]
):
    assert read_native_size(model(tmp_path, denoiser, {"sample_size": sample})) == size


@pytest.mark.parametrize(
    "config", [{}, {"sample_size": None}, {"sample_size": [1, 2, 3]}, [], "{", {"sample_size": -8}]
)
def test_files_that_do_not_say_say_nothing(tmp_path: Path, config: Any):
    assert read_native_size(model(tmp_path, "unet", config)) is None


def test_no_files_and_a_strange_autoencoder_say_nothing(tmp_path: Path):
    assert read_native_size(tmp_path) is None
    assert read_native_size(model(tmp_path / "odd", "unet", {"sample_size": 64}, blocks="none")) is None
