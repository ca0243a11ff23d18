import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.errors import StorageFault, UnknownName
from tests.local_s3.server import LocalS3
from workers.artefacts import PNG, ArtefactStore
from workers.shared_artefacts import SharedArtefacts, open_artefacts
from workers.store_addresses import StoreAddress

MOST = 1 << 30
DAY = timedelta(days=1)


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


Age = Callable[[str, float], None]  # the objects of a digest were put so many seconds ago


@pytest.fixture(params=["s3", "share"])
def behind(request, s3, tmp_path) -> tuple[StoreAddress, Age]:
    if request.param == "s3":

        def older(sha256: str, seconds: float) -> None:
            s3.put_at |= {key: time.time() - seconds for key in s3.objects if sha256 in key}

        return s3.address(), older

    def old(sha256: str, seconds: float) -> None:
        for path in (tmp_path / "share").rglob(f"{sha256}.*"):
            os.utime(path, (time.time() - seconds, time.time() - seconds))

    return StoreAddress(url=f"file://{tmp_path}/share"), old


def test_every_object_is_told_of_whoever_made_it(behind, tmp_path):
    address, _ = behind
    one, two = (SharedArtefacts(tmp_path / name, address, most_bytes=MOST) for name in ("one", "two"))
    made = [one.put_bytes(f"{number}".encode(), PNG) for number in range(7)]
    told = [file for folder in two.files() for file in folder]
    assert [file.sha256 for file in told] == sorted(one.sha256 for one in made)
    assert {file.size for file in told} == {1}
    assert two.file_of(made[0].sha256) == next(file for file in told if file.sha256 == made[0].sha256)
    assert two.file_of("0" * 64) is None


def test_what_somebody_put_again_is_not_retired(behind, tmp_path):
    address, age = behind
    one, two = (SharedArtefacts(tmp_path / name, address, most_bytes=MOST) for name in ("one", "two"))
    sha256 = one.put_bytes(b"pixels", PNG).sha256
    since = datetime.now(UTC) - DAY
    age(sha256, 2 * DAY.total_seconds())
    seen = two.file_of(sha256)
    assert seen is not None
    assert seen.touched_at < since
    one.put_bytes(b"pixels", PNG)  # its copy is here: the store hears of it all the same
    assert not two.retire(seen, since)
    age(sha256, 2 * DAY.total_seconds())
    assert two.retire(seen, since)
    assert not two.retire(seen, since), "it is gone already"
    assert two.file_of(sha256) is None


def test_what_was_retired_is_sent_again_by_whoever_still_has_a_copy(behind, tmp_path):
    address, age = behind
    one, two = (SharedArtefacts(tmp_path / name, address, most_bytes=MOST) for name in ("one", "two"))
    sha256 = one.put_bytes(b"pixels", PNG).sha256
    age(sha256, 2 * DAY.total_seconds())
    seen = two.file_of(sha256)
    assert seen is not None
    assert two.retire(seen, datetime.now(UTC) - DAY)
    one.put_bytes(b"pixels", PNG)
    assert two.path_of(sha256).read_bytes() == b"pixels"


def test_a_large_object_that_is_old_is_put_anew(s3, tmp_path):
    store, film = node(s3, tmp_path), bytes(17 << 20)
    sha256 = store.put_bytes(film, PNG).sha256
    s3.put_at |= dict.fromkeys(s3.objects, 0.0)
    store.put_bytes(film, PNG)
    assert s3.count("complete") == 2
    seen = store.file_of(sha256)
    assert seen is not None
    assert seen.touched_at > datetime.now(UTC) - DAY
