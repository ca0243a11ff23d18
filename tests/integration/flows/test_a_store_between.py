"""A driver and a worker that share no folder: what they have in common is a ledger and an object store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.rendering import job_of, shots_of
from flows.workshop import Workshop, bench_options
from policy.tasks import BatchResult, RenderTask
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from registry.verification import sha256_file
from tests.integration.flows.jobs.night import assert_each_shot_done_once, takes_of, write_order
from tests.integration.flows.near import NearStation, house_of, open_near, workshop_near
from tests.local_s3.server import KEY, REGION, SECRET, LocalS3
from workers.workbench import make_workbench


@pytest.fixture
def s3() -> Iterator[LocalS3]:
    with LocalS3().running() as store:
        yield store


@pytest.fixture
def house(s3: LocalS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    settings = {
        "store": "s3://house/night",
        "store_endpoint": s3.endpoint,
        "store_region": REGION,
        "store_key": KEY,
        "store_secret": SECRET,
    }
    with house_of(monkeypatch, **settings) as opened:
        yield opened


class FarStation(NearStation):
    """A worker that finds none of the driver's folders, as on another machine."""

    before: Callable[[], None] = staticmethod(lambda: None)  # called when work arrives

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        self.before()
        yield from super().render([_without_folders(task) for task in tasks])


def _without_folders(task: RenderTask) -> RenderTask:
    parts = tuple(replace(part, root=f"/nowhere{part.root}") for part in task.load.parts)
    return replace(task, load=replace(task.load, parts=parts))


@pytest.fixture
def station(house: House, tmp_path: Path) -> FarStation:
    options = bench_options(house, house.settings.groups[0])
    assert options.models is not None
    far = replace(
        options,
        store=tmp_path / "far" / "artefacts",
        models=replace(options.models, folder=tmp_path / "far" / "models"),
        snapshots=None,
    )
    return FarStation(make_workbench(far))


def render_all(workshop: Workshop) -> None:
    while (chunk := workshop.lease()) is not None:
        workshop.render(chunk.lease)


def test_a_night_is_made_far_away_and_read_here(house: House, station: FarStation, tmp_path: Path):
    workshop = open_near(house, station, write_order(tmp_path, 3, tier="interactive"))
    render_all(workshop)
    assert job_of(house, workshop.job_id).counts.done == 3
    assert_each_shot_done_once(house, workshop.job_id)
    assert not house.settings.artefacts.exists(), "the driver has looked at none of them"
    for shot in shots_of(house, workshop.job_id):
        assert shot.artefact is not None
        path = house.store.path_of(shot.artefact.sha256)
        assert path.is_relative_to(house.settings.artefacts)
        assert sha256_file(path) == shot.artefact.sha256
    assert list((tmp_path / "far/models/snapshots").iterdir())
    assert not (house.settings.home / "models").exists()


def test_a_store_that_goes_down_holds_the_job_and_loses_nothing(
    house: House, s3: LocalS3, station: FarStation, tmp_path: Path
):
    workshop = open_near(house, station, write_order(tmp_path, 3, tier="interactive"))

    def goes_down() -> None:
        s3.is_down = True

    station.before = goes_down
    render_all(workshop)
    held = job_of(house, workshop.job_id)
    assert (held.state, held.counts.dead) == (JobState.HELD, 0)
    assert "s3://house/night" in held.detail
    assert all(take.artefact_sha256 is None for take in takes_of(house, held.job_id)), "nothing is told of"

    s3.is_down = False
    station.before = lambda: None
    with unit_of_work(house.engine) as work:
        work.ledger.resume(held.job_id)
        work.commit()
    render_all(workshop_near(house, station, held.job_id))
    assert_each_shot_done_once(house, held.job_id)
