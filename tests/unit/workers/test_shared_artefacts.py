import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from policy.errors import StorageFault, UnknownName
from tests.local_s3.server import LocalS3
from workers.artefacts import PNG, ArtefactStore
from workers.shared_artefacts import SharedArtefacts, open_artefacts

MOST = 1 << 30


def node(s3: LocalS3, folder: Path, most_bytes: int = MOST) -> SharedArtefacts:
    return SharedArtefacts(folder, s3.address(), most_bytes=most_bytes)


def test_what_one_machine_made_another_reads(s3, tmp_path):
    made = node(s3, tmp_path / "one").put_bytes(b"pixels", PNG)
    other = node(s3, tmp_path / "two")
    assert other.has(made.sha256)
    assert other.has(made.sha256, size=6)
    assert not other.has(made.sha256, size=7)
    path = other.path_of(made.sha256)
    assert path.is_relative_to(tmp_path / "two")
    assert path.read_bytes() == b"pixels"
    asked = len(s3.asked)
    assert other.path_of(made.sha256) == path
    assert len(s3.asked) == asked, "what lies here is not asked for again"


def test_nothing_is_told_of_before_the_store_has_its_bytes(s3, tmp_path):
    store = node(s3, tmp_path)
    s3.is_down = True
    with pytest.raises(StorageFault):
        store.put_bytes(b"pixels", PNG)
    s3.is_down = False
    assert list(tmp_path.glob("??/*")) == [], "what lies in the folder is in the store"
    made = store.put_bytes(b"pixels", PNG)
    assert s3.objects == {f"night/artefacts/{made.sha256[:2]}/{made.sha256}.png": b"pixels"}
    assert Path(made.path).read_bytes() == b"pixels"
    assert list((tmp_path / "outbox").glob("??/*")) == []


def test_the_same_bytes_are_sent_once_whoever_made_them(s3, tmp_path):
    first = node(s3, tmp_path / "one").put_bytes(b"pixels", PNG)
    second = node(s3, tmp_path / "two").put_bytes(b"pixels", PNG)
    assert (first.sha256, s3.count("put")) == (second.sha256, 1)


def test_the_same_bytes_from_many_threads_at_once_are_kept_by_each(s3, tmp_path):
    stores = [node(s3, tmp_path) for _ in range(2)]  # two workers of one machine
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: stores[number % 2].put_bytes(b"pixels", PNG), range(40)))
    assert len(set(made)) == 1
    assert list(s3.objects.values()) == [b"pixels"]
    assert Path(made[0].path).read_bytes() == b"pixels"


def test_other_bytes_behind_a_digest_count_as_lost(s3, tmp_path):
    made = node(s3, tmp_path / "one").put_bytes(b"pixels", PNG)
    s3.objects[f"night/artefacts/{made.sha256[:2]}/{made.sha256}.png"] = b"PIXELS"
    other = node(s3, tmp_path / "two")
    with pytest.raises(UnknownName, match="digest"):
        other.path_of(made.sha256)
    assert [path for path in (tmp_path / "two").rglob("*") if path.is_file()] == []


def test_what_is_removed_is_gone_for_everybody_who_has_no_copy(s3, tmp_path):
    store = node(s3, tmp_path / "one")
    made = store.put_bytes(b"pixels", PNG)
    store.remove(made.sha256)
    assert s3.objects == {}
    for asked in (store, node(s3, tmp_path / "two")):
        assert not asked.has(made.sha256)
        with pytest.raises(UnknownName):
            asked.path_of(made.sha256)


def test_the_folder_keeps_to_its_bound_and_forgets_what_was_used_longest_ago(s3, tmp_path):
    store = node(s3, tmp_path, most_bytes=8)
    kept = [store.put_bytes(body, PNG) for body in (b"fox", b"owl", b"emu", b"elk")]
    for age, made in enumerate(kept):
        os.utime(made.path, (age, age))
    store.path_of(kept[0].sha256)  # used now
    assert store.clean() == 2
    assert [Path(made.path).exists() for made in kept] == [True, False, False, True]
    assert store.path_of(kept[1].sha256).read_bytes() == b"owl", "it is fetched again"


def test_what_was_used_a_moment_ago_is_spared_even_over_the_bound(s3, tmp_path):
    store = node(s3, tmp_path, most_bytes=0)
    made = store.put_bytes(b"pixels", PNG)
    assert store.clean() == 0
    assert Path(made.path).exists()


def test_without_an_address_the_folder_is_the_store(tmp_path):
    assert type(open_artefacts(tmp_path, None, MOST)) is ArtefactStore
