"""Whatever drivers do, in whatever order: no shot is lost, none is done without a picture, none twice."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from policy.tasks import FaultKind, TakeState
from registry import tables
from registry.audit_walk import verify
from registry.database import open_database, upgrade_database
from registry.records import JobState, LeasedChunk, LeasedShot
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import failed, lease, made, plan_of, results_of, settle, submit

SHOTS = 24
MADE = {TakeState.DONE, TakeState.REUSED}
OUTCOMES = ("made", "shot", "worker", "storage", "cancelled")


class Drivers(RuleBasedStateMachine):
    """Two drivers and a clock against one ledger."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name)}/ledger.sqlite3"
        upgrade_database(url)
        self.engine = open_database(url)
        self.now = NOW
        self.held: list[LeasedChunk] = []
        self.done: dict[int, str] = {}
        self.job_id = submit(self.engine, plan_of(SHOTS)).job_id

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    @rule(batches=st.integers(1, 3), ttl=st.integers(1, 60), holder=st.sampled_from(["a", "b"]))
    def take(self, batches: int, ttl: int, holder: str) -> None:
        chunk = lease(
            self.engine, self.job_id, max_batches=batches, ttl_seconds=ttl, holder=holder, now=self.now
        )
        if chunk is not None:
            self.held.append(chunk)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), worker=st.sampled_from(["w:1", "w:2", "w:3", "w:4"]))
    def report(self, data: st.DataObject, worker: str) -> None:
        """Any chunk ever leased may report, as often as it likes."""
        chunk = data.draw(st.sampled_from(self.held))

        def outcome(shot: LeasedShot) -> Any:
            kind = data.draw(st.sampled_from(OUTCOMES))
            return made(shot) if kind == "made" else failed(FaultKind(kind))(shot)

        settle(self.engine, chunk, results_of(chunk, outcome, worker=worker), now=self.now)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), renew=st.booleans())
    def keep_or_give_back(self, data: st.DataObject, renew: bool) -> None:
        chunk = data.draw(st.sampled_from(self.held))
        with unit_of_work(self.engine) as work:
            if renew:
                work.ledger.renew(chunk, ttl_seconds=30, now=self.now)
            else:
                work.ledger.release(chunk)
            work.commit()

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        with unit_of_work(self.engine) as work:
            work.ledger.expire_leases(self.now)
            work.commit()

    @rule()
    def try_again(self) -> None:
        with unit_of_work(self.engine) as work:
            if work.ledger.job(self.job_id).state is not JobState.CANCELLED:
                work.ledger.resume(self.job_id, retry_dead=True)
                if work.ledger.job(self.job_id).counts.open == 0:
                    work.ledger.finish(self.job_id, self.now)
            work.commit()

    @invariant()
    def no_shot_is_lost(self) -> None:
        with unit_of_work(self.engine, read_only=True) as work:
            job, shots, takes = (
                work.ledger.job(self.job_id),
                work.ledger.shots(self.job_id),
                work.ledger.takes(self.job_id),
            )
        assert len(shots) == job.counts.shots == SHOTS
        assert job.counts.made == sum(shot.state in MADE for shot in shots)
        assert job.counts.leased == sum(shot.state is TakeState.LEASED for shot in shots)
        assert job.counts.dead == sum(shot.state is TakeState.DEAD for shot in shots)
        standing = [take.ordinal for take in takes if take.state is not TakeState.FAILED]
        assert sorted(standing) == list(range(SHOTS))
        assert job.counts.failed_takes == len(takes) - SHOTS

    @invariant()
    def what_is_done_has_a_picture_and_stays_done(self) -> None:
        with unit_of_work(self.engine, read_only=True) as work:
            shots = work.ledger.shots(self.job_id)
        now_done = {shot.ordinal: shot.artefact.sha256 for shot in shots if shot.artefact is not None}
        assert now_done.keys() == {shot.ordinal for shot in shots if shot.state in MADE}
        assert self.done.items() <= now_done.items()
        self.done = now_done

    @invariant()
    def a_leased_batch_has_a_holder_and_a_settled_one_has_no_open_take(self) -> None:
        batches, takes = tables.batches, tables.takes
        with self.engine.connect() as connection:
            rows = connection.execute(select(batches.c.number, batches.c.state, batches.c.holder)).all()
            open_takes = dict(
                connection.execute(
                    select(takes.c.batch, func.count())
                    .where(takes.c.state == "queued")
                    .group_by(takes.c.batch)
                ).all()
            )
        for number, state, holder in rows:
            assert (holder is not None) == (state == "leased")
            assert (number in open_takes) == (state in {"queued", "leased"})


Drivers.TestCase.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDrivers = Drivers.TestCase


def test_the_chain_of_an_untouched_ledger_holds(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    upgrade_database(url)
    engine = open_database(url)
    assert verify(engine).ok
    engine.dispose()
