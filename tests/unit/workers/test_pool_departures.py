"""Workers that leave a pool, on a word or barred, and those that come for them; chunks that are set aside."""

from policy.tasks import FaultKind
from tests.unit.workers.batches import make_task
from tests.unit.workers.near_pool import LOST, House, done


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
