"""Jobs from order to shipment, on a real Prefect server, a real Ray and a real ledger."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House, open_house
from flows.exporting import export_job
from flows.pinning import pin_model
from flows.progress import Progress
from flows.recalling import affected
from flows.rendering import job_of, render_job, resume_job, shots_of
from flows.settings import load_settings
from flows.shipment import ship_job
from flows.steering import cancel_job
from flows.stocktaking import verify_models
from policy.tasks import TakeState
from registry.records import JobState
from registry.sources import builtin_source
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import (
    BASE,
    assert_each_shot_done_once,
    finished_takes,
    pictures,
    plan_order,
    submit,
    takes_of,
    wait_until,
    write_order,
)
from workers.marking import DigitalSourceType, read_marking

MakeHouse = Callable[..., House]


def task_runs_and_artifacts(job_id: str) -> tuple[list[Any], list[Any]]:
    """What Prefect knows of a job."""
    from prefect.client.orchestration import get_client

    def rows(kind: str, **body: Any) -> list[Any]:
        found: list[Any] = client.request("POST", f"/{kind}/filter", json={"limit": 200, **body}).json()
        return found

    with get_client(sync_client=True) as client:
        (run,) = [one for one in rows("flow_runs") if one["parameters"].get("job_id") == job_id]
        artifacts = rows("artifacts", artifacts={"key": {"any_": [f"job-{job_id}"]}})
        return rows("task_runs", flow_runs={"id": {"any_": [run["id"]]}}), artifacts


@pytest.mark.slow
def test_an_order_goes_from_its_file_to_a_shipped_and_audited_job(make_house: MakeHouse, tmp_path: Path):
    house = make_house()
    order = write_order(tmp_path, 300, tier="interactive", recipients=["editor@studio.example"])
    plan = plan_order(house, order)
    told: list[Progress] = []
    job = submit(house, order)

    ended = render_job(house, job.job_id, told.append)

    assert ended.state is JobState.FINISHED
    assert (ended.counts.done, ended.counts.reused, ended.counts.dead) == (300, 0, 0)
    assert_each_shot_done_once(house, job.job_id)
    assert told[-1].done == 300
    assert told[-1].stage == "finished"

    # Prefect sees chunks and one artifact, never shots
    wait_until("Prefect has recorded the chunks", lambda: task_runs_and_artifacts(job.job_id)[0])
    tasks, artifacts = task_runs_and_artifacts(job.job_id)
    assert len(tasks) <= len(plan.batches) < 300
    assert len(artifacts) == 1
    assert "| done | 300 |" in artifacts[0]["data"]

    # the pictures say that no model drew them, and which shot they are
    first = shots_of(house, job.job_id)[0]
    assert first.artefact is not None
    marking = read_marking(house.store.path_of(first.artefact.sha256))
    assert marking is not None
    assert marking.source is DigitalSourceType.ALGORITHMIC
    assert marking.shot_key == first.shot_key

    shipment = ship_job(house, job.job_id)
    assert len(shipment.items) == 300
    assert shipment.recipients == ("editor@studio.example",)
    assert [file.shot for file in affected(house, first.artefact.sha256).files] == ["shot-0000"]
    check = audit_check(house)
    assert check.ok, check
    with unit_of_work(house.engine, read_only=True) as work:
        tags = [event.event.tag for event in work.audit.events(after=0)]
    assert tags[-3:] == ["job:plan:accepted", "identity:key:created", "shipment:job:shipped"]

    out = tmp_path / "out"
    exported = export_job(house, job.job_id, out)
    assert exported.pictures == 300
    assert (out / "shot-0000.png").read_bytes() == house.store.path_of(first.artefact.sha256).read_bytes()
    assert exported.notices is not None
    assert "Apache License" in exported.notices.read_text()
    assert "shot-0000" in exported.contact_sheet.read_text()
    assert not list(out.glob(".*.part"))

    # the same order again: nothing is rendered, nothing is started
    again = submit(house, order)
    assert again.job_id != job.job_id
    assert (again.counts.reused, again.counts.open) == (300, 0)
    over = render_job(house, again.job_id)
    assert over.state is JobState.FINISHED
    assert {take.state for take in takes_of(house, again.job_id)} == {TakeState.REUSED}
    assert len(ship_job(house, again.job_id).items) == 300
    assert export_job(house, again.job_id, tmp_path / "again").pictures == 300


@pytest.mark.slow
def test_a_cancelled_job_stops_its_workers_at_the_next_step(make_house: MakeHouse, tmp_path: Path):
    house = make_house(synthetic_seconds_per_step=0.5)
    job = submit(house, write_order(tmp_path, 16, shots={"steps": 40, "method": "emoji-64-full"}))

    def cancel_when_leased() -> None:
        wait_until("a leased batch", lambda: job_of(house, job.job_id).counts.leased)
        cancel_job(house, job.job_id)

    canceller = threading.Thread(target=cancel_when_leased)
    canceller.start()
    ended = render_job(house, job.job_id)
    canceller.join()

    assert ended.state is JobState.CANCELLED
    assert ended.counts.cancelled == 16
    assert pictures(house) == [], "a batch that was rendered to its end would have left pictures"
    assert audit_check(house).ok


@pytest.mark.slow
def test_a_job_is_held_when_more_shots_fail_than_it_allows_and_goes_on_when_the_reason_is_gone(
    make_house: MakeHouse, tmp_path: Path
):
    """The reason is one changed byte in a pinned file: it is refused before it is loaded."""
    shelf = tmp_path / "shelf"
    style = builtin_source().root / "rightstep" / "emoji-64-style-twemoji"
    shutil.copytree(style, shelf / "mine" / "style")
    house = make_house(model_folders=shelf, workers=1, synthetic_seconds_per_step=0.01)
    pin_model(house, "mine/style")
    weights = next((shelf / "mine" / "style").glob("*.safetensors"))
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    plain = {"prompt": "a flat fox", "model": BASE}
    styled = {**plain, "loras": ["mine/style"], "priority": 10}
    head = {"name": "night", "tier": "interactive", "max_failed_shots": 0, "territories": ["WORLD"]}
    shots = [{"name": f"styled-{seed}", "seed": seed, **styled} for seed in range(4)]
    shots += [{"name": f"plain-{seed}", "seed": seed, **plain} for seed in range(3200)]
    order = tmp_path / "night.json"
    order.write_text(json.dumps({**head, "shots": shots}))
    job = submit(house, order)

    held = render_job(house, job.job_id)

    assert held.state is JobState.HELD
    assert "more than the 0 that the manifest allows" in held.detail
    assert held.counts.open > 0, "it stopped before everything was tried"
    dead = [shot for shot in shots_of(house, job.job_id) if shot.state is TakeState.DEAD]
    assert {shot.name for shot in dead} == {f"styled-{seed}" for seed in range(4)}
    assert all(weights.name in shot.detail and "nothing of it was loaded" in shot.detail for shot in dead)
    (damaged,) = [check for check in verify_models(house) if check.faults]
    assert damaged.repo == "mine/style"
    before = finished_takes(house, job.job_id)

    weights.write_bytes(sound)
    ended = resume_job(house, job.job_id)
    assert ended.state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    after = finished_takes(house, job.job_id)
    assert {shot: after[shot] for shot in before} == before
    assert audit_check(house).ok


@pytest.mark.slow
def test_a_job_on_two_device_classes_is_planned_and_made_on_both(
    make_house: MakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slow, quick = "cpu threads=1 step=0.4", "cpu threads=2 step=0.01"
    house = make_house(devices=slow)
    for devices, prompt in ((slow, "a slow fox"), (quick, "a quick fox")):  # what a batch takes on each
        monkeypatch.setenv("RIGHTSTEP_DEVICES", devices)
        house = open_house(load_settings())
        order = write_order(tmp_path, 64, tier="interactive", shots={"prompt": prompt})
        assert render_job(house, submit(house, order).job_id).counts.done == 64

    monkeypatch.setenv("RIGHTSTEP_DEVICES", f"{slow}, {quick}")
    house = open_house(load_settings())
    order = write_order(tmp_path, 640, tier="interactive")
    plan = plan_order(house, order)
    slower, quicker = plan.decisions[0].devices
    assert (slower.device, quicker.device) == ("synthetic-1", "synthetic-2")
    assert slower.seconds_p50 > 2 * quicker.seconds_p50, (
        "forty times the seconds a step, whatever the overhead"
    )

    job = submit(house, order)
    assert render_job(house, job.job_id).counts.done == 640
    assert_each_shot_done_once(house, job.job_id)
    with unit_of_work(house.engine, read_only=True) as work:
        done = {one.device: one.batches for one in work.ledger.device_work(job.job_id)}
    predicted = {share.device: share.batches for share in plan.totals.devices}
    assert predicted["synthetic-2"] > predicted["synthetic-1"] > 0
    assert done["synthetic-2"] > done["synthetic-1"] > 0
