"""Folders in two layouts, read the same way; what leads out of them is refused."""

import json
import os
from pathlib import Path

import pytest

from policy.errors import FormatFault, IntegrityFault, UnknownName
from registry.sources import DirectorySource, ModelSource, builtin_source
from registry.verification import sha256_file, verify_files
from tests.unit.registry.shelf import EMPTY_WEIGHTS, put_repository

OLD, NEW = "1" * 40, "2" * 40


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    put_repository(tmp_path, "org/name")
    put_repository(tmp_path, "org/other")
    return tmp_path


def put_cached(root: Path, revision: str, body: bytes = EMPTY_WEIGHTS, *, main: bool = False) -> None:
    cache = root / "models--org--cached-name"
    snapshot = cache / "snapshots" / revision
    for folder in (snapshot / "unet", cache / "blobs", cache / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    (cache / "blobs" / revision).write_bytes(body)
    (snapshot / "unet" / "model.safetensors").symlink_to(f"../../../blobs/{revision}")
    if main:
        (cache / "refs" / "main").write_text(revision)


def test_both_layouts_are_found(shelf):
    put_cached(shelf, NEW)
    source = DirectorySource(shelf)
    assert source.repositories() == ("org/cached-name", "org/name", "org/other")
    typed: ModelSource = source
    assert typed.name == f"folder {shelf}"


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert DirectorySource(tmp_path / "none").repositories() == ()


def test_every_file_is_listed_by_content(shelf):
    listing = DirectorySource(shelf).listing("org/name")
    assert listing.paths == ("LICENSE", "README.md", "model.safetensors")
    for pin in listing.files:
        assert pin.sha256 == sha256_file(shelf / "org/name" / pin.path)
    assert verify_files(listing.root, listing.files) == ()
    assert [path for path, _ in listing.licence_files] == ["LICENSE"]
    assert listing.vocabulary is None


def test_what_git_and_the_client_keep_beside_the_files_is_no_content(shelf):
    before = DirectorySource(shelf).listing("org/name").revision
    for folder in (".git", ".cache/huggingface"):
        (shelf / "org/name" / folder).mkdir(parents=True)
        (shelf / "org/name" / folder / "x").write_text("x")
    assert DirectorySource(shelf).listing("org/name").revision == before
    (shelf / "org/name" / ".cache" / "y").write_text("y")
    assert DirectorySource(shelf).listing("org/name").revision != before


@pytest.mark.parametrize(
    ("path", "is_licence"),
    [
        ("LICENSE", True),
        ("LICENSE.md", True),
        ("licence.txt", True),
        ("LICENSE-MODEL", True),
        ("MODEL_LICENSE", True),
        ("COPYING", True),
        ("vae/LICENSE", True),
        ("loras/x.license.txt", True),
        ("licensed.txt", False),
        ("license_server.json", True),
        ("notes/NOTICE.txt", False),
    ],
)
def test_licence_files_are_found_by_name_anywhere(tmp_path, path, is_licence):
    put_repository(tmp_path, "org/name", licence="", files={path: b"words"})
    assert (
        [found for found, _ in DirectorySource(tmp_path).listing("org/name").licence_files] == [path]
    ) is is_licence


def test_notices_are_kept_apart_from_licences(tmp_path):
    put_repository(tmp_path, "org/name", files={"NOTICE": b"by us"})
    assert DirectorySource(tmp_path).listing("org/name").notice_files == (("NOTICE", b"by us"),)


def test_a_misspelt_name_is_answered_with_near_ones(shelf):
    with pytest.raises(UnknownName, match="org/name"):
        DirectorySource(shelf).locate("org/nane")


@pytest.mark.parametrize(
    "repo", ["name", "../x/y", "org/..", "org/../../etc", "/etc/passwd", "org/name/more", "org/na\nme", ""]
)
def test_a_name_that_is_no_repository_is_refused(shelf, repo):
    with pytest.raises(UnknownName):
        DirectorySource(shelf).locate(repo)


def test_a_repository_that_is_a_link_out_of_the_shelf_is_not_found(shelf, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (shelf / "org" / "link").symlink_to(outside)
    with pytest.raises(UnknownName):
        DirectorySource(shelf).locate("org/link")


def test_a_link_out_of_the_repository_is_refused(shelf, tmp_path_factory):
    secret = tmp_path_factory.mktemp("outside") / "secret"
    secret.write_text("secret")
    (shelf / "org/name/config.json").symlink_to(secret)
    with pytest.raises(IntegrityFault, match=r"config\.json"):
        DirectorySource(shelf).listing("org/name")


def test_a_link_to_a_folder_and_a_dead_link_are_refused(shelf):
    (shelf / "org/name/sub").symlink_to(shelf / "org/other")
    with pytest.raises(IntegrityFault, match="link to a folder"):
        DirectorySource(shelf).listing("org/name")
    (shelf / "org/other/dead").symlink_to(shelf / "org/other/nowhere")
    with pytest.raises(IntegrityFault, match="dead"):
        DirectorySource(shelf).listing("org/other")


def test_something_that_is_no_file_is_refused(shelf):
    os.mkfifo(shelf / "org/name/pipe")
    with pytest.raises(IntegrityFault, match="no file"):
        DirectorySource(shelf).listing("org/name")


def test_a_plain_folder_answers_only_to_its_own_revision(shelf):
    source = DirectorySource(shelf)
    revision = source.listing("org/name").revision
    assert source.listing("org/name", revision).revision == revision
    with pytest.raises(UnknownName, match=revision):
        source.listing("org/name", OLD)


def test_a_cache_is_read_at_main_or_at_a_commit(shelf):
    put_cached(shelf, OLD, b"\x02\0\0\0\0\0\0\0{ }"[:10])
    put_cached(shelf, NEW, main=True)
    source = DirectorySource(shelf)
    assert source.listing("org/cached-name").revision == NEW
    assert source.listing("org/cached-name", "main").revision == NEW
    assert source.listing("org/cached-name", OLD).revision == OLD
    listing = source.listing("org/cached-name", NEW)
    assert listing.paths == ("unet/model.safetensors",)
    assert verify_files(listing.root, listing.files) == ()


def test_a_cache_without_main_answers_only_where_it_is_clear_which(shelf):
    put_cached(shelf, OLD)
    assert DirectorySource(shelf).locate("org/cached-name").name == OLD
    put_cached(shelf, NEW)
    with pytest.raises(UnknownName, match=OLD):
        DirectorySource(shelf).locate("org/cached-name")
    with pytest.raises(UnknownName, match=r"not at \.\./\.\./refs/main"):
        DirectorySource(shelf).locate("org/cached-name", "../../refs/main")


def test_a_word_list_is_read_without_its_placeholders(tmp_path):
    words = {
        "subjects": ["fox", "red car"],
        "templates": ["a {subject}", "{subject} on a {background} background"],
    }
    put_repository(tmp_path, "org/name", files={"vocabulary.json": json.dumps(words).encode()})
    found = DirectorySource(tmp_path).listing("org/name").vocabulary
    assert found is not None
    assert {word for entry in found for word in entry.split()} == {
        "fox",
        "red",
        "car",
        "a",
        "on",
        "background",
    }


@pytest.mark.parametrize("body", [b"[", b"[]", b'{"a": "fox"}', b'{"a": [1]}', b"[" * 100_000])
def test_a_word_list_of_another_shape_is_refused(tmp_path, body):
    put_repository(tmp_path, "org/name", files={"vocabulary.json": body})
    with pytest.raises(FormatFault, match=r"vocabulary\.json"):
        DirectorySource(tmp_path).listing("org/name")


def test_a_licence_of_a_megabyte_is_refused(tmp_path):
    put_repository(tmp_path, "org/name", licence="", files={"LICENSE": b"x" * (2 << 20)})
    with pytest.raises(FormatFault, match="LICENSE"):
        DirectorySource(tmp_path).listing("org/name")


def test_the_built_in_models_are_four_repositories():
    source = builtin_source()
    assert source.name == "built-in"
    assert source.repositories() == (
        "rightstep/emoji-64",
        "rightstep/emoji-64-lcm-lora",
        "rightstep/emoji-64-motion",
        "rightstep/emoji-64-style-shapes",
        "rightstep/emoji-64-style-twemoji",
    )
