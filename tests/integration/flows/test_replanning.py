"""Rounds of re-planning on a real ledger, with benches in this very process and a clock that the test moves."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.bootstrap import House, open_house
from flows.planning import known_costs
from flows.posting import list_messages
from flows.rendering import job_of, rounds_of, shots_of
from flows.replanning import AT_RISK, replan_job
from flows.settings import load_settings
from flows.submitting import submit_plan
from flows.workshop import Workshop
from policy.messages import Event
from policy.tasks import TakeState
from registry.records import JobRecord, ReplanningRecord
from registry.unit_of_work import unit_of_work
from registry.verification import hashed_files, verify_files
from tests.integration.flows.jobs.night import plan_order, write_order
from tests.integration.flows.test_workshop import NearStation
from workers.pool import PoolOptions, RenderPool
from workers.renderer import RendererKind, RenderOptions, runtime_versions
from workers.workbench import BenchOptions, make_workbench

EVENING = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
SHOTS = 160


class Clock:
    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[House]:
    monkeypatch.setenv("RIGHTSTEP_RENDERER", "synthetic")
    monkeypatch.setenv("RIGHTSTEP_WORKERS", "1")
    opened = open_house(load_settings(), clock=clock)
    yield opened
    opened.engine.dispose()


def submit(house: House, folder: Path, share: float, **fields: object) -> JobRecord:
    """A night with a deadline at a share of what it takes as asked."""
    whole = plan_order(house, write_order(folder, SHOTS)).totals.wall_seconds_p95
    deadline = (EVENING + timedelta(seconds=whole * share)).isoformat()
    path = write_order(folder, SHOTS, name="due", deadline=deadline, **{"may_degrade": True, **fields})
    return submit_plan(house, plan_order(house, path))


def look(house: House, job: JobRecord) -> ReplanningRecord | None:
    return replan_job(house, job.job_id, known_costs(house), runtime_versions(RendererKind.SYNTHETIC))


def steps_of(house: House, job: JobRecord) -> set[int]:
    with unit_of_work(house.engine, read_only=True) as work:
        decisions = work.ledger.decisions(job.job_id)
    return {decisions[shot.decision].steps for shot in shots_of(house, job.job_id)}


def events(house: House, job: JobRecord) -> list[tuple[str, dict[str, object]]]:
    with unit_of_work(house.engine, read_only=True) as work:
        chained = work.audit.events(subject=job.job_id)
    return [(one.event.tag, json.loads(one.event.payload)) for one in chained]


def open_for(house: House, job: JobRecord) -> Workshop:
    options = BenchOptions(
        store=house.settings.artefacts,
        verify=verify_files,
        digests=hashed_files,
        render=RenderOptions(kind=RendererKind.SYNTHETIC),
    )
    station = NearStation(make_workbench(options))
    pool = RenderPool(
        PoolOptions(workers=1, make_bench=lambda: station.bench),
        open_station=lambda _make, _cpus, _gpus: station,
    )
    pool.start()
    return Workshop(house, job.job_id, pool)


def test_a_night_in_time_is_left_alone(house: House, tmp_path: Path):
    job = submit(house, tmp_path, 1.5)
    assert look(house, job) is None
    assert rounds_of(house, job.job_id) == ()


def test_a_late_night_sheds_steps_of_queued_shots_and_says_so(house: House, tmp_path: Path, clock: Clock):
    job = submit(house, tmp_path, 1.1)
    before = {shot.name: shot.shot_key for shot in shots_of(house, job.job_id)}
    assert steps_of(house, job) == {40}
    clock.now += (job.deadline - clock.now) * 0.3
    record = look(house, job)
    assert record is not None
    assert (record.number, record.at_risk) == (1, False)
    assert max(steps_of(house, job)) < 40
    assert sum(change.shots for change in record.changes) == SHOTS
    after = {shot.name: shot.shot_key for shot in shots_of(house, job.job_id)}
    assert not set(before.values()) & set(after.values())
    ((tag, facts),) = [event for event in events(house, job) if event[0] == "job:plan:changed"]
    assert "the night is late" in facts["changes"][0]["reason"], tag
    assert look(house, job) is None
    assert rounds_of(house, job.job_id) == (record,)


def test_what_is_leased_keeps_its_steps_and_settles(house: House, tmp_path: Path, clock: Clock):
    job = submit(house, tmp_path, 1.1)
    shop = open_for(house, job)
    chunk = shop.lease()
    assert chunk is not None
    clock.now += (job.deadline - clock.now) * 0.3
    assert look(house, job) is not None
    settled = shop.render(chunk.lease)
    assert settled.done == sum(len(batch.shots) for batch in chunk.batches)
    made = [shot for shot in shots_of(house, job.job_id) if shot.state is TakeState.DONE]
    assert {shot.decision for shot in made} == {batch.decision for batch in chunk.batches}


def test_a_driver_renders_what_a_round_decided_to_the_end(house: House, tmp_path: Path, clock: Clock):
    job = submit(house, tmp_path, 1.1)
    shop = open_for(house, job)
    clock.now += (job.deadline - clock.now) * 0.3
    assert look(house, job) is not None  # as another driver of the job would
    while (chunk := shop.lease()) is not None:
        shop.render(chunk.lease)
    shots = shots_of(house, job.job_id)
    assert {shot.state for shot in shots} == {TakeState.DONE}
    with unit_of_work(house.engine, read_only=True) as work:
        decisions = work.ledger.decisions(job.job_id)
        assert len(work.ledger.plan(job.job_id).decisions) == len(decisions) > 1
    for shot in shots:
        assert shot.artefact is not None
        assert shot.artefact.shot_key == shot.shot_key
        assert decisions[shot.decision].steps < 40


def test_a_driver_looks_at_the_night_by_itself(house: House, tmp_path: Path, clock: Clock):
    job = submit(house, tmp_path, 1.1)
    shop = open_for(house, job)
    clock.now += (job.deadline - clock.now) * 0.3
    shop.replan()
    assert max(steps_of(house, job)) < 40
    chunk = shop.lease()
    assert chunk is not None
    assert {shop.decisions[batch.decision].steps for batch in chunk.batches} < set(range(25, 40))


def test_a_night_that_was_cut_gets_steps_back_when_it_is_early(house: House, tmp_path: Path, clock: Clock):
    job = submit(house, tmp_path, 0.8)
    cut = steps_of(house, job)
    assert max(cut) < 40
    clock.now -= timedelta(days=1)
    record = look(house, job)
    assert record is not None
    assert steps_of(house, job) == {40}
    assert "early" in record.changes[0].reason


def test_risk_is_raised_once_before_the_deadline_and_again_after_a_recovery(
    house: House, tmp_path: Path, clock: Clock
):
    job = submit(house, tmp_path, 1.1, may_degrade=False)
    clock.now += (job.deadline - clock.now) * 0.3
    record = look(house, job)
    assert record is not None
    assert (record.at_risk, record.changes, record.left_seconds > 0) == (True, (), True)
    assert look(house, job) is None
    assert [tag for tag, _ in events(house, job)].count(AT_RISK) == 1
    clock.now = EVENING
    recovered = look(house, job)
    assert recovered is not None
    assert not recovered.at_risk
    clock.now += (job.deadline - clock.now) * 0.3
    assert look(house, job) is not None
    assert [tag for tag, _ in events(house, job)].count(AT_RISK) == 2


def test_whoever_wants_to_know_is_told_of_a_risk_as_often_as_it_is_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
):
    for name, value in (("RENDERER", "synthetic"), ("WORKERS", "1"), ("MAIL_TO", "night@studio.test")):
        monkeypatch.setenv(f"RIGHTSTEP_{name}", value)
    house = open_house(load_settings(), clock=clock)
    job = submit(house, tmp_path, 1.1, may_degrade=False)
    clock.now += (job.deadline - clock.now) * 0.3
    look(house, job)
    look(house, job)
    (message,) = list_messages(house)
    assert (message.event, message.job_id) == (Event.AT_RISK, job.job_id)
    assert "Deadline: " in message.words
    house.engine.dispose()


def test_steps_that_were_asked_for_are_left_alone(house: House, tmp_path: Path, clock: Clock):
    job = submit(house, tmp_path, 1.1, shots={"steps": 40})
    clock.now += (job.deadline - clock.now) * 0.3
    record = look(house, job)
    assert record is not None
    assert (record.at_risk, steps_of(house, job)) == (True, {40})


def test_a_cancelled_job_and_one_without_a_deadline_are_not_looked_at(house: House, tmp_path: Path):
    job = submit_plan(house, plan_order(house, write_order(tmp_path, 4)))
    assert look(house, job) is None
    due = submit(house, tmp_path, 1.1)
    with unit_of_work(house.engine) as work:
        work.ledger.cancel(due.job_id, actor="alice", now=EVENING)
        work.commit()
    assert look(house, due) is None
    assert job_of(house, due.job_id).state.is_finished
