"""The doctor finds what is wrong, and says so in three words: ok, warning, problem."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.bootstrap import House, open_house
from flows.doctor import doctor, is_version
from flows.doctor_findings import Finding
from flows.listeners import Listener, listeners_of
from flows.settings import load_settings
from registry.sources import DirectorySource
from workers.processes import OwnProcess, ProcessRecord, own_process, write_record


@pytest.fixture
def house() -> Iterator[House]:
    opened = open_house(load_settings())
    yield opened
    opened.engine.dispose()


@pytest.fixture
def sleeper() -> Iterator[OwnProcess]:
    """A living process of ours."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        process = own_process("sleeper", started.pid)
        assert process is not None
        yield process
        started.kill()


def found(house: House) -> dict[str, Finding]:
    return {finding.check: finding for finding in doctor(house)}


def test_a_house_at_rest_is_fit_for_the_night(house: House):
    findings = found(house)
    at_rest = ("python", "libraries", "versions", "home", "ledger", "audit log", "left running", "open doors")
    assert {name: findings[name].state.value for name in at_rest} == dict.fromkeys(at_rest, "ok")
    assert findings["service prefect"].state.value == "ok"
    assert "not up" in findings["service prefect"].detail


def test_whatever_is_not_ok_comes_with_a_next_step(house: House):
    assert [one for one in doctor(house) if one.state.value != "ok" and not one.next_step] == []


def test_an_unknown_organisation_is_a_warning(house: House, monkeypatch: pytest.MonkeyPatch):
    assert found(house)["organisation"].state.value == "warning"
    monkeypatch.setenv("RIGHTSTEP_ORGANISATION", "Studio")
    monkeypatch.setenv("RIGHTSTEP_ANNUAL_REVENUE_USD", "0")
    assert found(replace(house, settings=load_settings()))["organisation"].state.value == "ok"


def test_figures_of_long_ago_are_a_warning(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RIGHTSTEP_ORGANISATION", "Studio")
    monkeypatch.setenv("RIGHTSTEP_ANNUAL_REVENUE_USD", "0")
    monkeypatch.setenv("RIGHTSTEP_ORGANISATION_AS_OF", "2020-01-01")
    told = found(replace(house, settings=load_settings()))["organisation"]
    assert (told.state.value, "2020-01-01" in told.detail) == ("warning", True)
    assert "default" in told.next_step


def test_a_model_with_a_changed_byte_is_a_problem_that_names_the_file(house: House, tmp_path: Path):
    source = house.sources[0]
    name = "rightstep/emoji-64-style-shapes"
    copy = tmp_path / "hub"
    for repo in source.repositories():
        shutil.copytree(source.locate(repo), copy / repo)
    weights = copy / name / "pytorch_lora_weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    harmed = replace(house, sources=(DirectorySource(copy, name=source.name),))
    finding = found(harmed)[f"model {name}"]
    assert finding.state.value == "problem"
    assert "pytorch_lora_weights.safetensors" in finding.detail


def test_a_process_whose_owner_is_gone_is_told(house: House, sleeper: OwnProcess):
    gone = OwnProcess(name="driver", pid=sleeper.pid, started=sleeper.started - 1)
    write_record(
        house.settings.run_folder / "private-prefect-1.json", ProcessRecord(owner=gone, processes=(sleeper,))
    )
    finding = found(house)["left running"]
    assert finding.state.value == "warning"
    assert f"sleeper {sleeper.pid}" in finding.detail


def test_half_a_house_is_a_warning_that_says_how_to_mend_it(house: House, sleeper: OwnProcess):
    write_record(
        house.settings.run_folder / "standing-flows.json", ProcessRecord(owner=sleeper, processes=(sleeper,))
    )
    finding = found(house)["service prefect"]
    assert (finding.state.value, finding.next_step) == ("warning", "Run: rightstep up.")


def test_a_record_that_cannot_be_read_is_a_problem_and_stops_no_other_check(house: House):
    (house.settings.run_folder / "private-prefect-1.json").write_text("{}")
    findings = found(house)
    assert findings["nothing was left running"].state.value == "problem"
    assert findings["python"].state.value == "ok"


def test_a_listener_is_found_with_its_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Listener(address="127.0.0.1", port=port) in listeners_of(os.getpid())


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
    ],
)
def test_only_loopback_counts_as_closed(address: str, is_loopback: bool):
    assert Listener(address=address, port=1).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("installed", "wanted", "same"),
    [
        ("3.8.8", "3.8.8", True),
        ("2.13.0+cpu", "2.13.0", True),
        ("2.60.1", "2.60.*", True),
        ("2.6.0", "2.60.*", False),
        ("3.8.9", "3.8.8", False),
        ("missing", "3.8.8", False),
    ],
)
def test_a_version_is_the_pinned_one_or_a_build_of_it(installed: str, wanted: str, same: bool):
    assert is_version(installed, wanted) is same
