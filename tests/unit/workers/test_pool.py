"""The pool on stations of this process; the same claims are made on real Ray in the integration tests."""

import queue
import threading
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from policy.errors import ServiceFault, WrongUse
from policy.tasks import BatchResult, FaultKind, RenderTask
from tests.factories import make_batch_result, make_stack, make_take_result
from tests.unit.workers.batches import make_load, make_task
from workers.pool import DEAD_STARTS, PoolOptions, RenderPool, SeatGroup
from workers.routing import INCIDENTS, UNTOLD, Forecast
from workers.stations import StationFault, StationLost, WorkerIdentity
from workers.workbench import BenchProgress


def done(task: RenderTask, fault: FaultKind | None = None) -> BatchResult:
    takes = tuple(make_take_result(shot.take_id, shot.shot_key, fault=fault) for shot in task.shots)
    return make_batch_result(task_id=task.task_id, takes=takes)


class Worker:
    """A station whose chunks go on only when the test says what becomes of them."""

    numbers = count(1)

    def __init__(self) -> None:
        self.name = f"here:{next(self.numbers)}"
        self.begun: queue.Queue[Sequence[RenderTask]] = queue.Queue()
        self.fate: queue.Queue[object] = queue.Queue()
        self.lane = threading.Lock()
        self.dead = threading.Event()
        self.cancelled = threading.Event()
        self.aside = threading.Event()
        self.is_closed = False
        self.stands = True
        self.steps = 0

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        while not self.lane.acquire(timeout=0.01):
            if self.dead.is_set():
                raise StationLost("The worker process died: killed.")
        try:
            self.begun.put(tasks)
            for task in tasks:
                fate = self.fate.get(timeout=30)
                if isinstance(fate, StationLost):
                    self.dead.set()
                if isinstance(fate, Exception):
                    raise fate
                self.steps += task.steps
                yield [fate(task)] if callable(fate) else []
        finally:
            if not self.dead.is_set():
                self.lane.release()

    def identity(self, _seconds: float) -> WorkerIdentity | None:
        return WorkerIdentity(name=self.name, pid=1) if self.stands else None

    def progress(self, _seconds: float) -> BenchProgress | None:
        if self.dead.is_set():
            return None
        return BenchProgress(stage="rendering", stack_id="", steps_done=self.steps, takes_done=self.steps)

    def cancel(self) -> None:
        self.cancelled.set()

    def set_aside(self) -> None:
        self.aside.set()

    def close(self) -> None:
        self.is_closed = True


class House:
    """A pool, its workers in the order they were opened, and chunks sent from threads."""

    def __init__(self, workers: int = 1, **options) -> None:
        self.opened: list[Worker] = []
        self.slow_to_stand = False
        self.stages: list[str] = []
        self.pool = RenderPool(
            PoolOptions(workers=workers, make_bench=lambda: None, on_stage=self.stages.append, **options),
            self.open,
        )
        self.pool.start()

    def open(self, *_facts) -> Worker:
        self.opened.append(Worker())
        self.opened[-1].stands = not self.slow_to_stand
        return self.opened[-1]

    def send(self, *tasks: RenderTask, forecast: Forecast = UNTOLD) -> "Chunk":
        return Chunk(self.pool, tasks, forecast)

    def wait_for(self, condition) -> None:
        for _ in range(1000):
            if condition():
                return
            threading.Event().wait(0.01)
        pytest.fail("it never happened")


class Chunk:
    def __init__(self, pool: RenderPool, tasks: Sequence[RenderTask], forecast: Forecast = UNTOLD) -> None:
        self.results: list[BatchResult] = []
        self.thread = threading.Thread(
            target=lambda: self.results.extend(pool.run_chunk(tasks, forecast)), daemon=True
        )
        self.thread.start()

    def faults(self) -> list[FaultKind | None]:
        self.thread.join(timeout=30)
        assert not self.thread.is_alive()
        return [take.fault for result in self.results for take in result.takes]


