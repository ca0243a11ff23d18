"""The workshop of this process: Ray, the pool of workers, and the driver's hold on its leases.

Ray allows one connection a process, so there is one workshop a process too.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from flows.barring import Barring, standing_of
from flows.bootstrap import House
from flows.chunk_sizes import ChunkSizes
from flows.fleet_settings import GroupSetting
from flows.holders import is_dead_holder, own_holder
from flows.ledger_clock import LedgerClock
from flows.news import telling
from flows.night_log import note_settled
from flows.planning import known_costs, pinned_models
from flows.publishing import make_publisher
from flows.replanning import replan_job
from flows.signals import keep_sigterm
from flows.steering import note_halt
from flows.tasks import make_task, make_template
from policy.errors import RightstepError
from policy.tasks import BatchResult, RenderTask
from registry.known_digests import KnownDigests
from registry.records import JobState, LeasedChunk, SettledChunk
from registry.unit_of_work import UnitOfWork, unit_of_work
from registry.verification import hashed_files, verify_files
from workers.cluster import RayHouse, connect_ray, join_ray, standing_address, start_local_ray, stop_ray
from workers.pool import PoolOptions, RenderPool
from workers.renderer import RendererKind, RenderOptions, runtime_versions
from workers.seats import SeatGroup
from workers.workbench import BenchOptions, make_workbench

DRAINED = "Every worker was drained. Whoever resumes the job starts others."
MISSING = "No worker came up again. Look at Ray, then resume the job: it starts others."
Tell = Callable[[str], None]
GoesOn = Callable[[UnitOfWork], bool]  # whether the workers are still this driver's
ROUND_CHUNKS = 8  # settled ones between two looks at the night
LOOK_SECONDS = 0.1  # between two looks whether the job was cancelled: one row
CHUNKS_IN_FLIGHT = 2  # a worker: one renders while the other waits its turn


def is_alone(_work: UnitOfWork) -> bool:
    """Workers that nobody shares never become another driver's."""
    return True


