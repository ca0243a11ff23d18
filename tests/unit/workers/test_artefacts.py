import os
from pathlib import Path

import pytest

from policy.errors import UnknownName
from workers.artefacts import PNG, STATEMENT, ArtefactStore


def temporary_files(store: ArtefactStore) -> list[Path]:
    return list((store.root / "tmp").glob("*"))


def test_bytes_are_kept_under_their_own_digest(tmp_path):
    store = ArtefactStore(tmp_path / "artefacts")
    kept = store.put_bytes(b"pixels", PNG)
    assert kept.sha256 == "6ec9c2b0eb14010746c8bce8939303b382344b296206612eb8a907a37b2b2f37"
    assert store.path_of(kept.sha256) == Path(kept.path)
    assert Path(kept.path).read_bytes() == b"pixels"
    assert (kept.size, kept.media_type, Path(kept.path).suffix) == (6, PNG, ".png")
    assert temporary_files(store) == []


def test_the_same_bytes_twice_are_one_file_that_is_not_written_again(tmp_path):
    store = ArtefactStore(tmp_path)
    first = store.put_bytes(b"pixels", PNG)
    written = Path(first.path).stat().st_ino
    assert store.put_bytes(b"pixels", PNG) == first
    assert Path(first.path).stat().st_ino == written


def test_a_statement_is_found_by_digest_as_well(tmp_path):
    store = ArtefactStore(tmp_path)
    kept = store.put_bytes(b"{}", STATEMENT)
    assert store.path_of(kept.sha256).name == f"{kept.sha256}.intoto.json"


def test_only_a_file_of_the_right_size_counts_as_kept(tmp_path):
    store = ArtefactStore(tmp_path)
    kept = store.put_bytes(b"pixels", PNG)
    assert store.has(kept.sha256)
    assert store.has(kept.sha256, size=6)
    assert not store.has(kept.sha256, size=7)
    os.truncate(kept.path, 0)
    assert not store.has(kept.sha256), "an empty file is what a crash leaves"


def test_torn_bytes_are_replaced_when_they_are_made_again(tmp_path):
    store = ArtefactStore(tmp_path)
    kept = store.put_bytes(b"pixels", PNG)
    os.truncate(kept.path, 3)
    store.put_bytes(b"pixels", PNG)
    assert Path(kept.path).read_bytes() == b"pixels"


@pytest.mark.parametrize("name", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63])
def test_what_is_not_there_is_not_found_and_no_name_leaves_the_store(tmp_path, name):
    store = ArtefactStore(tmp_path)
    assert not store.has(name)
    with pytest.raises(UnknownName):
        store.path_of(name)


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path):
    store = ArtefactStore(tmp_path)
    store.put_bytes(b"pixels", PNG)
    old, young = tmp_path / "tmp" / "old.part", tmp_path / "tmp" / "young.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert store.clean() == 1
    assert temporary_files(store) == [young]


def test_free_space_is_known_before_the_folder_exists(tmp_path):
    assert ArtefactStore(tmp_path / "not" / "yet").free_bytes() > 0
