import hashlib
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from policy.errors import IntegrityFault, StorageFault
from tests.local_s3.server import KEY, SECRET, LocalS3
from workers.object_stores import ObjectStore
from workers.store_addresses import StoreAddress


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def made(folder: Path, body: bytes) -> Path:
    file = folder / "made"
    file.write_bytes(body)
    return file


LARGE = b"".join(bytes([number]) * (16 << 20) for number in range(3)) + b"end"  # four parts


def test_what_is_put_is_fetched_again_byte_for_byte(s3, tmp_path):
    objects = ObjectStore(s3.address())
    body = b"pixels"
    objects.put("ab/fox.png", made(tmp_path, body), sha256_of(body), tmp_path / "journal")
    assert s3.objects == {"night/ab/fox.png": body}
    assert objects.size_of("ab/fox.png") == 6
    assert objects.fetch("ab/fox.png", tmp_path / "draft", 6, sha256_of(body))
    assert (tmp_path / "draft").read_bytes() == body
    objects.remove("ab/fox.png")
    objects.remove("ab/fox.png")
    assert objects.size_of("ab/fox.png") is None
    assert not objects.fetch("ab/fox.png", tmp_path / "other", 6, sha256_of(body))


def test_a_share_holds_the_same_objects_under_the_same_names(tmp_path):
    objects = ObjectStore(StoreAddress(url=f"file://{tmp_path}/share"))
    objects.put("ab/fox.png", made(tmp_path, b"pixels"), sha256_of(b"pixels"), tmp_path / "journal")
    assert [path.name for path in (tmp_path / "share/ab").iterdir()] == ["fox.png"]
    assert objects.fetch("ab/fox.png", tmp_path / "draft", 6, sha256_of(b"pixels"))
    objects.remove("ab/fox.png")
    assert objects.size_of("ab/fox.png") is None


def test_an_upload_that_broke_off_goes_on_with_the_parts_that_are_missing(s3, tmp_path):
    file, journal = made(tmp_path, LARGE), tmp_path / "journal"
    s3.parts_left = 3
    with pytest.raises(StorageFault, match="AccessDenied"):
        ObjectStore(s3.address()).put("large", file, sha256_of(LARGE), journal)
    assert s3.objects == {}
    s3.parts_left = None
    ObjectStore(s3.address()).put("large", file, sha256_of(LARGE), journal)
    assert s3.objects["night/large"] == LARGE
    assert (s3.count("begin"), s3.count("part"), s3.uploads) == (1, 4, {})


def put_large(address: StoreAddress, folder: Path) -> None:
    ObjectStore(address).put("large", folder / "made", sha256_of(LARGE), folder / "journal")


def fetch_large(address: StoreAddress, folder: Path) -> None:
    ObjectStore(address).fetch("large", folder / "draft", len(LARGE), sha256_of(LARGE))


def killed_when_stalled(s3: LocalS3, does: Callable[[StoreAddress, Path], None], folder: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=does, args=(s3.address(), folder))
    worker.start()
    assert s3.stalled.wait(60)
    worker.kill()
    worker.join()
    s3.stall_at = None
    s3.go_on.set()


def test_an_upload_whose_process_was_killed_is_gone_on_with_by_another(s3, tmp_path):
    made(tmp_path, LARGE)
    s3.stall_at = ("part", 2)
    killed_when_stalled(s3, put_large, tmp_path)
    assert s3.objects == {}
    put_large(s3.address(), tmp_path)
    assert s3.objects["night/large"] == LARGE
    assert s3.count("begin") == 1
    assert s3.count("part") in {4, 5}, "the one that it was killed in may or may not have been kept"


def test_a_fetch_whose_process_was_killed_is_gone_on_with_by_another(s3, tmp_path):
    s3.objects["night/large"] = LARGE
    s3.stall_at = ("get", 4)
    killed_when_stalled(s3, fetch_large, tmp_path)
    assert (tmp_path / "draft").stat().st_size == 32 << 20
    fetch_large(s3.address(), tmp_path)
    assert (tmp_path / "draft").read_bytes() == LARGE
    assert s3.count("get") <= 8, "seven pieces, and the one that was lost"


def test_an_upload_that_the_store_forgot_begins_again(s3, tmp_path):
    file, journal = made(tmp_path, LARGE), tmp_path / "journal"
    s3.parts_left = 1
    with pytest.raises(StorageFault):
        ObjectStore(s3.address()).put("large", file, sha256_of(LARGE), journal)
    s3.uploads.clear()
    s3.parts_left = None
    ObjectStore(s3.address()).put("large", file, sha256_of(LARGE), journal)
    assert s3.objects["night/large"] == LARGE
    assert s3.count("begin") == 2


def test_the_store_itself_refuses_bytes_that_are_not_those_of_the_digest(s3, tmp_path):
    with pytest.raises(StorageFault, match="BadDigest"):
        ObjectStore(s3.address()).put("fox", made(tmp_path, b"torn"), sha256_of(b"pixels"), tmp_path / "j")
    assert s3.objects == {}


def test_a_fetch_goes_on_from_what_is_there(s3, tmp_path):
    s3.objects["night/large"] = LARGE
    draft = tmp_path / "draft"
    draft.write_bytes(LARGE[: 40 << 20])
    assert ObjectStore(s3.address()).fetch("large", draft, len(LARGE), sha256_of(LARGE))
    assert s3.count("get") == 2, "eight MiB, and three bytes"
    assert draft.read_bytes() == LARGE


def test_other_bytes_behind_a_name_are_thrown_away(s3, tmp_path):
    s3.objects["night/fox"] = b"PIXELS"
    with pytest.raises(IntegrityFault, match="fox"):
        ObjectStore(s3.address()).fetch("fox", tmp_path / "draft", 6, sha256_of(b"pixels"))
    assert not (tmp_path / "draft").exists()


def test_a_store_that_is_down_or_lets_nobody_in_is_a_fault_of_storage_without_its_secret(s3, tmp_path):
    with pytest.raises(StorageFault, match="s3://house/night") as refused:
        ObjectStore(s3.address(secret="wrong-secret")).size_of("fox")
    assert "wrong-secret" not in str(refused.value)
    s3.is_down = True
    with pytest.raises(StorageFault):
        ObjectStore(s3.address()).size_of("fox")


def test_an_address_travels_with_its_secret_and_never_shows_it(s3):
    address = s3.address()
    assert pickle.loads(pickle.dumps(address)) == address
    assert SECRET not in repr(address)
    assert KEY not in repr(address)
