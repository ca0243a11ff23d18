"""Checkpoints in the published layouts land in the transformer of diffusers to the last tensor, or are refused."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from safetensors.torch import load_file, save_file

from policy.errors import RenderFault
from policy.stacks import AdapterPin, FilePin, Role
from tests.unit.workers.causal.published import published_names, published_tensors
from tests.unit.workers.causal.tiny_wan import transformer
from workers.adapters import load_stand_in
from workers.causal.checkpoint_keys import diffusers_names
from workers.conversions import convert_pickle
from workers.pickle_conversion import tensors_of


@pytest.mark.parametrize("prefix", ["", "model.", "model._fsdp_wrapped_module."])
def test_every_published_name_has_the_one_that_diffusers_gives_it(prefix):
    names = published_names(30)
    theirs = {
        name: next(iter(convert_wan_transformer_to_diffusers({name: torch.zeros(1)}))) for name in names
    }
    assert diffusers_names([prefix + name for name in names]) == {
        prefix + name: ours for name, ours in theirs.items()
    }


def test_names_that_are_those_of_diffusers_already_stay():
    names = list(transformer().state_dict())
    assert diffusers_names(names) == {name: name for name in names}


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        ("model.blocks.0.self_attn.w.weight", '1 of 70 tensors.*"model.blocks.0.self_attn.w.weight"'),
        ("model.lm_head.weight", '"model.lm_head.weight"'),
        ("model.blocks.0.attn1.to_q.weight", "names that Wan's code has not"),  # a mixture of both
        (
            "blocks.0.self_attn.q.weight",
            "stand for one of the transformer",
        ),  # twice, with the wrapper and without
    ],
)
def test_a_name_that_is_not_published_is_an_error_that_says_it(strange, said):
    names = [f"model.{name}" for name in published_names(2)]
    assert len(names) == 69
    with pytest.raises(RenderFault, match=said):
        diffusers_names([*names, strange])


# --- whole files ---------------------------------------------------------------------


def stand_in(folder: Path, model, file: Path, dtype=torch.float32):
    """Load a weight file in place of the transformer of a base whose configurations lie in a folder."""
    base = folder / "base"
    model.save_config(base / "transformer")
    (base / "model_index.json").write_text(
        json.dumps({"_class_name": "WanPipeline", "transformer": ["diffusers", "WanTransformer3DModel"]})
    )
    pin = FilePin(path=file.name, sha256="0" * 64, size=file.stat().st_size)
    adapter = AdapterPin(
        repo="gdhe17/Self-Forcing", revision="0" * 40, role=Role.TRANSFORMER, files=(pin,), scale=1.0
    )
    return load_stand_in(adapter, file.parent, base, WanPipeline, dtype)


LAYOUTS = {
    # guandeh17/Self-Forcing, inference.py --use_ema: the running average is what is sampled with.
    "self-forcing": lambda own, other: {"generator_ema": own, "generator": other},
    "self-forcing, average alone": lambda own, _: {"generator_ema": own},
    # tianweiy/CausVid: "model" in minimal_inference/i2v_autoregressive_inference.py; "generator" is recalled.
    "causvid": lambda own, _: {"generator": own, "critic": {"w": torch.zeros(1)}, "step": 3000},
    "causvid, from a picture": lambda own, _: {"model": own},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_of_a_published_layout_the_right_weights_are_taken(layout):
    model, other = transformer(), transformer(ffn_dim=16)
    own = published_tensors(model)
    tensors, dropped = tensors_of(LAYOUTS[layout](own, published_tensors(other)))
    assert tensors.keys() == own.keys()
    assert all(torch.equal(tensors[name], value) for name, value in own.items())
    assert ("generator" in dropped) == (layout == "self-forcing")


def test_a_published_pickle_becomes_the_transformer_with_every_weight_in_its_place(tmp_path):
    model, other = transformer(), transformer(ffn_dim=16)
    pickle = tmp_path / "self_forcing_dmd.pt"
    torch.save(LAYOUTS["self-forcing"](published_tensors(model), published_tensors(other)), pickle)
    target = tmp_path / "self_forcing_dmd.safetensors"
    converted = convert_pickle(pickle, target)
    assert (converted.tensors, converted.dropped) == (len(model.state_dict()), ("generator",))
    assert set(load_file(target)) == {f"model.{name}" for name in published_names(2)}  # as published
    component, loaded = stand_in(tmp_path, model, target)
    assert component == "transformer"
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())


def test_krea_realtimes_single_file_needs_no_import(tmp_path):
    """Published as safetensors, below no wrapper (recalled)."""
    model = transformer()
    save_file(published_tensors(model, prefix=""), tmp_path / "krea-realtime-video-14b.safetensors")
    _, loaded = stand_in(tmp_path, model, tmp_path / "krea-realtime-video-14b.safetensors")
    assert torch.equal(loaded.proj_out.weight, model.proj_out.weight)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.pop("model.head.modulation"), r"1 missing \(scale_shift_table\)"),
        (
            lambda table: table.update({"model.blocks.2.modulation": torch.zeros(1, 6, 24)}),
            r"1 unexpected \(blocks\.2\.scale_shift_table\)",
        ),
        (
            lambda table: table.update({"model.head.head.bias": torch.zeros(3)}),
            r"1 of another shape \(proj_out\.bias\)",
        ),
    ],
)
def test_a_tensor_that_is_missing_or_left_over_is_named(change, said, tmp_path):
    model = transformer()
    tensors = published_tensors(model)
    change(tensors)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(RenderFault, match=said):
        stand_in(tmp_path, model, tmp_path / "x.safetensors")


def test_in_16_bits_it_keeps_in_32_what_diffusers_would(tmp_path):
    from diffusers import WanTransformer3DModel

    model = transformer()
    model.save_pretrained(tmp_path / "plain")
    plain = WanTransformer3DModel.from_pretrained(tmp_path / "plain", dtype=torch.bfloat16)
    save_file(published_tensors(model), tmp_path / "x.safetensors")
    _, loaded = stand_in(tmp_path, model, tmp_path / "x.safetensors", torch.bfloat16)
    for (name, ours), theirs in zip(loaded.state_dict().items(), plain.state_dict().values(), strict=True):
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name
    assert loaded.rope.freqs_cos.dtype == plain.rope.freqs_cos.dtype == torch.float32