class Workshop:
    """Renders leased chunks of one job and settles them; several threads may ask at once."""

    def __init__(self, house: House, job_id: str, pool: RenderPool, goes_on: GoesOn = is_alone) -> None:
        self.house = house
        self.job_id = job_id
        self.pool = pool
        self.holder = own_holder()
        self._publisher = make_publisher(house)
        self._now = LedgerClock(house)
        self._barring = Barring(house, job_id, self.holder, pool)
        self._roots = {model.pin.pin_id: model.root for model in pinned_models(house).values()}
        with unit_of_work(house.engine, read_only=True) as work:
            header = work.ledger.header(job_id)
        with unit_of_work(house.engine) as work:
            self._salt = work.prompts.salt_of(job_id)
            work.commit()
        self.decisions = header.decisions
        self.plan_hash = header.plan_hash
        self._templates: dict[int, RenderTask] = {}  # by decision: what all of its batches have in common
        self._devices = house.settings.fleet.devices
        self.crew = CHUNKS_IN_FLIGHT * house.settings.fleet.workers  # chunks that are worth having in flight
        self._told: dict[str, int] = {}  # workers by device, as the ledger has it
        self._sizes = ChunkSizes(self.decisions, self.crew)
        self._held: dict[str, LeasedChunk] = {}
        self._ready: deque[LeasedChunk] = deque()  # leased and held, not yet asked for
        self._unsettled: dict[str, list[BatchResult]] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # to write: SQLite lets one in, and the others would poll for it
        self.is_cancelled = False
        self.gave_way = False  # another job is next: no chunk is leased any more
        self._made_room = False  # nor is one rendered to its end
        self._goes_on = goes_on
        # Known once there is a deadline to reckon with; as they were before tonight was measured.
        self._costs = known_costs(house) if header.manifest.service.deadline is not None else ()
        self._runtime = runtime_versions(RendererKind(house.settings.renderer))
        self._settled_since = 0  # chunks since the last look at the night
        self._renewed = -math.inf  # when the leases were renewed last
        self._queued = 0  # batches that were still to come when the last chunk was leased

    def lease(self) -> LeasedChunk | None:
        """Take the next chunk of the job; None when nothing is to be had, or it is another job's turn.

        Usually it is there already: the transaction that settles a chunk leases another.
        """
        with self._lock:
            if self._ready:
                return self._ready.popleft()
        with self._turn, unit_of_work(self.house.engine) as work:
            with telling(self.house, work, self.job_id):
                chunk = self._leased(work)
            work.commit()
        self._hold(chunk)
        return chunk

    def render(self, lease: str) -> SettledChunk:
        """Render a leased chunk, settle it, and lease another, in one transaction.

        What could not be settled stays held with its results: asked again, it is settled
        and not rendered again.
        """
        with self._lock:
            chunk, results = self._held[lease], self._unsettled.get(lease)
        if results is None:
            self._barring.begin(chunk)
            forecast = self._sizes.forecast(chunk, self._queued, self._devices)
            results = self.pool.run_chunk(self.tasks(chunk), forecast)
            self._sizes.note_rendered(chunk, results)
            with self._lock:
                self._unsettled[lease] = results
        settled, following = self._settle(chunk, results)
        note_settled(self.job_id, chunk, results, settled)
        self._barring.look(chunk, results)
        with self._lock:
            self._held.pop(lease, None)
            self._unsettled.pop(lease, None)
        if following is not None:
            self._hold(following)
            with self._lock:
                self._ready.append(following)
        with self._lock:
            self._settled_since += 1
            is_time = self._settled_since >= ROUND_CHUNKS
            self._settled_since %= ROUND_CHUNKS
        if is_time:
            self.replan()
        return settled

    def replan(self) -> None:
        """Look at the night again: queued batches may get other steps; nothing without a deadline.

        A look that fails is made again at the next round: it never stops what is rendered. The
        deadline may have come, moved or gone since the last one.
        """
        try:
            with self._turn:
                if self._deadline() is None:
                    return
                self._costs = self._costs or known_costs(self.house)
                replan_job(self.house, self.job_id, self._costs, self._runtime)
        except RightstepError:
            return

    def renew(self) -> None:
        """Tell of the workers, let go whom somebody drained, hold on to what is being rendered.

        A lease is renewed when a third of it is over; between, a heartbeat writes the workers and no batch.
        """
        ttl = self.house.settings.lease_seconds
        with self._lock:
            is_time = time.monotonic() - self._renewed >= ttl / 3
            held = tuple(self._held.values()) if is_time else ()
        standing = [standing_of(one) for one in self.pool.workers() if one.name and not one.is_gone]
        crew = self.pool.crew()
        self._now.ask()
        now = self._now()
        with self._turn, unit_of_work(self.house.engine) as work:
            work.ledger.renew(*held, ttl_seconds=ttl, now=now)
            leaving = work.ledger.tell_workers(self.holder, self.job_id, standing, now)
            returning = work.ledger.take_back_workers(self.holder)
            added = work.ledger.take_up_workers(self.job_id, self.holder, crew)
            for device, workers in added:
                crew[device] += workers
            if crew != self._told:
                work.ledger.tell_crew(self.holder, self.job_id, crew)
            work.commit()
        if is_time:
            self._renewed = time.monotonic()
        before, self._told = self._told, crew
        for worker in leaving:
            self.pool.drain(worker)
        for worker in returning:
            self.pool.readmit(worker)
        for device, workers in added:
            self.pool.grow(device, workers)
            self.crew += CHUNKS_IN_FLIGHT * workers
            self._sizes.grow(self.crew)
        if before and crew != before:
            self.replan()

    def has_to_make_room(self) -> bool:
        """Whether the workers are another job's now; asked between leases too: a batch may take long.

        A lease that found it so hands out nothing more, and what is in flight still goes on.
        """
        if self._made_room or self._goes_on is is_alone:
            return False
        if self.gave_way:
            return True
        with unit_of_work(self.house.engine, read_only=True) as work:
            return not self._goes_on(work)

    def give_way(self) -> None:
        """Set aside what is being rendered at the next step; whoever goes on with the job begins there."""
        self.gave_way = self._made_room = True
        self.pool.set_aside()

    def release_all(self) -> None:
        """Give back whatever is still leased: the next driver need not wait for it to expire."""
        with self._lock:
            held, self._held = tuple(self._held.values()), {}
            self._ready.clear()
        with unit_of_work(self.house.engine) as work:
            for chunk in held:
                work.ledger.release(chunk)
            work.ledger.dismiss_workers(self.holder)
            work.commit()

    def state(self) -> JobState:
        """Where the job stands now."""
        with unit_of_work(self.house.engine, read_only=True) as work:
            return work.ledger.state(self.job_id)

    def others_are_at_work(self) -> bool:
        """Whether open shots are in the hands of another driver: they settle, or their lease runs out."""
        with unit_of_work(self.house.engine, read_only=True) as work:
            job = work.ledger.job(self.job_id)
        return job.state is JobState.RUNNING and job.counts.leased > 0

    def _deadline(self) -> datetime | None:
        with unit_of_work(self.house.engine, read_only=True) as work:
            return work.ledger.deadline(self.job_id)

    def _settle(
        self, chunk: LeasedChunk, results: list[BatchResult]
    ) -> tuple[SettledChunk, LeasedChunk | None]:
        with self._turn, unit_of_work(self.house.engine) as work:
            with telling(self.house, work, self.job_id):
                settled = work.ledger.settle(chunk, results, self.house.clock())
                if settled.storage_faults and not settled.job_state.is_finished:
                    work.ledger.hold(self.job_id, reason=_full(self.house))
                following = None if self.pool.is_cancelled else self._leased(work)
            work.commit()
        return settled, following

    def _leased(self, work: UnitOfWork) -> LeasedChunk | None:
        """Lease what fits.

        Which stack comes next is the ledger's to say: where it is slower than the last,
        what would be too much of it is given back at once.
        """
        if self.gave_way or not self._goes_on(work):
            self.gave_way = True
            return None
        if (found := work.ledger.enforce_limits(self.job_id, self.house.clock())) is not None:
            note_halt(self.house, work, self.job_id, found)
            return None
        if self.pool.is_drained:
            if work.ledger.state(self.job_id) is JobState.RUNNING:
                work.ledger.hold(self.job_id, reason=MISSING if self.pool.is_missed else DRAINED)
            return None
        queued = work.ledger.queued_batches(self.job_id, at_most=self._sizes.horizon)
        chunk = self._lease_up_to(work, self._sizes.fitting(queued))
        if chunk is None:
            return None
        if max(batch.decision for batch in chunk.batches) >= len(self.decisions):
            self.decisions = work.ledger.decisions(self.job_id)  # a round appended some, ours or another's
            self._sizes.learn(self.decisions)
        self._sizes.note_leased(chunk)
        self._queued = max(0, queued - len(chunk.batches))
        if len(chunk.batches) > self._sizes.fitting(queued):
            work.ledger.release(chunk)
            return self._lease_up_to(work, self._sizes.fitting(queued))
        return chunk

    def _lease_up_to(self, work: UnitOfWork, batches: int) -> LeasedChunk | None:
        return work.ledger.lease_chunk(
            self.job_id,
            holder=self.holder,
            ttl_seconds=self.house.settings.lease_seconds,
            max_batches=batches,
            now=self._now(),
        )

    def _hold(self, chunk: LeasedChunk | None) -> None:
        if chunk is not None:
            with self._lock:
                self._held[chunk.lease] = chunk

    def tasks(self, chunk: LeasedChunk) -> list[RenderTask]:
        """What a worker is sent of a chunk."""
        for number in {batch.decision for batch in chunk.batches} - set(self._templates):
            facts = (("job_id", self.job_id), ("plan_hash", self.plan_hash))
            template = make_template(self.decisions[number], self._roots, facts)
            if self._publisher is not None:
                self._publisher.publish(template.load)
            self._templates[number] = template
        return [make_task(batch, self._templates[batch.decision], self._salt) for batch in chunk.batches]


