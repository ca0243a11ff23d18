"""A bench that makes room between two steps, and the next one that goes on from there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy.errors import FormatFault, StorageFault
from policy.tasks import BatchResult, FaultKind, RenderTask
from tests.unit.workers.batches import make_bench, make_task
from workers.renderer import RendererKind, RenderOptions, Snapshot, Step
from workers.snapshot_files import FORGOTTEN_SECONDS, SnapshotFolder
from workers.synthetic import SyntheticRenderer
from workers.workbench import Workbench

TASK = make_task(steps=6)


class Counting(SyntheticRenderer):
    """The synthetic renderer with a count of its steps, and a word at one of them."""

    def __init__(self, options: RenderOptions | None = None) -> None:
        super().__init__(options or RenderOptions(kind=RendererKind.SYNTHETIC))
        self.made: list[int] = []
        self.at, self.word = 0, lambda: None

    def render(self, task: RenderTask, on_step: Any, since: Snapshot | None = None) -> Any:
        if since is not None and since.content:
            raise FormatFault("This is no snapshot of mine.")

        def counted(step: Step) -> None:
            self.made.append(step.done)
            if step.done == self.at:
                self.word()
            on_step(step)

        return super().render(task, counted, since)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def bench_on(tmp_path: Path, renderer: Counting, folder: Path) -> Workbench:
    return make_bench(tmp_path / "store", renderer=renderer, snapshots=SnapshotFolder(folder))


def set_aside(tmp_path: Path, folder: Path, *tasks: RenderTask) -> tuple[list[BatchResult], Counting]:
    renderer = Counting()
    bench = bench_on(tmp_path, renderer, folder)
    renderer.at, renderer.word = 2, bench.set_aside
    return list(bench.run(tasks or [TASK])), renderer


def faults(results: list[BatchResult]) -> list[FaultKind | None]:
    return [take.fault for result in results for take in result.takes]


def test_a_batch_makes_room_at_the_next_step_and_goes_on_from_there_on_another_bench(
    tmp_path: Path, folder: Path
):
    results, before = set_aside(tmp_path, folder, TASK, make_task(1))
    assert faults(results) == [FaultKind.CANCELLED] * 4, "nobody is to blame, and nothing more is begun"
    assert results[0].takes[0].detail == "Set aside after 2 steps."
    assert before.made == [1, 2]
    after = Counting()
    (result,) = bench_on(tmp_path, after, folder).run([TASK])
    assert faults([result]) == [None, None]
    assert after.made == [3, 4, 5, 6]
    whole = Counting()
    (expected,) = make_bench(tmp_path / "other", renderer=whole).run([TASK])
    assert [take.artefact.sha256 for take in result.takes if take.artefact] == [
        take.artefact.sha256 for take in expected.takes if take.artefact
    ]
    assert list(folder.iterdir()) == [], "what is made waits no more"


def test_what_a_batch_took_counts_once_and_where_it_is_made(tmp_path: Path, folder: Path):
    slow = RenderOptions(kind=RendererKind.SYNTHETIC, seconds_per_step=0.05)
    first = Counting(slow)
    bench = bench_on(tmp_path, first, folder)
    first.at, first.word = 4, bench.set_aside
    (aside,) = bench.run([TASK])
    (made,) = bench_on(tmp_path, Counting(slow), folder).run([TASK])
    assert made.denoise_seconds >= 6 * 0.05
    assert made.total_seconds >= made.denoise_seconds, "a measure of the whole batch"
    assert aside.denoise_seconds == 0.0, "and what was set aside is none"


def test_another_composition_of_a_batch_is_another_batch(tmp_path: Path, folder: Path):
    set_aside(tmp_path, folder)
    after = Counting()
    turned = replace(TASK, shots=tuple(reversed(TASK.shots)))
    list(bench_on(tmp_path, after, folder).run([turned]))
    assert after.made == [1, 2, 3, 4, 5, 6]


def test_a_torn_or_foreign_snapshot_is_as_good_as_none(tmp_path: Path, folder: Path):
    for spoilt in (b"", b"{}\n", b'{"steps": 2, "seconds": 1.0, "bytes": 4}\nxyz!', b'{"steps": 2}\n'):
        set_aside(tmp_path, folder)
        (kept,) = folder.iterdir()
        kept.write_bytes(spoilt)
        after = Counting()
        (result,) = bench_on(tmp_path, after, folder).run([TASK])
        assert faults([result]) == [None, None]
        assert after.made == [1, 2, 3, 4, 5, 6]


def test_a_batch_that_cannot_be_kept_is_rendered_to_its_end(tmp_path: Path):
    renderer = Counting()
    bench = make_bench(tmp_path / "store", renderer=renderer)
    renderer.at, renderer.word = 2, bench.set_aside
    assert faults(list(bench.run([TASK, make_task(1)]))) == [None, None, *[FaultKind.CANCELLED] * 2]


def test_a_cancelled_batch_is_not_kept(tmp_path: Path, folder: Path):
    renderer = Counting()
    bench = bench_on(tmp_path, renderer, folder)
    renderer.at, renderer.word = 2, bench.cancel
    list(bench.run([TASK]))
    assert not list(folder.glob("*"))


def test_a_disk_that_takes_no_snapshot_is_a_fault_of_the_disk(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    place = SnapshotFolder(tmp_path / "file").place_of(TASK, "cpu-1")
    with pytest.raises(StorageFault, match="set aside"):
        place.keep(Snapshot(steps=1, seconds=0.0, content=b""))


def test_what_nobody_came_back_for_is_forgotten(tmp_path: Path, folder: Path):
    import os
    import time

    set_aside(tmp_path, folder)
    (kept,) = folder.iterdir()
    SnapshotFolder(folder)
    assert kept.exists()
    old = time.time() - FORGOTTEN_SECONDS - 60
    os.utime(kept, (old, old))
    SnapshotFolder(folder)
    assert not kept.exists()
