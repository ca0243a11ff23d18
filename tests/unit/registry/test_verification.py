"""Bytes are the pinned bytes, or they are not loaded."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from policy.stacks import FilePin
from registry.verification import (
    FaultKind,
    hashed_files,
    is_unsafe,
    path_fault,
    sha256_file,
    unsafe_among,
    verify_files,
)

BODY = b"weights" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / "unet" / "weights.dat").write_bytes(BODY)
    return root


def pinned(root: Path, path: str = "unet/weights.dat") -> FilePin:
    return FilePin(path=path, sha256=sha256_file(root / path), size=(root / path).stat().st_size)


def kinds(root: Path, *pins: FilePin) -> list[FaultKind]:
    return [fault.kind for fault in verify_files(str(root), pins)]


def test_untouched_files_have_no_fault(folder):
    assert verify_files(str(folder), (pinned(folder),)) == ()


def test_one_changed_byte_is_named_with_what_was_expected_and_found(folder):
    pin = pinned(folder)
    file = folder / pin.path
    changed = bytearray(BODY)
    changed[4321] ^= 1
    file.write_bytes(changed)
    (fault,) = verify_files(str(folder), (pin,))
    assert fault.kind is FaultKind.DIGEST
    assert pin.path in fault.detail
    assert pin.sha256 in fault.expected
    assert sha256_file(file) in fault.found


def test_a_torn_file_is_found_by_its_size(folder):
    pin = pinned(folder)
    (folder / pin.path).write_bytes(BODY[:-1])
    (fault,) = verify_files(str(folder), (pin,))
    assert (fault.kind, fault.expected, fault.found) == (FaultKind.SIZE, "7000 bytes", "6999 bytes")


def test_a_missing_file_and_a_folder_in_its_place_are_faults(folder):
    pin = pinned(folder)
    (folder / pin.path).unlink()
    assert kinds(folder, pin) == [FaultKind.MISSING]
    (folder / pin.path).mkdir()
    assert kinds(folder, pin) == [FaultKind.MISSING]


def test_every_faulty_file_is_reported_not_only_the_first(folder):
    pin = pinned(folder)
    gone = replace(pin, path="gone.dat")
    assert kinds(folder, gone, pin, replace(gone, path="also-gone.dat")) == [FaultKind.MISSING] * 2


def test_a_link_out_of_the_folder_is_refused_even_with_the_right_content(folder, tmp_path):
    (tmp_path / "outside.dat").write_bytes(BODY)
    pin = pinned(folder)
    (folder / pin.path).unlink()
    (folder / pin.path).symlink_to(tmp_path / "outside.dat")
    assert kinds(folder, pin) == [FaultKind.PATH]


def test_a_link_inside_the_folder_is_followed(folder):
    pin = pinned(folder)
    (folder / "copy.dat").symlink_to(folder / pin.path)
    assert kinds(folder, replace(pin, path="copy.dat")) == []


def test_links_of_a_hub_cache_lead_to_its_blobs(tmp_path):
    cache = tmp_path / "models--org--name"
    snapshot = cache / "snapshots" / ("b" * 40)
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs" / "x").write_bytes(BODY)
    (snapshot / "weights.dat").symlink_to("../../blobs/x")
    pin = pinned(snapshot, "weights.dat")
    assert verify_files(str(snapshot), (pin,)) == ()
    (tmp_path / "outside").write_bytes(BODY)
    (snapshot / "weights.dat").unlink()
    (snapshot / "weights.dat").symlink_to(tmp_path / "outside")
    assert kinds(snapshot, pin) == [FaultKind.PATH]


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "C:/x", "a\\b", "a\nb", "a\u202eb", "e\u0301.txt",
        "x" * 256, "a/nul.txt", "CON", "a./b", "b ",
    ],
)  # fmt: skip
def test_paths_that_could_lead_elsewhere_are_refused(path, folder):
    assert path_fault(path)
    assert kinds(folder, FilePin(path=path, sha256="0" * 64, size=1)) == [FaultKind.PATH]


@pytest.mark.parametrize(
    "path", ["a", "unet/diffusion_pytorch_model.safetensors", "Übersicht.md", ".gitattributes", "a b/c"]
)
def test_plain_relative_paths_are_fine(path):
    assert path_fault(path) is None


@pytest.mark.parametrize(
    "name", ["x.bin", "x.pt", "x.PTH", "x.ckpt", "x.pkl", "x.npy", "x.h5", "x.py", "x.so"]
)
def test_what_could_run_when_loaded_is_unsafe(name, folder):
    assert is_unsafe(name)
    (folder / name).write_bytes(BODY)
    assert kinds(folder, pinned(folder, name)) == [FaultKind.UNSAFE_FORMAT]


def test_a_pickle_beside_safetensors_is_passed_over_and_a_program_never_is():
    paths = ["unet/a.bin", "unet/a.safetensors", "vae/b.bin", "custom.py", "README.md"]
    assert unsafe_among(paths) == ("custom.py", "vae/b.bin")


def test_hashes_are_of_the_bytes_on_disk_now(folder):
    pin = pinned(folder)
    (folder / pin.path).write_bytes(b"other")
    (found,) = hashed_files(str(folder), (pin,))
    assert found == (pin.path, sha256_file(folder / pin.path))
    assert found[1] != pin.sha256


def test_the_check_and_its_answer_cross_processes(folder):
    assert pickle.loads(pickle.dumps(verify_files)) is verify_files
    faults = verify_files(str(folder), (FilePin(path="gone", sha256="0" * 64, size=1),))
    assert pickle.loads(pickle.dumps(faults)) == faults
