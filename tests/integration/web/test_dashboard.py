"""Every query of the dashboard asks for what /metrics really tells, by labels that it really has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flows.bootstrap import open_house
from flows.settings import Settings
from policy.waiting import WaitingRoom
from rightstep.web.app import build_app
from rightstep.web.pictures import PictureStudio
from tests.contract.house import ROOT
from tests.integration.web.desk import SHAPES, NearDriver, NearPort, client_of

INFRA = ROOT / "infra"
DASHBOARD = json.loads((INFRA / "grafana" / "dashboards" / "rightstep.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
RULES = yaml.safe_load((INFRA / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"][0][
    "rules"
]
ALERTS = [rule for rule in RULES if not rule["expr"].startswith("up{")]  # that one is Prometheus' own
METRIC = re.compile(r"\b((?:rightstep|process)_[a-z_]+)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"by \(([^)]*)\)")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
FROM_PROMETHEUS = {"job", "instance"}  # labels that a scrape adds


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Sample -> its labels, of an app that has made a picture, refused one and failed once, with a price."""
    home: Path = tmp_path_factory.mktemp("dashboard") / "home"
    settings = Settings(home=home, renderer="synthetic", workers=1, actor="tester", price_per_device_hour=2.0)
    house = open_house(settings)
    port, room = NearPort(house), WaitingRoom(places=1)
    studio = PictureStudio(port=port, room=room)
    client = client_of(build_app(house, driver=NearDriver(house), images=studio, room=room))
    wish: dict[str, Any] = {"prompt": "a flat fox", "model": "rightstep/emoji-64"}
    assert client.post("/v1/images/generations", json=wish).status_code == 200
    refused = {**wish, "loras": [{"repo": SHAPES}]}
    assert client.post("/v1/images/generations", json=refused).status_code == 422
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    yield found
    port.batcher.close()
    house.engine.dispose()


@pytest.mark.parametrize(("panel", "target"), QUERIES, ids=[f"{p} {t['refId']}" for p, t in QUERIES])
def test_a_query_names_what_is_told(told: dict[str, set[str]], panel: str, target: dict[str, Any]):
    asked = METRIC.findall(target["expr"])
    assert asked, f"{panel} asks for nothing of ours"
    labels: set[str] = set()
    for name, matchers in asked:
        assert name in told, panel
        assert set(MATCHER.findall(matchers)) <= told[name] | FROM_PROMETHEUS, panel
        labels |= told[name]
    for grouped in GROUPED.findall(target["expr"]):
        assert {label.strip() for label in grouped.split(",")} <= labels, panel
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel


@pytest.mark.parametrize("alert", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_an_alert_names_what_is_told(told: dict[str, set[str]], alert: dict[str, Any]):
    asked = METRIC.findall(alert["expr"])
    assert asked
    for name, matchers in asked:
        assert name in told
        assert set(MATCHER.findall(matchers)) <= told[name] | FROM_PROMETHEUS
    assert alert["annotations"]["what_to_do"]


def test_everything_that_is_told_of_rightstep_is_on_the_dashboard(told: dict[str, set[str]]):
    shown = " ".join(target["expr"] for _, target in QUERIES)
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told if name.startswith("rightstep_")}
    assert {name for name in ours if name not in shown} == set()


def test_panels_have_ids_and_places_of_their_own():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [
        (panel["gridPos"]["y"] + row, panel["gridPos"]["x"] + column)
        for panel in DASHBOARD["panels"]
        for row in range(panel["gridPos"]["h"])
        for column in range(panel["gridPos"]["w"])
    ]
    assert len(places) == len(set(places))


def test_prometheus_is_told_to_ask_where_serve_listens():
    found, inside = (
        yaml.safe_load((INFRA / "prometheus" / name).read_text(encoding="utf-8"))
        for name in ("prometheus.yml", "inside.yml")
    )
    (job,), (other,) = found["scrape_configs"], inside["scrape_configs"]
    assert found["rule_files"] == inside["rule_files"] == ["alerts.yml"]
    assert other["job_name"] == job["job_name"], "the alerts ask for that name"
    settings = Settings()
    assert job["job_name"] == "rightstep"
    assert job["static_configs"] == [{"targets": [f"{settings.serve_host}:{settings.serve_port}"]}]
    for path in (INFRA / "grafana" / "provisioning").glob("*/*.yaml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["apiVersion"] == 1
