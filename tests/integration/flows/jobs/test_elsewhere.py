"""A house whose Prefect and Ray stand elsewhere: it uses them, starts none, and is let in by secrets alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.prefect_requests import PrefectApi, ask
from flows.prefect_server import STANDING, standing_server
from flows.rendering import render_job
from flows.standing_house import status
from policy.errors import ServiceFault
from registry.records import JobState
from tests.integration.flows.jobs.conftest import join_services
from tests.integration.flows.jobs.night import assert_each_shot_done_once, submit, write_order
from workers.cluster import standing_address
from workers.processes import read_record

MakeHouse = Callable[..., House]
pytestmark = pytest.mark.slow


@pytest.fixture
def api(services: Path, make_lone_house: MakeHouse) -> PrefectApi:
    """The standing server of the services, as a home beside it sees it."""
    home = make_lone_house().settings.home
    (home / "ray").mkdir(exist_ok=True)
    (home / "ray").rmdir()
    join_services(services, home)
    found = standing_server(make_lone_house(home).settings)
    assert found is not None
    return found


def test_a_job_is_made_on_services_elsewhere_and_none_is_started(
    services: Path, api: PrefectApi, make_lone_house: MakeHouse, tmp_path: Path
):
    address = standing_address(services / "ray")
    house = make_lone_house(prefect_api_url=api.url, prefect_auth=api.auth, ray_address=address)
    home = house.settings.home
    assert house.settings.prefect_elsewhere == api
    assert [(one.name, one.is_up, one.pid) for one in status(house).services[:2]] == [
        ("prefect", True, None),
        ("ray", True, None),
    ]
    job = submit(house, write_order(tmp_path, 6))
    assert render_job(house, job.job_id).state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    assert list((home / "run").glob("*prefect*.json")) == []
    assert not (home / "ray").exists(), "no Ray of ours, and no token"
    assert standing_address(services / "ray") == address


@pytest.mark.parametrize("auth", ["", "rightstep:wrong", "nobody:"])
def test_prefect_answers_nobody_without_its_secret(api: PrefectApi, auth: str):
    assert ask(api, "POST", "/flows/filter", {"limit": 1}) is not None
    with pytest.raises(ServiceFault, match=r"401 .*Unauthorized"):
        ask(PrefectApi(url=api.url, auth=auth), "POST", "/flows/filter", {"limit": 1})


def test_the_secret_of_prefect_lies_in_the_home_for_its_owner_alone(services: Path, api: PrefectApi):
    record = read_record(services / "run" / STANDING)
    assert record is not None
    secret = Path(dict(record.facts)["secret"])
    assert secret.is_relative_to(services)
    assert secret.stat().st_mode & 0o077 == 0
    assert api.auth == f"rightstep:{secret.read_text(encoding='utf-8')}"
    assert len(api.auth) > 60
    assert api.auth not in repr(api)
    commands = (Path("/proc") / str(record.owner.pid) / "cmdline").read_bytes().decode()
    assert secret.read_text(encoding="utf-8") not in commands, "everybody may read a command line"


def test_a_server_elsewhere_that_does_not_answer_is_told_and_not_replaced(
    make_lone_house: MakeHouse, tmp_path: Path
):
    house = make_lone_house(prefect_api_url="http://127.0.0.1:9/api")
    job = submit(house, write_order(tmp_path, 1))
    with pytest.raises(ServiceFault, match=r"127\.0\.0\.1:9/api does not answer"):
        render_job(house, job.job_id)
    assert list((house.settings.home / "run").glob("*prefect*.json")) == []