def other_stack(number: int) -> RenderTask:
    return make_task(number, load=make_load(stack=make_stack(dtype="float16")))


LOST = StationLost("The worker process died: killed.")


def test_a_pool_of_nothing_is_refused():
    with pytest.raises(WrongUse):
        RenderPool(PoolOptions(workers=0, make_bench=lambda: None))


def test_a_chunk_of_two_stacks_is_refused():
    with pytest.raises(WrongUse, match="one stack"):
        House().pool.run_chunk([make_task(0), other_stack(1)])


def test_an_empty_chunk_asks_no_worker():
    house = House()
    assert house.pool.run_chunk([]) == []
    assert house.opened[0].begun.empty()


def test_every_task_is_answered_in_order():
    house = House()
    chunk = house.send(make_task(0), make_task(1))
    house.opened[0].fate.put(done)
    house.opened[0].fate.put(done)
    assert chunk.faults() == [None] * 4
    assert [result.task_id for result in chunk.results] == ["task-0", "task-1"]


def test_the_stack_stays_where_it_is():
    house = House(workers=2)
    for number in range(4):
        task = make_task(number) if number % 2 else other_stack(number)
        chunk = house.send(task)
        house.wait_for(lambda: any(not worker.begun.empty() for worker in house.opened))
        (worker,) = [worker for worker in house.opened if not worker.begun.empty()]
        worker.begun.get()
        worker.fate.put(done)
        chunk.faults()
    assert [record.batches for record in house.pool.workers()] == [2, 2]
    assert len({record.stack_id for record in house.pool.workers()}) == 2


def test_two_chunks_are_in_flight_per_worker_and_the_third_waits():
    house = House()
    chunks = [house.send(make_task(number)) for number in range(3)]
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 2)
    for _ in chunks:
        house.opened[0].fate.put(done)
    assert [chunk.faults() for chunk in chunks] == [[None, None]] * 3


def test_what_a_dead_worker_delivered_counts_and_the_rest_is_its_fault():
    house = House()
    name = house.opened[0].name
    chunk = house.send(make_task(0), make_task(1))
    house.opened[0].fate.put(done)
    house.opened[0].fate.put(LOST)
    assert chunk.faults() == [None, None, FaultKind.WORKER, FaultKind.WORKER]
    assert chunk.results[1].worker == name
    assert "died" in chunk.results[1].takes[0].detail
    assert len(house.opened) == 2
    assert house.pool.workers()[0].deaths == 1
    assert house.stages[-1] == "worker 1 died and is replaced"


def test_a_chunk_that_only_queued_at_a_dead_worker_goes_to_its_successor():
    house = House()
    first = house.send(make_task(0))
    house.opened[0].begun.get(timeout=10)
    second = house.send(make_task(1))
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 2)
    house.opened[0].fate.put(LOST)
    assert first.faults() == [FaultKind.WORKER] * 2
    house.wait_for(lambda: len(house.opened) == 2)
    house.opened[1].fate.put(done)
    assert second.faults() == [None, None]


def test_progress_never_falls_when_a_worker_dies():
    house = House()
    house.opened[0].steps = 7
    assert house.pool.progress().steps_done == 7
    chunk = house.send(make_task())
    house.opened[0].fate.put(LOST)
    chunk.faults()
    assert house.pool.progress().steps_done == 7
    house.opened[1].steps = 2
    assert house.pool.progress().steps_done == 9


def test_a_failing_call_is_the_workers_fault_without_a_death():
    house = House()
    chunk = house.send(make_task())
    house.opened[0].fate.put(StationFault("The call to the worker failed."))
    assert chunk.faults() == [FaultKind.WORKER] * 2
    assert len(house.opened) == 1


