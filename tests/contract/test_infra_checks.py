"""The checks of what is deployed find what is wrong: each is shown a fault."""

import copy
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.checks import advisories, alerts, kubernetes, sbom
from infra.checks.places import INFRA, manifests

CLUSTER = next(document for _, document in manifests() if document["kind"] == "RayCluster")
SETTINGS = INFRA / "kubernetes" / "settings.yaml"


def at(document: dict[str, Any], path: str) -> dict[str, Any]:
    found: Any = document
    for step in path.split("."):
        found = found[int(step)] if step.isdigit() else found[step]
    return found


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("spec", "workerGroupSpec", []),
        ("spec.authOptions", "mode", "none"),
        ("spec.workerGroupSpecs.0", "maxReplicas", "8"),
        ("spec.workerGroupSpecs.0", "minReplica", 0),
        ("spec.workerGroupSpecs.0.template.spec", "initContainer", []),
        ("spec.headGroupSpec.template.spec.containers.0.resources", "request", {}),
        ("spec.headGroupSpec.rayStartParams", "num-cpus", 0),
        ("spec.autoscalerOptions.securityContext", "readOnlyRoot", True),
    ],
)
def test_a_slip_of_the_pen_in_the_farm_is_found(where: str, name: str, value: Any):
    broken = copy.deepcopy(CLUSTER)
    at(broken, where)[name] = value
    (fault, *_) = kubernetes.faults([(SETTINGS, broken)])
    assert name in fault


def test_every_query_is_promql_and_something_else_is_not():
    asked = list(alerts.queries())
    assert len(asked) > 30
    assert list(alerts.no_queries(asked)) == []
    (fault,) = alerts.no_queries([("here", "sum by (le (up)")])
    assert fault.startswith("here: ")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool comes with Prometheus")
def test_the_alerts_do_what_their_tests_say():
    assert list(alerts.faults()) == []


def test_the_bill_of_materials_is_whole_and_the_same_twice():
    document = sbom.make_sbom()
    assert sbom.make_sbom() == document
    assert list(sbom.faults()) == []
    found = json.loads(document)
    libraries = {one["name"] for one in found["components"] if one["type"] == "library"}
    assert {"torch", "ray", "prefect", "psycopg", "c2pa-python", "certifi"} <= libraries
    assert {"pytest", "ruff", "av"}.isdisjoint(libraries), "what no image installs"
    models = {one["name"] for one in found["components"] if one["type"] == "machine-learning-model"}
    assert "rightstep/emoji-64" in models
    refs = {one["bom-ref"] for one in found["components"]} | {found["metadata"]["component"]["bom-ref"]}
    assert {ref for one in found["dependencies"] for ref in (one["ref"], *one["dependsOn"])} <= refs


def record(**affected: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": "Torch"}
    return {"id": "X-1", "summary": "It leaks", "affected": [{"package": package, **affected}]}


def ranges(*events: dict[str, str], kind: str = "ECOSYSTEM") -> list[dict[str, Any]]:
    return [{"type": kind, "events": list(events)}]


@pytest.mark.parametrize(
    ("affected", "is_told"),
    [
        ({"ranges": ranges({"introduced": "0"})}, True),
        ({"ranges": ranges({"introduced": "0"}, {"fixed": "2.13.0"})}, False),
        ({"ranges": ranges({"introduced": "0"}, {"fixed": "2.13.1"})}, True),
        ({"ranges": ranges({"introduced": "2.13.1"})}, False),
        ({"ranges": ranges({"introduced": "0"}, {"last_affected": "2.13.0"})}, True),
        ({"ranges": ranges({"introduced": "0"}, {"last_affected": "2.12.9"})}, False),
        ({"ranges": ranges({"fixed": "2.0"}, {"introduced": "1"}, {"introduced": "2.10"})}, True),
        ({"ranges": ranges({"introduced": "0"}, {"fixed": "abc"}, kind="GIT")}, False),
        ({"versions": ["2.12.0", "2.13.0"]}, True),
        ({"versions": ["2.12.0"]}, False),
    ],
)
def test_an_advisory_concerns_the_versions_that_it_names(affected: dict[str, Any], is_told: bool):
    told = list(advisories.concerned([record(**affected)], {"torch": "2.13.0"}))
    assert bool(told) is is_told
    assert all(one.startswith("torch 2.13.0: X-1: It leaks") for one in told)


def test_what_was_withdrawn_or_is_of_another_registry_concerns_nobody():
    known = record(ranges=ranges({"introduced": "0"}))
    elsewhere = copy.deepcopy(known)
    elsewhere["affected"][0]["package"]["ecosystem"] = "npm"
    assert list(advisories.concerned([{**known, "withdrawn": "2026-01-01"}, elsewhere], {"torch": "1"})) == []


def test_the_audit_reads_an_archive_and_says_when_it_had_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(advisories.VARIABLE, raising=False)
    assert list(advisories.faults()) == []
    assert advisories.how().startswith("SKIPPED")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("X-1.json", json.dumps(record(ranges=ranges({"introduced": "0"}))))
    monkeypatch.setenv(advisories.VARIABLE, str(tmp_path / "all.zip"))
    (fault,) = advisories.faults()
    assert "not mended yet" in fault


def test_the_cache_of_a_node_is_filled_once_and_with_whole_files_only(tmp_path: Path):
    """In the Hub's layout: blobs by content, and names that point to them."""
    documents = yaml.safe_load_all(SETTINGS.read_text(encoding="utf-8"))
    script = next(one["data"]["fill.sh"] for one in documents if "fill.sh" in one["data"])
    (tmp_path / "fill.sh").write_text(script, encoding="utf-8")
    shared, cache = tmp_path / "shared", tmp_path / "a cache"
    cache.mkdir()

    def fill() -> None:
        subprocess.run(["sh", tmp_path / "fill.sh", shared, cache], check=True)

    fill()  # nothing was pinned yet
    assert list(cache.iterdir()) == []
    repo = shared / "models--a--b"
    (repo / "blobs").mkdir(parents=True)
    (repo / "snapshots" / "c0ffee" / "unet").mkdir(parents=True)
    (repo / "blobs" / "12ab").write_bytes(b"weights")
    (repo / "blobs" / "34cd.incomplete").write_bytes(b"half")
    (repo / "snapshots" / "c0ffee" / "unet" / "model one.safetensors").symlink_to("../../../blobs/12ab")
    (cache / "models--a--b" / "blobs").mkdir(parents=True)
    (cache / "models--a--b" / "blobs" / "12ab.999.part").write_bytes(b"of a worker that was killed")
    fill()
    brought = cache / "models--a--b"
    assert (brought / "snapshots" / "c0ffee" / "unet" / "model one.safetensors").read_bytes() == b"weights"
    assert not (brought / "blobs" / "34cd.incomplete").exists()
    before = (brought / "blobs" / "12ab").stat()
    (repo / "blobs" / "56ef").write_bytes(b"more")
    fill()
    after = (brought / "blobs" / "12ab").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert (brought / "blobs" / "56ef").read_bytes() == b"more"