def _full(house: House) -> str:
    """Why a job is held when bytes cannot be kept: rendering on would only throw pictures away."""
    beyond = (
        "" if house.settings.store is None else f" or in {house.settings.store}, or models not be brought"
    )
    free = house.store.free_bytes() >> 20
    return (
        f"Pictures cannot be kept in {house.settings.artefacts} ({free} MB free){beyond}. "
        "Make room, then resume the job."
    )


@contextmanager
def open_workshop(house: House, job_id: str, tell: Tell, goes_on: GoesOn = is_alone) -> Generator[Workshop]:
    """Ray (the standing one where it is up), workers and a heartbeat; it all ends with the block."""
    reclaim_dead_leases(house)
    folder = house.settings.home / "ray"
    with keep_sigterm():
        ray = _start_ray(house, tell)
    try:
        pool = RenderPool(_pool_options(house, tell))
        pool.start()
        try:
            with staff_workshop(house, job_id, pool, goes_on) as workshop:
                yield workshop
        finally:
            pool.stop()
    finally:
        stop_ray(folder, ray)


@contextmanager
def staff_workshop(
    house: House, job_id: str, pool: RenderPool, goes_on: GoesOn = is_alone
) -> Generator[Workshop]:
    """A workshop of workers that stand already, with its heartbeat; its leases end with the block."""
    workshop = Workshop(house, job_id, pool, goes_on)
    workshop.replan()
    with _heartbeat(workshop):
        try:
            yield workshop
        finally:
            workshop.release_all()


