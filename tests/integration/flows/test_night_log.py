"""The log of a night: one file tells what every worker did, shot by shot."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.logs import set_up_logs
from flows.rendering import shots_of
from policy.tasks import FaultKind, RenderTask, TakeState
from tests.integration.flows.crews import Crew, makes_all
from tests.integration.flows.jobs.night import submit, takes_of, write_order
from tests.integration.flows.near import house_of


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_of(monkeypatch, workers=2) as opened:
        yield opened
    for handler in list(logging.getLogger("rightstep").handlers):
        logging.getLogger("rightstep").removeHandler(handler)
        handler.close()


def test_every_shot_and_every_failure_of_a_night_is_in_one_file_with_its_ids(house: House, tmp_path: Path):
    kept = set_up_logs(house.settings.logs)
    job = submit(house, write_order(tmp_path, 48))
    bad = {shot.shot_key for shot in shots_of(house, job.job_id) if shot.batch == 2}

    def fails_one(task: RenderTask) -> FaultKind | None:
        return FaultKind.SHOT if task.shots[0].shot_key in bad else None

    Crew(house, job.job_id, fails_one, makes_all).render()
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert {line["job"] for line in lines} == {job.job_id}
    chunks = [line for line in lines if line["event"] == "chunk.settled"]
    failures = [line for line in lines if line["event"] == "shot.failed"]
    assert len(chunks) + len(failures) == len(lines)

    takes = takes_of(house, job.job_id)
    failed = {(take.take_id, take.shot, take.worker) for take in takes if take.fault is not None}
    assert {(line["take"], line["shot"], line["worker"]) for line in failures} == failed
    assert {(line["fault"], line["detail"], line["level"]) for line in failures} <= {
        ("shot", "It came out grey.", "warning")
    }
    named = [shot for line in chunks for shot in line["shots"]]
    assert sorted(named) == sorted(take.shot for take in takes)
    assert sum(line["done"] for line in chunks) == sum(take.state is TakeState.DONE for take in takes)
    assert {worker for line in chunks for worker in line["workers"]} == {
        take.worker for take in takes if take.worker
    }
