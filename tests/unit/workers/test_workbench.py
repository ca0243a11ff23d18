import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from policy.errors import RenderFault
from policy.tasks import BatchResult, FaultKind
from tests.factories import make_stack
from tests.unit.workers.batches import make_bench, make_load, make_shot_task, make_task
from workers.artefacts import ArtefactStore
from workers.finishing import quantised
from workers.marking import read_marking
from workers.renderer import Rendered, RendererKind, RenderOptions, make_renderer
from workers.synthetic import SyntheticRenderer

SYNTHETIC = RenderOptions(kind=RendererKind.SYNTHETIC)


@dataclass
class Changed:
    detail: str


class Faulty(SyntheticRenderer):
    """The synthetic renderer with one thing wrong."""

    def __init__(self, spoil=None, load_fault=None, render_fault=None):
        super().__init__(SYNTHETIC)
        self.spoil, self.load_fault, self.render_fault = spoil, load_fault, render_fault
        self.loads = 0

    def load(self, load):
        self.loads += 1
        if self.load_fault:
            raise self.load_fault
        super().load(load)

    def render(self, task, on_step, since=None) -> Rendered:
        if self.render_fault:
            raise self.render_fault
        rendered = super().render(task, on_step, since)
        return self.spoil(rendered) if self.spoil else rendered


def faults(results: list[BatchResult]) -> list[FaultKind | None]:
    return [take.fault for result in results for take in result.takes]


def test_pictures_are_stored_marked_and_attested(tmp_path):
    (result,) = make_bench(tmp_path).run([make_task()])
    assert faults([result]) == [None, None]
    for shot, take in zip(make_task().shots, result.takes, strict=True):
        assert take.take_id == shot.take_id
        marking = read_marking(Path(take.artefact.path))
        assert (marking.shot_key, marking.stack_id) == (shot.shot_key, make_stack().stack_id)
        statement = json.loads(Path(take.provenance.path).read_bytes())
        assert statement["subject"][0]["digest"]["sha256"] == take.artefact.sha256
        assert 0 <= take.figures.saturation <= 1


def test_a_synthetic_frame_is_marked_as_one(tmp_path):
    (result,) = make_bench(tmp_path).run([make_task()])
    assert read_marking(Path(result.takes[0].artefact.path)).is_synthetic


def test_the_same_task_makes_the_same_bytes_on_another_bench(tmp_path):
    results = [next(make_bench(tmp_path / name).run([make_task()])) for name in ("one", "other")]
    first, second = ([take.artefact.sha256 for take in result.takes] for result in results)
    assert first == second
    assert len(set(first)) == 2


def test_results_come_in_the_order_of_the_tasks(tmp_path):
    tasks = [make_task(number) for number in range(30)]
    results = list(make_bench(tmp_path).run(tasks))
    assert [result.task_id for result in results] == [task.task_id for task in tasks]


def test_a_stack_is_loaded_once_and_held(tmp_path):
    renderer = Faulty()
    results = list(make_bench(tmp_path, renderer=renderer).run([make_task(0), make_task(1)]))
    assert renderer.loads == 1
    assert results[0].load_seconds > 0
    assert results[1].load_seconds == 0
    other = make_task(2, load=make_load(stack=make_stack(dtype="float16")))
    list(make_bench(tmp_path, renderer=renderer).run([other, make_task(3)]))
    assert renderer.loads == 3


def test_what_was_loaded_is_what_was_hashed_on_this_worker(tmp_path):
    def hashed_here(_root, files):
        return tuple((file.path, "f" * 64) for file in files)

    (result,) = make_bench(tmp_path, digests=hashed_here).run([make_task()])
    assert {sha256 for _, sha256 in result.loaded} == {"f" * 64}
    assert [name for name, _ in result.loaded] == [
        f"{pin.repo}/{file.path}" for pin in make_stack().pins for file in pin.files
    ]


def test_nothing_is_loaded_from_files_that_are_not_as_pinned(tmp_path):
    renderer = Faulty()
    bench = make_bench(
        tmp_path, renderer=renderer, verify=lambda _root, _files: (Changed("one byte of the unet changed"),)
    )
    (result,) = bench.run([make_task()])
    assert renderer.loads == 0
    assert faults([result]) == [FaultKind.WORKER] * 2
    assert "one byte of the unet changed" in result.takes[0].detail
    assert result.loaded == ()