def _start_ray(house: House, tell: Tell) -> RayHouse:
    folder = house.settings.home / "ray"
    if house.settings.ray_address is not None:
        tell("joining Ray")
        return join_ray(house.settings.ray_address)
    if standing_address(folder) is not None:
        tell("connecting to Ray")
        return connect_ray(folder)
    tell("starting Ray")
    return start_local_ray(folder, house.settings.fleet.workers)


def _pool_options(house: House, tell: Tell) -> PoolOptions:
    first, *others = (_seat_group(house, group) for group in house.settings.groups)
    return PoolOptions(
        workers=first.workers,
        make_bench=first.make_bench,
        device=first.device,
        gpus_per_worker=first.gpus_per_worker,
        others=tuple(others),
        start_seconds=house.settings.worker_start_seconds,
        grows_freely=house.settings.ray_address is None,
        on_stage=tell,
    )


def _seat_group(house: House, group: GroupSetting) -> SeatGroup:
    return SeatGroup(
        workers=group.workers,
        make_bench=partial(make_workbench, bench_options(house, group)),
        device=group.device_class(RendererKind(house.settings.renderer)),
        gpus_per_worker=group.gpus,
    )


def bench_options(house: House, group: GroupSetting) -> BenchOptions:
    """What a worker of a group sets its bench up from: it verifies by digests that a home remembers."""
    known = KnownDigests(house.settings.run_folder / "verified")
    return BenchOptions(
        store=house.settings.artefacts,
        verify=partial(verify_files, known=known),
        digests=partial(hashed_files, known=known),
        render=RenderOptions(
            kind=RendererKind(house.settings.renderer),
            device=group.device,
            threads=group.threads,
            seconds_per_step=group.step,
        ),
        snapshots=house.settings.home / "snapshots",
        remote=house.settings.store_address,
        store_bytes=int(house.settings.store_gb * 1e9),
        models=house.settings.node_models,
    )


@contextmanager
def _heartbeat(workshop: Workshop) -> Generator[None]:
    """Renew leases three times a lease, relay a cancellation, and make room where another job is next.

    The ledger is asked for the state of the job more often than for its leases: between the
    word and the workers there should be less than a step.
    """
    over = threading.Event()
    pause = min(1.0, workshop.house.settings.lease_seconds / 3)
    look = min(LOOK_SECONDS, pause)

    def beat() -> None:
        renewed = -math.inf  # at once: whoever looks finds the workers
        while not over.wait(look):
            try:
                if not workshop.is_cancelled and workshop.state() is JobState.CANCELLED:
                    workshop.is_cancelled = True
                    workshop.pool.cancel()
                if time.monotonic() - renewed >= pause:
                    workshop.renew()
                    renewed = time.monotonic()
                    if workshop.has_to_make_room():
                        workshop.give_way()
            except RightstepError:
                continue  # a locked or lost ledger: the next beat tries again before the lease is over

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def reclaim_dead_leases(house: House) -> int:
    """Queue what expired leases and dead drivers of this host held; returns how many batches."""
    now = LedgerClock(house)()
    with unit_of_work(house.engine) as work:
        count = work.ledger.expire_leases(now) + work.ledger.reclaim_leases(is_dead_holder)
        work.ledger.forget_workers(is_dead_holder)
        work.commit()
    return count