def test_a_worker_that_keeps_failing_a_stack_may_not_take_it_again():
    house = House()
    for number in range(INCIDENTS):
        chunk = house.send(make_task(number))
        house.opened[0].fate.put(lambda task: done(task, FaultKind.WORKER))
        assert chunk.faults() == [FaultKind.WORKER] * 2
    refused = house.send(make_task(9))
    assert refused.faults() == [FaultKind.WORKER] * 2
    assert "No worker is left" in refused.results[0].takes[0].detail
    assert house.pool.workers()[0].blocked == (make_stack().stack_id,)
    another = house.send(other_stack(10))
    house.opened[0].fate.put(done)
    assert another.faults() == [None, None]


def test_a_success_forgives_what_went_before():
    house = House()
    for fault in [FaultKind.WORKER] * (INCIDENTS - 1) + [None] + [FaultKind.WORKER] * (INCIDENTS - 1):
        chunk = house.send(make_task())
        house.opened[0].fate.put(lambda task, fault=fault: done(task, fault))
        chunk.faults()
    assert house.pool.workers()[0].blocked == ()


def test_processes_that_die_at_once_again_and_again_close_the_seat():
    house = House()
    for number in range(DEAD_STARTS):
        chunk = house.send(make_task(load=make_load(stack=make_stack(name=str(number)))))
        house.wait_for(lambda number=number: len(house.opened) == number + 1)
        house.opened[number].fate.put(LOST)
        assert chunk.faults() == [FaultKind.WORKER] * 2
    assert len(house.opened) == DEAD_STARTS
    assert house.pool.progress().workers_alive == 0
    assert house.send(make_task()).faults() == [FaultKind.WORKER] * 2


def test_cancelling_reaches_the_workers_and_ends_what_waits():
    house = House()
    chunks = [house.send(make_task(number)) for number in range(3)]
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 2)
    house.pool.cancel()
    assert house.opened[0].cancelled.is_set()
    for _ in range(2):
        house.opened[0].fate.put(lambda task: done(task, FaultKind.CANCELLED))
    assert [chunk.faults() for chunk in chunks] == [[FaultKind.CANCELLED] * 2] * 3


def test_stopping_closes_every_worker():
    house = House(workers=2)
    house.pool.stop()
    assert [worker.is_closed for worker in house.opened] == [True, True]
    assert house.send(make_task()).faults() == [FaultKind.CANCELLED] * 2


def test_a_worker_that_cannot_start_stops_the_pool_with_its_reason():
    class Stillborn(Worker):
        def identity(self, _seconds):
            raise StationLost("The worker process died: no module named torch.")

    opened: list[Worker] = []

    def open_one(*_facts):
        opened.append(Stillborn())
        return opened[-1]

    with pytest.raises(ServiceFault, match="did not start: The worker process died: no module named torch"):
        RenderPool(PoolOptions(workers=2, make_bench=lambda: None), open_one).start()
    assert all(worker.is_closed for worker in opened)


def test_a_worker_that_never_answers_stops_the_pool():
    class Silent(Worker):
        def identity(self, _seconds):
            return None

    with pytest.raises(ServiceFault, match="did not answer in time"):
        RenderPool(
            PoolOptions(workers=1, make_bench=lambda: None, start_seconds=0.1), lambda *_facts: Silent()
        ).start()


def unlike_house() -> House:
    """A quick worker, and a slow one beside it."""
    slow = SeatGroup(workers=1, make_bench=lambda: None, device="cpu-1")
    return House(workers=1, device="cpu-2", others=(slow,))


def test_workers_of_several_devices_sit_in_one_pool():
    house = unlike_house()
    assert [worker.device for worker in house.pool.workers()] == ["cpu-2", "cpu-1"]


def test_near_the_end_a_chunk_waits_for_the_quick_worker_and_the_slow_one_stands_idle():
    house = unlike_house()
    quick, slow = house.opened
    forecast = Forecast(seconds=(("cpu-2", 60.0), ("cpu-1", 600.0)))
    chunks = [house.send(make_task(number), forecast=forecast) for number in range(4)]
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 2)
    for _ in chunks:
        quick.begun.get(timeout=30)
        quick.fate.put(done)
    assert [chunk.faults() for chunk in chunks] == [[None, None]] * 4
    assert slow.begun.empty()


