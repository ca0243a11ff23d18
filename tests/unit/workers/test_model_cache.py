import hashlib
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from policy.errors import IntegrityFault, StorageFault
from policy.stacks import FilePin, ModelPin, Role, Stack
from policy.tasks import LocatedPart, StackLoad
from registry.verification import hashed_files, verify_files
from tests.factories import make_stack
from workers.model_cache import ModelCache, object_name
from workers.store_addresses import ModelCacheOptions, StoreAddress
from workers.verified_stacks import brought


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def stocked(share: Path, name: str, files: dict[str, bytes]) -> StackLoad:
    """A stack of one model whose files lie in a share, and nowhere on this node."""
    for body in files.values():
        place = share / object_name(sha256_of(body))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    pins = tuple(FilePin(path=path, sha256=sha256_of(body), size=len(body)) for path, body in files.items())
    base = ModelPin(repo=f"house/{name}", revision="a" * 40, role=Role.BASE, files=pins)
    stack: Stack = replace(make_stack(), base=base, adapters=())
    return StackLoad(stack=stack, parts=(LocatedPart(pin_id=base.pin_id, root="/nowhere"),), fuse=False)


def cache_of(folder: Path, *shares: Path, most_bytes: int = 1000) -> ModelCache:
    sources = tuple(StoreAddress(url=f"file://{share}") for share in shares)
    return ModelCache(ModelCacheOptions(folder=folder, most_bytes=most_bytes, sources=sources))


def body_of(load: StackLoad, path: str = "unet/config.json") -> bytes:
    return (Path(load.parts[0].root) / path).read_bytes()


def is_here(folder: Path, load: StackLoad) -> bool:
    return (folder / "snapshots" / load.stack.base.pin_id).is_dir()


def test_a_snapshot_is_brought_with_the_layout_of_its_repository(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"unet/config.json": b"{}", "model_index.json": b"[1]"})
    held = cache_of(tmp_path / "node", tmp_path / "share").hold(load)
    assert body_of(held.load) == b"{}"
    assert verify_files(held.load.parts[0].root, load.stack.base.files) == ()
    assert list((tmp_path / "node/drafts").iterdir()) == []
    held.release()


def test_a_folder_that_is_there_anyway_is_taken_as_it_is(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"a"})
    load = replace(load, parts=(replace(load.parts[0], root=str(tmp_path)),))
    assert cache_of(tmp_path / "node").hold(load).load == load
    assert not (tmp_path / "node").exists()


def test_a_file_that_two_pins_have_lies_there_once_and_stays_while_one_has_it(tmp_path):
    fox = stocked(tmp_path / "share", "fox", {"text": b"t" * 400, "a": b"f" * 100})
    owl = stocked(tmp_path / "share", "owl", {"text": b"t" * 400, "a": b"o" * 100})
    emu = stocked(tmp_path / "share", "emu", {"a": b"e" * 450})
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    cache.hold(fox).release()
    held = cache.hold(owl)
    assert cache.bytes_held() == 600
    cache.hold(emu).release()
    assert (is_here(tmp_path / "node", fox), cache.bytes_held()) == (False, 950)
    assert body_of(held.load, "text") == b"t" * 400


def test_what_was_used_longest_ago_makes_room_and_what_is_held_does_not(tmp_path):
    fox, owl, emu, elk = loads = [
        stocked(tmp_path / "share", name, {"a": name.encode() * 100}) for name in ("fox", "owl", "emu", "elk")
    ]
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    held = cache.hold(fox)
    for age, load in enumerate((fox, owl, emu)):
        cache.hold(load).release()
        os.utime(tmp_path / "node/held" / load.stack.base.pin_id, (age, age))
    cache.hold(elk).release()
    assert [is_here(tmp_path / "node", load) for load in loads] == [True, False, True, True]
    held.release()
    cache.hold(owl).release()
    assert [is_here(tmp_path / "node", load) for load in loads] == [False, True, True, True]
    assert cache.bytes_held() == 900


def test_one_pin_mended_does_not_leave_the_damage_with_another(tmp_path):
    fox = stocked(tmp_path / "share", "fox", {"text": b"text", "a": b"fox"})
    owl = stocked(tmp_path / "share", "owl", {"text": b"text", "a": b"owl"})
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    damaged = cache.hold(fox)
    cache.hold(owl).release()
    (Path(damaged.load.parts[0].root) / "text").write_bytes(b"TEXT")
    damaged.release()
    for load in (fox, owl):
        held, _ = brought(load, cache, verify_files, hashed_files)
        assert body_of(held.load, "text") == b"text"


def test_a_model_that_finds_no_room_beside_what_is_held_is_refused_and_nothing_is_lost(tmp_path):
    fox = stocked(tmp_path / "share", "fox", {"a": b"f" * 700})
    owl = stocked(tmp_path / "share", "owl", {"a": b"o" * 700})
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    held = cache.hold(fox)
    with pytest.raises(StorageFault, match="house/owl"):
        cache.hold(owl)
    assert body_of(held.load, "a") == b"f" * 700
    held.release()
    cache.hold(owl)
    assert not is_here(tmp_path / "node", fox)


def hold_for_ever(folder: Path, load: StackLoad, ready: object) -> None:
    held = cache_of(folder, folder.parent / "share").hold(load)
    ready.set()
    multiprocessing.Event().wait()
    held.release()


def test_a_killed_worker_lets_go_of_what_it_held(tmp_path):
    fox = stocked(tmp_path / "share", "fox", {"a": b"f" * 700})
    owl = stocked(tmp_path / "share", "owl", {"a": b"o" * 700})
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    worker = spawn.Process(target=hold_for_ever, args=(tmp_path / "node", fox, ready), daemon=True)
    worker.start()
    assert ready.wait(60)
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    with pytest.raises(StorageFault):
        cache.hold(owl)
    worker.kill()
    worker.join()
    assert body_of(cache.hold(owl).load, "a") == b"o" * 700


