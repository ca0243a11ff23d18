"""What waits with the same key goes together, on a real bench with the synthetic renderer."""

import io
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from policy.previews import StepReport
from policy.tasks import BatchResult, FaultKind, RenderTask, ServedBatch
from tests.unit.workers.batches import make_task, no_faults, pinned_digests
from workers.artefacts import ArtefactStore
from workers.batcher import Batcher, Follower, Ticket, batch_key, next_batch
from workers.picture_bench import BatchWatch, PictureBench, PictureBenchOptions
from workers.renderer import RendererKind, RenderOptions
from workers.workbench import BenchOptions

SECONDS = 60


def ticket(number: int, *, shots: int = 1, cap: int = 8, **changes: object) -> Ticket:
    return Ticket(task=make_task(number, shots, **changes), cap=cap, since=0.0)


class Gate:
    """A bench that waits at its door until the test lets it in: what comes meanwhile queues."""

    def __init__(self, bench: PictureBench) -> None:
        self.bench = bench
        self.is_at_the_door = threading.Semaphore(0)
        self.may_go = threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def render(self, tasks: Sequence[RenderTask], watch: BatchWatch) -> tuple[Future[BatchResult], ...]:
        self.batches.append([task.task_id for task in tasks])
        self.is_at_the_door.release()
        assert self.may_go.acquire(timeout=SECONDS)
        return self.bench.render(tasks, watch)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    options = BenchOptions(
        store=tmp_path,
        verify=no_faults,
        digests=pinned_digests,
        render=RenderOptions(kind=RendererKind.SYNTHETIC),
    )
    return Gate(PictureBench(PictureBenchOptions(bench=options, stacks=2)))


@pytest.fixture
def batcher(gate: Gate) -> Iterator[Batcher]:
    opened = Batcher(gate.render)
    yield opened
    for _ in range(100):
        gate.may_go.release()
    opened.close()


def numbers(batch: Sequence[Ticket]) -> list[str]:
    return [one.task.task_id for one in batch]


def test_the_oldest_goes_first_with_everything_of_its_kind():
    waiting = [ticket(0), ticket(1, steps=8), ticket(2), ticket(3, width=32), ticket(4)]
    assert numbers(next_batch(waiting)) == ["task-0", "task-2", "task-4"]


def test_nobodys_cap_is_overstepped():
    assert numbers(next_batch([ticket(0, shots=2, cap=4), ticket(1, shots=3), ticket(2, shots=2)])) == [
        "task-0",
        "task-2",
    ]
    assert numbers(next_batch([ticket(0), ticket(1, cap=2), ticket(2)])) == ["task-0", "task-1"]
    assert numbers(next_batch([ticket(0, shots=6, cap=4)])) == ["task-0"]


@pytest.mark.parametrize(
    "changes",
    [{"steps": 8}, {"width": 32}, {"preset": "another"}, {"preset_version": 2}, {"guidance": ()}],
)
def test_a_key_is_everything_that_the_forward_passes_share(changes: dict[str, object]):
    assert batch_key(make_task(0, **changes)) != batch_key(make_task(0))
    assert batch_key(make_task(1)) == batch_key(make_task(0, shots=5))


def test_an_idle_bench_waits_for_nobody_and_what_queues_meanwhile_goes_together(batcher: Batcher, gate: Gate):
    first = batcher.submit(make_task(0, 1), 8)
    assert gate.is_at_the_door.acquire(timeout=SECONDS)
    others = [batcher.submit(make_task(number, 1), 8) for number in (1, 2, 3)]
    for _ in range(2):
        gate.may_go.release()
    assert first.answer.result(SECONDS).pictures == 1
    assert [other.answer.result(SECONDS).pictures for other in others] == [3, 3, 3]
    assert gate.batches == [["task-0"], ["task-1", "task-2", "task-3"]]