def test_while_much_is_to_come_the_slow_worker_helps():
    house = unlike_house()
    quick, slow = house.opened
    forecast = Forecast(seconds=(("cpu-2", 60.0), ("cpu-1", 600.0)), behind=1000)
    chunks = [house.send(make_task(number), forecast=forecast) for number in range(3)]
    for worker in (quick, slow):
        worker.begun.get(timeout=30)
        for _ in range(3):
            worker.fate.put(done)
    assert [chunk.faults() for chunk in chunks] == [[None, None]] * 3


def test_a_chunk_goes_only_to_devices_that_its_forecast_names():
    house = unlike_house()
    quick, slow = house.opened
    chunks = [
        house.send(make_task(number), forecast=Forecast(seconds=(("cpu-1", 1.0),), behind=9))
        for number in range(2)
    ]
    for _ in chunks:
        slow.begun.get(timeout=30)
        slow.fate.put(done)
    assert [chunk.faults() for chunk in chunks] == [[None, None]] * 2
    assert quick.begun.empty()


def test_a_drained_worker_ends_with_the_chunks_that_it_has_and_nobody_takes_its_seat():
    house = House(workers=2)
    first, second = house.opened
    sent = house.send(make_task(0))
    first.begun.get(timeout=10)
    assert house.pool.drain(first.name)
    assert not first.is_closed, "it has a chunk"
    others = [house.send(make_task(number)) for number in (1, 2)]
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 3)
    for worker, chunks in ((first, 1), (second, 2)):
        for _ in range(chunks):
            worker.fate.put(done)
    assert [chunk.faults() for chunk in (sent, *others)] == [[None, None]] * 3
    house.wait_for(lambda: first.is_closed)
    assert [record.batches for record in house.pool.workers()] == [1, 2]
    assert [(record.is_draining, record.is_gone) for record in house.pool.workers()] == [
        (True, True),
        (False, False),
    ]
    assert not house.pool.is_drained
    assert len(house.opened) == 2


def test_an_idle_worker_is_drained_at_once_and_a_name_that_is_none_drains_nobody():
    house = House(workers=2)
    assert not house.pool.drain("elsewhere:1")
    assert house.pool.drain(house.opened[0].name)
    assert house.opened[0].is_closed
    assert not house.pool.drain(house.opened[0].name), "it is gone"


def test_where_every_worker_was_drained_what_waits_comes_back_without_blame():
    house = House()
    first = house.send(make_task(0))
    house.opened[0].begun.get(timeout=10)
    house.send(make_task(1))
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 2)
    waiting = house.send(make_task(2))
    house.pool.drain(house.opened[0].name)
    assert waiting.faults() == [FaultKind.CANCELLED] * 2
    assert house.pool.is_drained
    house.opened[0].fate.put(done)
    house.opened[0].fate.put(done)
    assert first.faults() == [None, None]
    house.wait_for(lambda: house.opened[0].is_closed)


def test_a_worker_that_dies_while_it_is_drained_is_not_replaced():
    house = House(workers=2)
    chunk = house.send(make_task(0))
    house.opened[0].begun.get(timeout=10)
    house.pool.drain(house.opened[0].name)
    house.opened[0].fate.put(LOST)
    assert chunk.faults() == [FaultKind.WORKER] * 2
    assert len(house.opened) == 2


def test_chunks_that_are_set_aside_come_back_without_blame_and_nothing_is_begun_after_them():
    house = House()
    chunk = house.send(make_task(0))
    house.opened[0].begun.get(timeout=10)
    house.pool.set_aside()
    assert house.opened[0].aside.is_set()
    assert not house.opened[0].cancelled.is_set()
    house.opened[0].fate.put(lambda task: done(task, FaultKind.CANCELLED))
    assert chunk.faults() == [FaultKind.CANCELLED] * 2
    assert house.send(make_task(1)).faults() == [FaultKind.CANCELLED] * 2


