"""What the doctor says of keys, secrets, cards, clock and port; each fault is made for real."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from flows.bootstrap import House, open_house
from flows.doctor import doctor
from flows.doctor_findings import Finding
from flows.safeguards import SAFEGUARDS
from flows.settings import load_settings
from workers.processes import ProcessRecord, own_process, write_record
from workers.ray_environment import token_file


@pytest.fixture
def house() -> Iterator[House]:
    opened = open_house(load_settings())
    yield opened
    opened.engine.dispose()


def found(house: House) -> dict[str, Finding]:
    return {one.check: one for check in SAFEGUARDS for one in check(house)}


def again(house: House) -> House:
    """The same house under the settings of now."""
    return replace(house, settings=load_settings())


def test_a_house_at_rest_is_safe_and_the_doctor_asks_all_of_it(house: House, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RIGHTSTEP_SERVE_PORT", str(server.getsockname()[1]))
    findings = found(again(house))
    assert {name: one.state.value for name, one in findings.items()} == dict.fromkeys(
        ("key files", "ray token", "prefect secret", "gpu", "clock", "serve port"), "ok"
    )
    assert set(findings) <= {one.check for one in doctor(again(house))}
    assert not (house.settings.home / "ray").exists(), "it reads, and makes no token"


def test_a_key_that_others_may_read_is_a_problem_that_says_how_to_close_it(house: House):
    token = token_file(house.settings.home / "ray")
    assert found(house)["key files"].detail == "1 file, all private"
    token.chmod(0o644)
    told = found(house)["key files"]
    assert (told.state.value, told.next_step) == ("problem", f"Run: chmod 600 {token}")


@pytest.mark.parametrize(("mode", "state"), [("token", "ok"), ("disabled", "problem"), (None, "problem")])
def test_a_ray_of_ours_that_asks_for_no_token_is_a_problem(house: House, mode: str | None, state: str):
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    if mode is not None:
        environment["RAY_AUTH_MODE"] = mode
    code = "import time; print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()  # its environment is its own by now
        process = own_process("raylet", started.pid)
        assert process is not None
        folder = house.settings.home / "ray"
        folder.mkdir()
        write_record(folder / "standing-ray.json", ProcessRecord(owner=process, processes=(process,)))
        told = found(house)["ray token"]
        started.kill()
    assert (told.state.value, bool(told.next_step)) == (state, state == "problem")


def test_a_ray_elsewhere_without_its_token_is_a_problem(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RIGHTSTEP_RAY_ADDRESS", "127.0.0.1:9")
    assert found(again(house))["ray token"].state.value == "ok"
    for name in (
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
    ):  # the path: of a Ray that this process started before
        monkeypatch.delenv(name, raising=False)
    told = next(one for one in doctor(again(house)) if one.check == "ray asks for its token")
    assert told.state.value == "problem"
    assert "RAY_AUTH_TOKEN_PATH" in told.next_step


class Door(BaseHTTPRequestHandler):
    """What a Prefect server says at its door: that it is well, and whether it knows the caller."""

    asks = ""

    def do_GET(self) -> None:
        is_open = self.path.endswith("/health") or self.asks in ("", self.headers.get("Authorization"))
        self.send_response(200 if is_open else 401)
        self.end_headers()
        self.wfile.write(json.dumps("3").encode())

    def log_message(self, *_words: object) -> None:
        """The test's output is its own."""


@pytest.mark.parametrize(
    ("asks", "auth", "state", "word"),
    [
        ("Basic aG91c2U6c2VjcmV0", "house:secret", "ok", "asked for"),
        ("Basic aG91c2U6c2VjcmV0", "house:wrong", "problem", "does not take ours"),
        ("Basic aG91c2U6c2VjcmV0", "", "problem", "does not take ours"),
        ("", "", "warning", "lets anybody in"),
        ("", "house:secret", "warning", "lets anybody in"),
    ],
)
def test_a_prefect_server_that_lets_anybody_in_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch, asks: str, auth: str, state: str, word: str
):
    handler = type("Asking", (Door,), {"asks": asks})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("RIGHTSTEP_PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        monkeypatch.setenv("RIGHTSTEP_PREFECT_AUTH", auth)
        told = found(again(house))["prefect secret"]
        server.shutdown()
    assert (told.state.value, word in told.detail) == (state, True)


def test_more_cards_than_there_are_is_a_problem(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RIGHTSTEP_DEVICES", "cpu workers=1, cuda workers=4000")
    told = found(again(house))["gpu"]
    assert told.state.value == "problem"
    assert "for 4000" in told.detail
    monkeypatch.setenv("RIGHTSTEP_RAY_ADDRESS", "127.0.0.1:9")
    assert found(again(house))["gpu"].state.value == "ok"


def test_a_clock_that_went_back_is_a_problem(house: House):
    earlier = replace(house, clock=lambda: house.clock() - timedelta(days=2))
    told = found(earlier)["clock"]
    assert told.state.value == "problem"
    assert "went back" in told.detail


def test_a_port_that_somebody_else_has_is_told_and_our_own_is_not(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RIGHTSTEP_SERVE_PORT", str(server.getsockname()[1]))
        told = found(again(house))["serve port"]
        assert (told.state.value, "something else" in told.detail) == ("warning", True)
        with (house.settings.run_folder / "serve.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert found(again(house))["serve port"].state.value == "ok"