def test_each_caller_gets_its_own_pictures_and_its_share_of_the_seconds(
    batcher: Batcher, gate: Gate, tmp_path: Path
):
    batcher.submit(make_task(9, 1, steps=3), 8)
    assert gate.is_at_the_door.acquire(timeout=SECONDS)
    asked = [batcher.submit(make_task(1, 1), 8), batcher.submit(make_task(2, 2), 8)]
    for _ in range(2):
        gate.may_go.release()
    small, large = (one.answer.result(SECONDS).result for one in asked)
    assert [take.take_id for take in small.takes] == ["take-100"]
    assert [take.take_id for take in large.takes] == ["take-200", "take-201"]
    store = ArtefactStore(tmp_path)
    digests = {take.artefact.sha256 for result in (small, large) for take in result.takes if take.artefact}
    assert len(digests) == 3
    assert all(store.has(sha256) for sha256 in digests)
    assert large.denoise_seconds == pytest.approx(2 * small.denoise_seconds)
    assert ("batch_pictures", "3") in small.versions
    assert small.rows == 0  # it is no measure of a batch of its size


def test_whoever_leaves_the_queue_is_not_rendered(batcher: Batcher, gate: Gate):
    batcher.submit(make_task(0, 1), 8)
    assert gate.is_at_the_door.acquire(timeout=SECONDS)
    gone, stays = batcher.submit(make_task(1, 1), 8), batcher.submit(make_task(2, 1), 8)
    batcher.leave(gone)
    for _ in range(2):
        gate.may_go.release()
    stays.answer.result(SECONDS)
    assert gone.answer.cancelled()
    assert gate.batches == [["task-0"], ["task-2"]]


def test_a_batch_that_nobody_waits_for_stops_and_one_that_somebody_does_goes_on(batcher: Batcher, gate: Gate):
    alone = batcher.submit(make_task(0, 1), 8)
    assert gate.is_at_the_door.acquire(timeout=SECONDS)
    gone, stays = batcher.submit(make_task(1, 1), 8), batcher.submit(make_task(2, 1), 8)
    batcher.leave(alone)
    gate.may_go.release()
    assert gate.is_at_the_door.acquire(timeout=SECONDS)
    batcher.leave(gone)
    gate.may_go.release()
    (stopped,) = alone.answer.result(SECONDS).result.takes
    (made,) = stays.answer.result(SECONDS).result.takes
    assert (stopped.fault, made.fault) == (FaultKind.CANCELLED, None)


def test_a_follower_is_told_of_every_step_in_order_and_shown_its_own_pictures(batcher: Batcher, gate: Gate):
    told: list[StepReport | ServedBatch] = []
    batcher.submit(make_task(0, 1, steps=3), 8)
    assert gate.is_at_the_door.acquire(timeout=SECONDS)
    batcher.submit(make_task(1, 1, steps=4), 8)
    followed = batcher.submit(
        make_task(2, 2, steps=4), 8, Follower(tell=told.append, shown_after=frozenset({2}))
    )
    followed.answer.add_done_callback(lambda answer: told.append(answer.result()))
    for _ in range(2):
        gate.may_go.release()
    served = followed.answer.result(SECONDS)
    assert gate.batches[1] == ["task-1", "task-2"]
    *steps, last = told
    assert last is served
    assert [
        (step.done, step.steps, len(step.previews)) for step in steps if isinstance(step, StepReport)
    ] == [
        (1, 4, 0),
        (2, 4, 2),
        (3, 4, 0),
        (4, 4, 0),
    ]
    previews = [step.previews for step in steps if isinstance(step, StepReport)][1]
    kept = [Path(take.artefact.path).read_bytes() for take in served.result.takes if take.artefact]
    for preview, whole in zip(previews, kept, strict=True):
        shown, made = (Image.open(io.BytesIO(body)) for body in (preview, whole))
        assert shown.info["rightstep:preview"] == "2/4"
        assert shown.info["rightstep:shot_key"] == made.info["rightstep:shot_key"]
        assert shown.tobytes() == made.tobytes()  # a synthetic picture is finished from the start


def test_a_bench_that_breaks_its_word_does_not_end_the_queue(tmp_path: Path, gate: Gate):
    def render(tasks: Sequence[RenderTask], watch: BatchWatch) -> tuple[Future[BatchResult], ...]:
        if tasks[0].task_id == "task-0":
            raise OSError("the bench itself is broken")
        return gate.bench.render(tasks, watch)

    opened = Batcher(render)
    broken, sound = opened.submit(make_task(0), 8), opened.submit(make_task(1, steps=3), 8)
    with pytest.raises(OSError, match="broken"):
        broken.answer.result(SECONDS)
    assert len(sound.answer.result(SECONDS).result.takes) == 2
    opened.close()
