"""Causal transformers in the Hub's layout are loaded whole, or refused with the names of what is wrong."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from policy.errors import RenderFault
from tests.unit.workers.causal.tiny_wan import far, transformer
from workers.causal.loading import load_transformer

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(params=[far, transformer], ids=["anyflow-far", "wan"])
def saved(request, tmp_path):
    model = request.param()
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    return model, tmp_path


@pytest.mark.parametrize("layout", ["whole", "sharded"])
def test_every_tensor_lands_from_one_file_and_from_shards(saved, layout):
    model, folder = saved
    assert len(list((folder / layout).glob("*.safetensors"))) > (layout == "sharded")
    loaded = load_transformer(folder / layout, torch.float32)
    assert type(loaded) is type(model)
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("proj_out.bias"), r"1 missing \(proj_out\.bias\)"),
        (lambda tensors: tensors.update(other=torch.zeros(1)), r"1 unexpected \(other\)"),
    ],
)
def test_a_tensor_that_is_missing_or_left_over_is_named(saved, change, said):
    _, folder = saved
    tensors = load_file(folder / "whole" / FILE)
    change(tensors)
    save_file(tensors, folder / "whole" / FILE)
    with pytest.raises(RenderFault, match=said):
        load_transformer(folder / "whole", torch.float32)


def test_another_packages_class_or_setting_is_refused(saved):
    _, folder = saved
    path = folder / "whole" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"window_size": 3}))
    with pytest.raises(RenderFault, match='no setting "window_size"'):
        load_transformer(folder / "whole", torch.float32)
    path.write_text(json.dumps(config | {"_class_name": "WanFARTransformer"}))
    with pytest.raises(RenderFault, match="saved as WanFARTransformer"):
        load_transformer(folder / "whole", torch.float32)
