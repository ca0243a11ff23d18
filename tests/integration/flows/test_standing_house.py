"""The standing house for real: up, a schedule that fires, an order at once, and down without a trace.

One house serves every test of this file, because it takes half a minute to come up.
"""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flows.auditing import audit_report
from flows.bootstrap import House, open_house
from flows.orders import run_on_demand
from flows.planning import known_costs
from flows.prefect_requests import PrefectApi, ask
from flows.prefect_server import standing_server
from flows.rendering import list_jobs
from flows.replanning import replan_job
from flows.schedules import add_schedule, list_schedules, remove_schedule
from flows.settings import load_settings
from flows.standing_house import HouseStatus, bring_up, status, take_down
from flows.steering import cancel_job
from policy.errors import ServiceFault
from policy.tiers import ServiceTier
from registry.records import JobRecord, JobState
from rightstep.web.app import build_app
from tests.integration.flows.jobs.night import (
    PATIENCE,
    done_per_shot,
    run_command,
    start_command,
    submit,
    wait_for_done,
    wait_until,
    write_order,
)
from tests.integration.web.desk import client_of
from tests.integration.web.desk import order as http_order
from tests.integration.web.listening import events_in
from workers.renderer import RendererKind, runtime_versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = {
    "RIGHTSTEP_RENDERER": "synthetic",
    "RIGHTSTEP_WORKERS": "2",
    "RIGHTSTEP_SYNTHETIC_SECONDS_PER_STEP": "0.1",
}
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path: Ray's sockets lie below it."""
    with TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command of this house would find; the services read the same."""
    for name, value in {**SETTINGS, "RIGHTSTEP_HOME": str(folder / "h")}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def house(folder: Path) -> Iterator[House]:
    """A house with a schedule that was added before anything was up, and one from after."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**SETTINGS, "RIGHTSTEP_HOME": str(folder / "h")}.items():
            environment.setenv(name, value)
        opened = open_house(load_settings())
        try:
            early = add_schedule(opened, write_order(folder, 2, name="early"), cron="* * * * *")
            assert not early.will_fire
            bring_up(opened)
            order = write_order(folder, 2, name="late", shots={"prompt": "a 3d fox"})
            late = add_schedule(opened, order, cron="* * * * *")
            assert late.will_fire
            yield opened
        finally:
            take_down(opened)
            opened.engine.dispose()


def pids(state: HouseStatus) -> dict[str, int | None]:
    return {service.name: service.pid for service in state.services}


def processes_of(home: Path) -> list[str]:
    """Every living process that was started for a home, by the environment it was started with."""
    marks = {f"RIGHTSTEP_HOME={home}".encode(), f"PREFECT_HOME={home / 'prefect'}".encode()}
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if marks & set((entry / "environ").read_bytes().split(b"\0")):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:150])
        except OSError:
            continue
    return found


def run_of(house: House, run_id: str) -> dict[str, object]:
    server = standing_server(house.settings)
    assert server is not None
    found = ask(server, "GET", f"/flow_runs/{run_id}")
    return dict(found["state"])


@pytest.mark.parametrize("name", ["early", "late"])
def test_a_schedule_fires_and_its_pictures_are_exported(house: House, name: str):
    """``early`` was added while nothing was up, ``late`` while everything was."""
    wait_until("the scheduled job is finished", lambda: finished(house, name))
    remove_schedule(house, name)
    job = next(job for job in list_jobs(house) if job.name == name)
    assert job.counts.made == 2
    out = house.settings.home / "out" / job.job_id
    wait_until("the job is exported", (out / "report.html").is_file)
    assert sorted(path.name for path in out.glob("*.png")) == ["shot-0000.png", "shot-0001.png"]
    assert name not in {one.name for one in list_schedules(house)}


def test_an_order_on_demand_is_made_once_however_often_it_is_asked_for(house: House, folder: Path):
    order = write_order(folder, 2, name="now", shots={"prompt": "a flat dolphin"})
    first, second = run_on_demand(house, order), run_on_demand(house, order)
    assert first == second
    wait_until("the order is made", lambda: run_of(house, first)["type"] in FINAL)
    assert run_of(house, first)["type"] == "COMPLETED"
    (job,) = [job for job in list_jobs(house) if job.name == "now"]
    assert (job.tier, job.state) == ("interactive", JobState.FINISHED)


def test_a_refused_order_ends_as_failed_and_says_why(house: House, folder: Path):
    shots = {"loras": ["rightstep/emoji-64-style-shapes"]}
    run = run_on_demand(house, write_order(folder, 1, name="forbidden", shots=shots))
    wait_until("the order is answered", lambda: run_of(house, run)["type"] in FINAL)
    state = run_of(house, run)
    assert state["type"] == "FAILED"
    assert "emoji-64-style-shapes" in str(state["message"])
    refusals = [event for event in audit_report(house) if event.event.tag == "job:plan:refused"]
    assert len(refusals) == 1
    assert not any(job.name == "forbidden" for job in list_jobs(house))


