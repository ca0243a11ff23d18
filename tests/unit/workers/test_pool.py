"""The pool on stations of this process; the same claims are made on real Ray in the integration tests."""

import pytest

from policy.errors import ServiceFault, WrongUse
from policy.tasks import FaultKind
from tests.factories import make_stack
from tests.unit.workers.batches import make_load, make_task
from tests.unit.workers.near_pool import LOST, House, Worker, done, other_stack
from workers.pool import DEAD_STARTS, PoolOptions, RenderPool, SeatGroup
from workers.routing import INCIDENTS, Forecast
from workers.stations import StationFault, StationLost


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
