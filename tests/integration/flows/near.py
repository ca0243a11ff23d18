"""Jobs that are rendered in the test's own process: a real ledger, a real store and real benches, without Ray."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.bootstrap import House, open_house
from flows.judging import judge_job
from flows.settings import load_settings
from flows.workshop import Workshop
from policy.tasks import BatchResult, RenderTask
from registry.records import JobRecord
from registry.unit_of_work import unit_of_work
from registry.verification import hashed_files, verify_files
from tests.integration.flows.jobs.night import submit
from workers.pool import PoolOptions, RenderPool
from workers.renderer import RendererKind, RenderOptions
from workers.stations import StationFault, WorkerIdentity
from workers.workbench import Bench, BenchOptions, BenchProgress, make_workbench


@contextmanager
def house_of(monkeypatch: pytest.MonkeyPatch, **settings: object) -> Iterator[House]:
    """A house with these settings, which a driver that is started from it finds as well."""
    for name, value in {"renderer": "synthetic", **settings}.items():
        monkeypatch.setenv(f"RIGHTSTEP_{name.upper()}", str(value))
    house = open_house(load_settings())
    yield house
    house.engine.dispose()


class NearStation:
    """A worker in the driver's own process."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.rendered = 0
        self.is_broken = False

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        if self.is_broken:
            raise StationFault("The worker answered nothing.", "")
        self.rendered += len(tasks)
        yield list(self.bench.run(tasks))

    def identity(self, _seconds: float) -> WorkerIdentity:
        return WorkerIdentity(name="here:1", pid=1)

    def progress(self, _seconds: float) -> BenchProgress:
        return self.bench.progress()

    def cancel(self) -> None:
        self.bench.cancel()

    def set_aside(self) -> None:
        self.bench.set_aside()

    def close(self) -> None:
        """Ends with the process."""


def near_station(house: House) -> NearStation:
    options = BenchOptions(
        store=house.settings.artefacts,
        verify=verify_files,
        digests=hashed_files,
        render=RenderOptions(kind=RendererKind(house.settings.renderer)),
    )
    return NearStation(make_workbench(options))


def open_near(house: House, station: NearStation, order: Path, **overrides: object) -> Workshop:
    return workshop_near(house, station, submit(house, order, **overrides).job_id)


def workshop_near(house: House, station: NearStation, job_id: str) -> Workshop:
    options = PoolOptions(workers=1, make_bench=lambda: station.bench)
    pool = RenderPool(options, open_station=lambda _make, _cpus, _gpus: station)
    pool.start()
    return Workshop(house, job_id, pool)


def render_near(house: House, order: Path, **overrides: object) -> JobRecord:
    """Submit an order and render all of it."""
    return render_job_near(house, submit(house, order, **overrides).job_id)


def render_job_near(house: House, job_id: str) -> JobRecord:
    """Render what is open of a job."""
    workshop = workshop_near(house, near_station(house), job_id)
    while (chunk := workshop.lease()) is not None:
        workshop.render(chunk.lease)
    judge_job(house, workshop.job_id)
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.job(workshop.job_id)