def test_a_peer_that_has_other_bytes_or_none_only_costs_time(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox", "b": b"owl"})
    lying = tmp_path / "peer" / object_name(sha256_of(b"fox"))
    lying.parent.mkdir(parents=True)
    lying.write_bytes(b"FOX")
    held = cache_of(tmp_path / "node", tmp_path / "peer", tmp_path / "share").hold(load)
    assert (body_of(held.load, "a"), body_of(held.load, "b")) == (b"fox", b"owl")


def test_the_cache_of_a_node_is_a_peer_to_the_others(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox"})
    cache_of(tmp_path / "one", tmp_path / "share").hold(load).release()
    held = cache_of(tmp_path / "two", tmp_path / "one").hold(load)
    assert body_of(held.load, "a") == b"fox"


def test_a_fetch_that_broke_off_goes_on_and_what_broke_it_is_not_kept(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"foxes"})
    (tmp_path / "node/drafts").mkdir(parents=True)
    draft = tmp_path / "node/drafts" / f"{sha256_of(b'foxes')}.part"
    draft.write_bytes(b"fo")
    cache_of(tmp_path / "node", tmp_path / "share").hold(load).release()
    assert not draft.exists()
    other = stocked(tmp_path / "share", "owl", {"a": b"owls!"})
    (tmp_path / "node/drafts" / f"{sha256_of(b'owls!')}.part").write_bytes(b"OW")
    held = cache_of(tmp_path / "node", tmp_path / "share").hold(other)
    assert body_of(held.load, "a") == b"owls!"


def test_what_a_killed_worker_left_half_linked_takes_no_room(tmp_path):
    fox = stocked(tmp_path / "share", "fox", {"a": b"f" * 700})
    owl = stocked(tmp_path / "share", "owl", {"a": b"o" * 700})
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    cache.hold(fox).release()
    left = tmp_path / "node/drafts/left"
    left.mkdir()
    (left / "a").hardlink_to(tmp_path / "node" / object_name(sha256_of(b"f" * 700)))
    (tmp_path / "node/drafts" / f"{'e' * 64}.part").write_bytes(b"e" * 700)
    held = cache.hold(owl)
    assert body_of(held.load, "a") == b"o" * 700
    assert cache.bytes_held() == 700
    assert list((tmp_path / "node/drafts").iterdir()) == []


def test_a_peer_may_be_any_web_server_in_front_of_a_cache(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox", "b": b"owl"})
    cache_of(tmp_path / "one", tmp_path / "share").hold(load).release()
    serving = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "one"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serving) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        peer = StoreAddress(url=f"http://127.0.0.1:{server.server_address[1]}")
        cache = ModelCache(ModelCacheOptions(folder=tmp_path / "two", most_bytes=1000, sources=(peer,)))
        held = cache.hold(load)
        with pytest.raises(StorageFault, match="has none"):
            cache.hold(stocked(tmp_path / "share", "emu", {"a": b"emu"}))
        server.shutdown()
        thread.join()
    assert (body_of(held.load, "a"), body_of(held.load, "b")) == (b"fox", b"owl")


def test_workers_of_a_node_that_want_one_model_at_once_bring_it_once(s3, tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox", "b": b"owl"})
    for body in (b"fox", b"owl"):
        s3.objects[f"night/{object_name(sha256_of(body))}"] = body
    options = ModelCacheOptions(folder=tmp_path / "node", most_bytes=1000, sources=(s3.address(),))
    with ThreadPoolExecutor(6) as workers:
        held = list(workers.map(lambda _: ModelCache(options).hold(load), range(6)))
    assert {body_of(one.load, "a") for one in held} == {b"fox"}
    assert s3.count("get") == 2


def test_a_torn_file_is_found_and_a_changed_one_is_hashed_and_brought_again(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox", "b": b"owl"})
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    held = cache.hold(load)
    held.release()
    os.truncate(Path(held.load.parts[0].root) / "a", 1)
    (Path(held.load.parts[0].root) / "b").write_bytes(b"OWL")
    again, loaded = brought(load, cache, verify_files, hashed_files)
    assert (body_of(again.load, "a"), body_of(again.load, "b")) == (b"fox", b"owl")
    assert loaded == (("house/fox/a", sha256_of(b"fox")), ("house/fox/b", sha256_of(b"owl")))


@pytest.mark.parametrize("path", ["../../outside", "/outside", "a//b", "."])
def test_a_pin_whose_paths_lead_out_of_its_folder_is_refused_before_anything_is_brought(tmp_path, path):
    load = stocked(tmp_path / "share", "fox", {path: b"fox"})
    cache = cache_of(tmp_path / "node", tmp_path / "share")
    with pytest.raises(IntegrityFault, match="house/fox"):
        brought(load, cache, verify_files, hashed_files)
    assert not (tmp_path / "node/models").exists()


def test_without_a_cache_a_damaged_stack_is_a_fault_as_ever(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox"})
    with pytest.raises(IntegrityFault):
        brought(load, None, verify_files, hashed_files)


def test_what_nobody_has_is_a_fault_of_storage_that_says_whom_it_asked(tmp_path):
    load = stocked(tmp_path / "share", "fox", {"a": b"fox"})
    with pytest.raises(StorageFault, match="elsewhere has none"):
        cache_of(tmp_path / "node", tmp_path / "elsewhere").hold(load)
    assert not is_here(tmp_path / "node", load)