def test_a_picture_that_is_not_a_number_fails_its_own_take_only(tmp_path):
    def one_nan(rendered: Rendered) -> Rendered:
        pictures = rendered.pictures.copy()
        pictures[1, 3, 3, 0] = np.nan
        return replace(rendered, pictures=pictures)

    (result,) = make_bench(tmp_path, renderer=Faulty(one_nan)).run([make_task(shots=3)])
    assert faults([result]) == [None, FaultKind.SHOT, None]
    assert "not finite" in result.takes[1].detail
    assert result.takes[1].artefact is None


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda rendered: replace(rendered, pictures=rendered.pictures[:, :8]), [FaultKind.SHOT] * 2),
        (lambda rendered: replace(rendered, pictures=rendered.pictures[:1]), [None, FaultKind.WORKER]),
    ],
    ids=["wrong size", "too few"],
)
def test_pictures_of_the_wrong_size_or_number_never_count(tmp_path, spoil, expected):
    (result,) = make_bench(tmp_path, renderer=Faulty(spoil)).run([make_task()])
    assert faults([result]) == expected


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (RenderFault("the LoRA did not land", "use another"), FaultKind.SHOT),
        (RuntimeError("device lost"), FaultKind.WORKER),
        (MemoryError("no more"), FaultKind.WORKER),
    ],
)
@pytest.mark.parametrize("moment", ["load_fault", "render_fault"])
def test_a_failure_is_blamed_on_the_shot_or_on_the_worker(tmp_path, fault, kind, moment):
    bench = make_bench(tmp_path, renderer=Faulty(**{moment: fault}))
    (result,) = bench.run([make_task()])
    assert faults([result]) == [kind] * 2
    assert str(fault.args[0]) in result.takes[0].detail


def test_a_failed_batch_does_not_stop_the_next(tmp_path):
    refused = make_task(0, load=make_load(stack=make_stack(name="other", dtype="float16")))
    renderer = Faulty()
    bench = make_bench(
        tmp_path,
        renderer=renderer,
        verify=lambda root, _files: (Changed("changed"),) if root == "/changed" else (),
    )
    parts = tuple(replace(part, root="/changed") for part in refused.load.parts)
    refused = replace(refused, load=replace(refused.load, parts=parts))
    assert faults(list(bench.run([refused, make_task(1)]))) == [FaultKind.WORKER] * 2 + [None] * 2


def test_a_kept_picture_is_computed_for_the_bits_but_not_stored_again(tmp_path):
    task = make_task(reuse=("take-0",))
    (result,) = make_bench(tmp_path).run([task])
    assert [take.take_id for take in result.takes] == ["take-1"]
    assert len(list(tmp_path.glob("*/*.png"))) == 1
    (whole,) = make_bench(tmp_path / "whole").run([make_task()])
    assert result.takes[0].artefact.sha256 == whole.takes[1].artefact.sha256


def test_cancelling_stops_at_the_next_step_and_keeps_nothing_of_the_batch(tmp_path):
    renderer = make_renderer(replace(SYNTHETIC, seconds_per_step=0.05))
    bench = make_bench(tmp_path, renderer=renderer)
    tasks = [make_task(number, steps=1000) for number in range(3)]
    results: list[BatchResult] = []
    thread = threading.Thread(target=lambda: results.extend(bench.run(tasks)))
    thread.start()
    while bench.progress().steps_done < 1:
        thread.join(timeout=0.01)
    bench.cancel()
    thread.join(timeout=10)
    assert faults(results) == [FaultKind.CANCELLED] * 6
    assert bench.progress().steps_done < 100
    assert list(tmp_path.glob("*/*.png")) == []


def test_progress_counts_steps_and_takes(tmp_path):
    bench = make_bench(tmp_path)
    assert bench.progress().stage == "idle"
    list(bench.run([make_task(0), make_task(1)]))
    assert (bench.progress().steps_done, bench.progress().takes_done) == (4, 4)
    assert bench.progress().stack_id == make_stack().stack_id


def test_a_halved_batch_is_reported_since_its_bits_are_another_batchs(tmp_path):
    renderer = Faulty(lambda rendered: replace(rendered, parts=2))
    (result,) = make_bench(tmp_path, renderer=renderer).run([make_task()])
    assert ("batch_parts", "2") in result.versions


def test_floats_become_bytes_by_rounding():
    assert quantised(np.array([0.0, 0.4999 / 255, 0.5001 / 255, 1.0], np.float32)).tolist() == [0, 0, 1, 255]


def test_a_full_disk_fails_the_shots_that_did_not_fit_and_nothing_else(full_disk):
    bench = make_bench(full_disk.folder)
    with full_disk.filled():
        (failed,) = bench.run([make_task(0)])
        assert faults([failed]) == [FaultKind.STORAGE] * 2
        assert "The disk is full" in failed.takes[0].detail
        assert not list((full_disk.folder / "tmp").glob("*")), "nothing half-written stays"
    (kept,) = bench.run([make_task(1)])
    assert faults([kept]) == [None, None]
    assert all(ArtefactStore(full_disk.folder).has(take.artefact.sha256) for take in kept.takes)


def test_shots_differ_by_prompt_negative_and_seed(tmp_path):
    shots = (
        make_shot_task(0, prompt="a fox", seed=1),
        make_shot_task(1, prompt="an owl", seed=1),
        make_shot_task(2, prompt="a fox", seed=2),
        make_shot_task(3, prompt="a fox", seed=1, negative="red"),
    )
    renderer = SyntheticRenderer(SYNTHETIC)
    renderer.load(make_load())
    pictures = renderer.render(replace(make_task(), shots=shots), lambda _step: None).pictures
    assert len({picture.tobytes() for picture in pictures}) == 4