def ask_for_many(house: House, folder: Path, name: str) -> str:
    """Order what takes a while, and wait for its first pictures; returns the id of the flow run."""
    order = write_order(folder, 256, name=name, shots={"prompt": f"a flat {name}"})
    run = run_on_demand(house, order, tier=ServiceTier.BATCH)
    wait_until(
        "the first pictures", lambda: any(job.counts.done for job in list_jobs(house) if job.name == name)
    )
    return run


def test_a_flow_run_that_is_cancelled_in_prefect_cancels_its_job_and_stops_the_workers(
    house: House, folder: Path
):
    run = ask_for_many(house, folder, "owl")
    server = standing_server(house.settings)
    assert server is not None
    wish = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    ask(server, "POST", f"/flow_runs/{run}/set_state", wish)
    wait_until("the run has ended", lambda: run_of(house, run)["type"] in FINAL)
    assert run_of(house, run)["type"] == "CANCELLED"
    (job,) = [job for job in list_jobs(house) if job.name == "owl"]
    assert job.state is JobState.CANCELLED
    assert job.counts.cancelled > 0
    assert job.counts.open == 0


def api_of(house: House) -> PrefectApi:
    server = standing_server(house.settings)
    assert server is not None
    return server


def emit(house: House, key: str, **payload: str) -> None:
    """What `prefect event emit` sends."""
    event = {
        "id": str(uuid.uuid4()),
        "event": "rightstep.render.requested",
        "occurred": house.clock().isoformat(),
        "resource": {"prefect.resource.id": key},
        "payload": payload,
    }
    ask(api_of(house), "POST", "/events", [event])


def runs_for(house: House, key: str) -> list[dict[str, object]]:
    """The flow runs that events with this key have started."""
    which = {"flows": {"name": {"any_": ["on-demand"]}}, "limit": 50}
    found = ask(api_of(house), "POST", "/flow_runs/filter", which)
    return [run for run in found if run["parameters"].get("key") == key]


def announced(house: House, name: str) -> list[dict[str, object]]:
    """The payloads of every event of this name."""
    soon = (house.clock() + timedelta(hours=2)).isoformat()  # a clock of a test may be fast
    asked = {"event": {"name": [name]}, "occurred": {"until": soon}}
    found = ask(api_of(house), "POST", "/events/filter", {"filter": asked})
    return [dict(event["payload"]) for event in found["events"]]


def test_the_same_event_twice_renders_once_and_the_end_is_an_event(house: House, folder: Path):
    order = write_order(folder, 2, name="evented", shots={"prompt": "a flat swan"})
    for _ in range(2):
        emit(house, "asset-7", manifest=str(order))
    wait_until("both runs", lambda: len(runs_for(house, "asset-7")) == 2)
    wait_until(
        "both runs are over",
        lambda: all(run["state"]["type"] in FINAL for run in runs_for(house, "asset-7")),
    )
    assert {run["state"]["type"] for run in runs_for(house, "asset-7")} == {"COMPLETED"}
    (job,) = [job for job in list_jobs(house) if job.name == "evented"]
    assert (job.state, job.tier) == (JobState.FINISHED, "batch")
    assert set(done_per_shot(house, job.job_id).values()) == {1}

    def ends() -> list[dict[str, object]]:
        return [one for one in announced(house, "rightstep.job.finished") if one["job_id"] == job.job_id]

    wait_until("its end is told", ends)
    (end,) = ends()
    assert (end["state"], end["made"], end["shots"]) == ("finished", 2, 2)


def test_a_deadline_at_risk_is_an_event_once(house: House, folder: Path):
    soon = (house.clock() + timedelta(hours=1)).isoformat()
    order = write_order(folder, 8, name="due", shots={"prompt": "a flat yak"}, deadline=soon)
    job = submit(house, order)  # handed in to nobody: it waits
    late = replace(house, clock=lambda: house.clock() + timedelta(hours=1, seconds=-1))
    for _ in range(2):
        replan_job(late, job.job_id, known_costs(house), runtime_versions(RendererKind.SYNTHETIC))

    def told() -> list[dict[str, object]]:
        return [one for one in announced(house, "rightstep.job.at_risk") if one["job_id"] == job.job_id]

    wait_until("the risk is told", told)
    (risk,) = told()
    assert (risk["round"], risk["finish_p95"] > risk["seconds_left"]) == (1, True)
    cancel_job(house, job.job_id)


def test_an_event_for_a_forbidden_order_makes_no_job_and_tells_the_reason(house: House, folder: Path):
    shots = {"loras": ["rightstep/emoji-64-style-shapes"]}
    order = write_order(folder, 1, name="barred", shots=shots)
    emit(house, "asset-8", manifest=str(order), tier="interactive")

    def told() -> list[dict[str, object]]:
        return [one for one in announced(house, "rightstep.order.refused") if one["manifest"] == str(order)]

    wait_until("the refusal is told", told)
    (refusal,) = told()
    assert refusal["error"] == "Refused"
    assert refusal["reasons"] == ["noncommercial_licence"]
    assert not any(job.name == "barred" for job in list_jobs(house))