def test_a_barred_worker_is_ended_and_its_chunks_go_to_others_without_blame():
    house = House(workers=2)
    first, second = house.opened
    chunks = [house.send(make_task(0)), house.send(make_task(1)), house.send(make_task(2))]
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 3)
    first.begun.get(timeout=10)
    assert not house.pool.bar(first.name), "it is restarted once"
    first.fate.put(LOST)
    for worker in (second, house.opened[2]):
        for _ in range(3):
            worker.fate.put(done)
    assert [chunk.faults() for chunk in chunks] == [[None, None]] * 3
    assert first.is_closed
    assert [one.deaths for one in house.pool.workers()] == [0, 0]


def test_what_a_barred_worker_had_delivered_counts_and_the_rest_is_nobodys_fault():
    house = House()
    worker = house.opened[0]
    chunk = house.send(make_task(0), make_task(1))
    worker.begun.get(timeout=10)
    worker.fate.put(done)
    house.wait_for(lambda: worker.steps)
    house.pool.bar(worker.name)
    worker.fate.put(LOST)
    assert chunk.faults() == [None, None, FaultKind.CANCELLED, FaultKind.CANCELLED]
    assert len(house.opened) == 2


def test_a_seat_is_closed_when_its_second_process_is_barred_and_opened_again_when_it_is_forgiven():
    house = House(workers=2)
    name = house.opened[0].name
    assert not house.pool.bar(name)
    again = house.opened[2].name
    house.pool.workers()  # it stands
    assert house.pool.bar(again)
    assert [one.is_gone for one in house.pool.workers()] == [True, False]
    assert not house.pool.readmit("elsewhere:1")
    assert house.pool.readmit(again)
    assert len(house.opened) == 4
    assert [one.is_gone for one in house.pool.workers()] == [False, False]
    assert not house.pool.workers()[0].was_restarted


def test_a_batch_that_failed_on_a_worker_is_tried_on_another_even_if_that_one_is_busy():
    house = House(workers=2)
    first, second = house.opened
    failed = house.send(make_task(0))
    first.begun.get(timeout=10)
    busy = house.send(make_task(1))
    second.begun.get(timeout=10)
    first.fate.put(lambda task: done(task, FaultKind.SHOT))
    failed.faults()
    again = house.send(make_task(0))
    house.wait_for(lambda: house.pool.progress().chunks_in_flight == 2)
    for _ in range(2):
        second.fate.put(done)
    assert [chunk.faults() for chunk in (busy, again)] == [[None, None]] * 2
    assert first.begun.empty()


def test_a_worker_that_was_replaced_takes_nothing_before_it_stands():
    house = House(workers=2, start_seconds=60.0)
    first, second = house.opened
    house.slow_to_stand = True
    chunk = house.send(make_task(0))
    first.begun.get(timeout=10)
    first.fate.put(LOST)
    chunk.faults()
    chunks = [house.send(make_task(number)) for number in (1, 2)]
    for _ in chunks:
        second.fate.put(done)
    assert [one.faults() for one in chunks] == [[None, None]] * 2
    assert house.opened[2].begun.empty()


def test_what_waits_for_workers_that_never_come_up_again_comes_back_without_blame():
    house = House(start_seconds=0.3)
    house.slow_to_stand = True
    chunk = house.send(make_task(0))
    house.opened[0].begun.get(timeout=10)
    house.opened[0].fate.put(LOST)
    assert chunk.faults() == [FaultKind.WORKER] * 2
    assert house.send(make_task(1)).faults() == [FaultKind.CANCELLED] * 2
    assert house.pool.is_drained
    assert house.pool.is_missed
    assert house.stages[-1] == "worker 1 did not come up"
