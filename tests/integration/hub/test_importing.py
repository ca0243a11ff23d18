"""Pickles become safetensors in a process that can build tensors and nothing else."""

import io
import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from flows.pinning import import_model
from policy.errors import FormatFault, Refused, UnknownName, WrongUse
from registry.unit_of_work import unit_of_work
from registry.verification import sha256_file, verify_files
from tests.local_hub.published import card, text
from workers.conversions import convert_pickle

pytestmark = pytest.mark.timeout(900)


class Touch:
    """A pickle of this runs a command when it is loaded by anything that trusts it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def pickled(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def tensors() -> dict[str, Any]:
    import torch

    table = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    return OrderedDict(weight=table, turned=table.T, bias=torch.ones(3, dtype=torch.float16))


def test_a_pickle_of_a_hub_becomes_a_pinned_repository_with_both_digests(hub, studio, repo):
    from safetensors.torch import load_file

    body = pickled({"state_dict": tensors(), "epoch": 3})
    repository = hub.put(
        repo, {"README.md": card(license="mit"), "LICENSE": text("mit"), "unet/x.ckpt": body}
    )
    made = studio.do(import_model, repo, "unet/x.ckpt")
    house = studio.here
    root = house.source("imported").locate(repo)
    assert made.source_revision == repository.refs["main"]
    assert (made.file, made.tensors, made.dropped) == ("unet/x.safetensors", 3, ("epoch",))
    assert made.sha256 == sha256_file(root / made.file)
    assert verify_files(str(root), made.pinned.pin.files) == ()
    assert {file.path for file in made.pinned.pin.files} == {
        "LICENSE", "README.md", "imported.json", "unet/x.safetensors",
    }  # fmt: skip
    assert made.pinned.source == "imported"
    loaded = load_file(root / made.file)
    assert all(loaded[name].equal(value) for name, value in tensors().items())
    with unit_of_work(house.engine, read_only=True) as work:
        (told,) = [
            json.loads(one.event.payload)
            for one in work.audit.events(subject=made.pinned.pin.pin_id)
            if one.event.tag == "registry:model:imported"
        ]
    assert (told["sha256"], told["safetensors_sha256"]) == (made.pickle_sha256, made.sha256)


def test_a_hostile_pickle_is_refused_and_nothing_of_it_is_run_or_kept(hub, studio, repo, tmp_path):
    mark = tmp_path / "it-ran"
    hub.put(repo, {"README.md": card(license="mit"), "evil.bin": pickled({"w": Touch(mark)})})
    with pytest.raises(Refused, match=r"would run code.*system"):
        studio.do(import_model, repo, "evil.bin")
    assert not mark.exists()
    assert not (studio.home / "imported" / repo).exists()


def test_the_hostile_pickle_is_a_real_one(tmp_path):
    """It does run where it is trusted: the test above is about something."""
    import pickle

    mark = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Touch(mark)))
    assert mark.exists()


def test_files_of_two_commits_are_never_mixed(hub, studio, repo):
    repository = hub.put(
        repo, {"README.md": card(), "a.bin": pickled(tensors()), "b.bin": pickled(tensors())}
    )
    old = repository.refs["main"]
    studio.do(import_model, repo, "a.bin")
    repository.change({"README.md": card(license="mit")})
    with pytest.raises(WrongUse, match=old[:12]):
        studio.do(import_model, repo, "b.bin")
    both = studio.do(import_model, f"{repo}@{old}", "b.bin").pinned.pin
    assert {"a.safetensors", "b.safetensors"} <= {file.path for file in both.files}


@pytest.mark.parametrize("file", ["model.safetensors", "../x.bin", "README.md"])
def test_what_is_no_pickle_of_the_repository_is_wrong_use(studio, repo, file):
    with pytest.raises(WrongUse, match="no pickle"):
        studio.do(import_model, repo, file)


def test_a_file_that_is_not_there_is_named(hub, studio, repo):
    hub.put(repo, {"README.md": card()})
    with pytest.raises(UnknownName, match=r"none\.bin"):
        studio.do(import_model, repo, "none.bin")


@pytest.mark.parametrize(
    ("body", "fault", "said"),
    [(b"not a pickle", Refused, "Unsupported operand"), (b"", FormatFault, "cannot be converted")],
)
def test_what_cannot_be_read_is_told_and_leaves_nothing(tmp_path, body, fault, said):
    (tmp_path / "x.bin").write_bytes(body)
    with pytest.raises(fault, match=said):
        convert_pickle(tmp_path / "x.bin", tmp_path / "out" / "x.safetensors")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_pickle_without_tensors_and_one_without_a_table_are_refused(tmp_path):
    for number, value in enumerate(({"a": 1}, [1, 2])):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(pickled(value))
        with pytest.raises(FormatFault, match="tensors"):
            convert_pickle(path, tmp_path / "x.safetensors")


def test_a_conversion_that_takes_too_long_is_ended(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(pickled(tensors()))
    with pytest.raises(FormatFault, match="within 0 seconds"):
        convert_pickle(path, tmp_path / "x.safetensors", seconds=0.05)


def test_a_small_pickle_that_asks_for_a_very_large_tensor_is_stopped(tmp_path):
    import torch

    path = tmp_path / "x.bin"
    path.write_bytes(pickled({"w": torch.zeros(1).expand(1 << 34)}))
    with pytest.raises(FormatFault, match=r"memory|allocate"):
        convert_pickle(path, tmp_path / "x.safetensors")