def test_a_command_that_waits_exits_as_its_job_ends_and_its_key_makes_it_once(house: House, folder: Path):
    order = write_order(folder, 2, name="waited", shots={"prompt": "a flat crow"})
    asked = ("render", str(order), "--wait", "--once", "crow-1", "--json")
    first, again = (run_command(house, *asked) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    jobs = [json.loads(answer.stdout)["job"] for answer in (first, again)]
    assert [job["state"] for job in jobs] == ["finished", "finished"]
    assert jobs[0]["job_id"] == jobs[1]["job_id"]
    other = write_order(folder, 3, name="waited", shots={"prompt": "a flat crow"})
    refused = run_command(house, "render", str(other), "--wait", "--once", "crow-1")
    assert refused.returncode == 2
    assert jobs[0]["job_id"] in refused.stderr


def test_who_stops_waiting_does_not_stop_the_job(house: House, folder: Path):
    order = write_order(folder, 64, name="left", shots={"prompt": "a flat heron"})
    command = start_command(house, "render", str(order), "--wait")

    def found() -> list[JobRecord]:
        return [job for job in list_jobs(house) if job.name == "left"]

    wait_until("it is submitted", found)
    (job,) = found()
    wait_for_done(house, job.job_id, 1)
    command.send_signal(signal.SIGINT)
    _, told = command.communicate(timeout=PATIENCE)
    assert command.returncode == 130
    assert f"rightstep job cancel {job.job_id}" in told
    wait_until("the house has made it", lambda: finished(house, "left"))


def test_an_order_over_http_is_rendered_by_the_standing_house_and_followed_to_its_end(house: House):
    client = client_of(build_app(house))
    assert client.get("/readyz").json()["is_ready"]
    order = http_order("a", "b", name="by-http")
    answer = client.post("/v1/jobs", json=order, headers={"idempotency-key": "1"})
    assert answer.status_code == 201, answer.text
    job = answer.json()["job_id"]
    events = list(events_in(client.get(f"/v1/jobs/{job}/events").iter_lines()))
    assert (events[-1].name, events[-1].data["state"]) == ("end", "finished")
    assert client.get(f"/v1/jobs/{job}/shots/b/artefact").content.startswith(b"\x89PNG")
    out = house.settings.home / "out" / job
    wait_until("the job is exported", (out / "report.html").is_file)
    again = client.post("/v1/jobs", json=order, headers={"idempotency-key": "1"})
    assert (again.status_code, again.json()["job_id"]) == (200, job)


def test_a_job_that_is_cancelled_over_http_stops_its_workers(house: House):
    client = client_of(build_app(house))
    names = [f"s{number:03}" for number in range(256)]
    order = http_order(*names, name="far-too-many", shots={"prompt": "a flat elk"})
    job = client.post("/v1/jobs", json=order).json()["job_id"]
    wait_until("the first pictures", lambda: client.get(f"/v1/jobs/{job}").json()["counts"]["done"])
    assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    server = standing_server(house.settings)
    assert server is not None

    def runs_have_ended() -> bool:
        which = {"flows": {"name": {"any_": ["submitted"]}}, "limit": 10}
        found = ask(server, "POST", "/flow_runs/filter", which)
        return all(run["state"]["type"] in FINAL for run in found)

    wait_until("nobody drives it any more", runs_have_ended)
    counts = client.get(f"/v1/jobs/{job}").json()["counts"]
    assert counts["cancelled"] > 0
    assert counts["queued"] == counts["leased"] == 0


def test_a_house_that_is_up_stays_the_same_house(house: House):
    before = status(house)
    assert [service.is_up for service in before.services] == [True, True, True]
    assert pids(bring_up(house)) == pids(before)


def test_a_house_that_is_taken_down_leaves_no_process_and_a_job_under_way_can_be_resumed(
    house: House, folder: Path
):
    assert len(processes_of(house.settings.home)) >= 3
    ask_for_many(house, folder, "bee")
    state = take_down(house)
    (job,) = state.jobs
    assert job.state is JobState.RUNNING
    assert job.counts.leased == 0, "its leases were given back"
    assert job.counts.open > 0
    assert not any(service.is_up or service.pid for service in state.services)
    assert processes_of(house.settings.home) == []
    assert list((house.settings.home / "run").glob("*.json")) == []
    assert take_down(house) == state  # there is nothing left to do


def test_nothing_takes_orders_while_the_house_is_down(house: House, folder: Path):
    take_down(house)
    with pytest.raises(ServiceFault, match="No standing house"):
        run_on_demand(house, write_order(folder, 1))
    client = client_of(build_app(house))
    assert client.post("/v1/jobs", json=http_order("a")).status_code == 503
    assert client.get("/readyz").status_code == 503


def finished(house: House, name: str) -> bool:
    return any(job.name == name and job.state is JobState.FINISHED for job in list_jobs(house))
