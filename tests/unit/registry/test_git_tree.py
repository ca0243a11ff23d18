"""The revision of a plain folder is the id that git itself gives it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from registry.git_tree import file_digests, tree_id
from registry.sources import DirectorySource
from registry.verification import sha256_file

FILES = {
    "README.md": b"hello\n",
    "empty": b"",
    "unet/model.safetensors": bytes(range(256)) * 64,
    "unet/config.json": b"{}",
    "unet.json": b"sorts around its folder",
    "unet-x/a": b"1",
    "a/b/c/d.txt": "Ünïcode".encode(),
    "Übersicht.md": b"name beyond ASCII",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "org" / "name"
    for path, body in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
    return root


def git(root: Path, *words: str) -> str:
    if shutil.which("git") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("git is not installed")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "core.fileMode=false", "-c", "core.autocrlf=false", *words]
    return subprocess.run(
        command, cwd=root, env=clean, check=True, capture_output=True, text=True
    ).stdout.strip()


def tree_of(root: Path) -> str:
    return tree_id({path: file_digests(root / path).blob_id for path in FILES})


def test_blob_ids_are_those_of_git_hash_object(repository):
    for path in FILES:
        assert file_digests(repository / path).blob_id == git(repository, "hash-object", path)


def test_the_tree_id_is_that_of_git_write_tree(repository):
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    assert tree_of(repository) == git(repository, "write-tree")
    assert DirectorySource(repository.parents[1]).listing("org/name").revision == git(
        repository, "write-tree"
    )


def test_the_executable_bit_does_not_change_the_id(repository):
    before = tree_of(repository)
    (repository / "README.md").chmod(0o755)
    assert tree_of(repository) == before
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    assert before == git(repository, "write-tree")


def test_one_changed_byte_or_name_changes_the_id(repository):
    before = tree_of(repository)
    (repository / "empty").write_bytes(b"!")
    assert tree_of(repository) != before
    assert tree_id({"a": "0" * 40}) != tree_id({"b": "0" * 40})


def test_one_reading_gives_size_and_both_digests(repository):
    found = file_digests(repository / "unet/model.safetensors")
    assert found.size == 256 * 64
    assert found.sha256 == sha256_file(repository / "unet/model.safetensors")
