from dataclasses import replace
from pathlib import Path

import pytest

from policy.errors import StorageFault
from policy.stacks import FilePin, ModelPin
from policy.tasks import FaultKind, RenderTask
from registry.verification import hashed_files, sha256_file, verify_files
from tests.factories import make_model_pin, make_stack
from tests.local_s3.server import LocalS3
from tests.unit.workers.batches import make_load, make_task
from workers.model_cache import ModelCache, object_name
from workers.object_stores import ObjectStore
from workers.renderer import RendererKind, RenderOptions
from workers.store_addresses import ModelCacheOptions
from workers.workbench import Bench, BenchOptions, make_workbench


def published(s3: LocalS3, folder: Path, name: str) -> ModelPin:
    """A model of one file, 600 bytes, that lies in the store and on no node."""
    file = folder / name
    file.write_text(name * (600 // len(name)), encoding="ascii")
    pin = FilePin(path="config.json", sha256=sha256_file(file), size=file.stat().st_size)
    ObjectStore(s3.address()).put(object_name(pin.sha256), file, pin.sha256, folder / "journal")
    return replace(make_model_pin(), repo=f"house/{name}", files=(pin,))


def task_on(pin: ModelPin, number: int = 0) -> RenderTask:
    return make_task(number, load=make_load(stack=make_stack(base=pin)))


def node(s3: LocalS3, folder: Path) -> BenchOptions:
    address = s3.address()
    models = ModelCacheOptions(folder=folder / "models", most_bytes=1000, sources=(address,))
    return BenchOptions(
        store=folder / "artefacts",
        verify=verify_files,
        digests=hashed_files,
        render=RenderOptions(kind=RendererKind.SYNTHETIC),
        remote=address,
        store_bytes=1 << 30,
        models=models,
    )


def faults_of(bench: Bench, *tasks: RenderTask) -> list[FaultKind | None]:
    return [take.fault for result in bench.run(tasks) for take in result.takes]


def test_a_node_with_nothing_but_the_store_renders_and_what_it_makes_is_there(s3, tmp_path):
    pin = published(s3, tmp_path, "fox")
    bench = make_workbench(node(s3, tmp_path / "node"))
    (result,) = bench.run([task_on(pin)])
    assert result.loaded == (("house/fox/config.json", pin.files[0].sha256),)
    made = [ref.sha256 for take in result.takes for ref in (take.artefact, take.provenance)]
    assert len(made) == 4
    stored = {key.rpartition("/")[2].partition(".")[0] for key in s3.objects if "/artefacts/" in key}
    assert stored == set(made)


def test_what_is_resident_is_held_until_another_stack_is(s3, tmp_path):
    fox, owl = (published(s3, tmp_path, name) for name in ("fox", "owl"))
    options = node(s3, tmp_path / "node")
    bench = make_workbench(options)
    assert faults_of(bench, task_on(fox)) == [None, None]
    beside = ModelCache(options.models)
    with pytest.raises(StorageFault, match="house/owl"):
        beside.hold(task_on(owl).load)
    assert faults_of(bench, task_on(owl, 1)) == [None, None]
    with pytest.raises(StorageFault, match="house/fox"):
        beside.hold(task_on(fox).load)


def test_a_store_that_is_down_is_a_fault_of_storage_and_of_no_shot(s3, tmp_path):
    pin = published(s3, tmp_path, "fox")
    bench = make_workbench(node(s3, tmp_path / "node"))
    s3.is_down = True
    assert faults_of(bench, task_on(pin)) == [FaultKind.STORAGE, FaultKind.STORAGE]
    s3.is_down = False
    assert faults_of(bench, task_on(pin)) == [None, None]
