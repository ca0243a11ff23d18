"""A Prefect server of our own: one process, loopback, its database under our home, no telemetry.

It asks every caller for a secret that lies in the home: other users of the machine reach loopback too.
Where the settings name a server that stands elsewhere, that one is used and none is started.

Prefect's in-process temporary server prints tracebacks when it shuts down; a process that
we start and end by id does not.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.prefect_requests import TIMEOUT_SECONDS, PrefectApi
from flows.settings import Settings
from policy.errors import ServiceFault
from workers.processes import OwnProcess, ProcessRecord, end, own_process, read_record, reap, write_record
from workers.ray_environment import token_file

LOOPBACK = "127.0.0.1"
STANDING = "standing-prefect.json"
OK = 200
REFUSED = frozenset({401, 403})
CALLER = "rightstep"  # the name before the secret


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefectServer:
    """A server that was started, whether or not it answers yet."""

    process: OwnProcess
    api: PrefectApi
    record: Path
    log: Path


def prefect_environment(home: Path, *, api: PrefectApi | None = None) -> dict[str, str]:
    """Variables for our own server, or for the clients of ``api``; nothing of it reaches another home."""
    folder = home / "prefect"
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        # One record at a time, flushed every five seconds, is Prefect's default and far too slow for chunks.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
        "DO_NOT_TRACK": "1",
    }
    if api is None:
        settings["PREFECT_SERVER_API_AUTH_STRING"] = _auth_in(token_file(folder))
    else:
        settings["PREFECT_API_URL"] = api.url
        if api.auth:
            settings["PREFECT_API_AUTH_STRING"] = api.auth
    return settings


def use_server(home: Path, api: PrefectApi, *, log_level: str = "ERROR") -> None:
    """Point this process at a server; before Prefect is imported, because it reads the environment once."""
    if "prefect" in sys.modules and os.environ.get("PREFECT_API_URL") != api.url:
        raise ServiceFault(
            "Prefect is bound to another server in this process.", "Start the job from a fresh process."
        )
    os.environ.update(
        prefect_environment(home, api=api)
        | {
            "PREFECT_LOGGING_LEVEL": log_level,
            "PREFECT_LOGGING_INTERNAL_LEVEL": log_level,
            # Each retry waits twice as long: five, the default, make a minute of every call to a dead server.
            "PREFECT_CLIENT_MAX_RETRIES": "2",
        }
    )


def launch_server(home: Path, *, stands: bool = False) -> PrefectServer:
    """Start a server and return at once; ``await_server`` waits for it. ``stands`` outlives this process."""
    run = home / "run"
    for stale in run.glob("private-prefect-*.json"):
        reap(stale)
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    (home / "logs").mkdir(parents=True, exist_ok=True)
    log = home / "logs" / "prefect-server.log"
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "flows.prefect_service" if stands else "prefect",
        "server",
        "start",
        "--no-ui",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
    ]
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            env=_without_prefect(os.environ) | prefect_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C at the terminal is for the driver, which then ends the server
        )
    process = own_process("prefect-server", started.pid)
    owner = process if stands else own_process("driver", os.getpid())
    if process is None or owner is None:
        raise ServiceFault("The Prefect server ended at once.", f"Look at {log}.")
    secret = token_file(home / "prefect")
    server = PrefectServer(
        process=process,
        api=PrefectApi(url=f"http://{LOOPBACK}:{port}/api", auth=_auth_in(secret)),
        record=run / (STANDING if stands else f"private-prefect-{os.getpid()}.json"),
        log=log,
    )
    facts = (("api_url", server.api.url), ("secret", str(secret)))
    write_record(server.record, ProcessRecord(owner=owner, processes=(process,), facts=facts))
    return server


def await_server(server: PrefectServer, *, seconds: float) -> PrefectApi:
    """The API once the server answers; ServiceFault where it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answers(server.api):
            return server.api
        if not server.process.is_alive:
            stop_server(server)
            raise ServiceFault("The Prefect server ended at its start.", f"Look at {server.log}.")
        time.sleep(0.1)
    stop_server(server)
    raise ServiceFault(
        f"The Prefect server did not answer within {seconds:.0f} seconds.",
        f"Look at {server.log}; a slow machine needs a longer RIGHTSTEP_PREFECT_START_SECONDS.",
    )


def stop_server(server: PrefectServer) -> None:
    """End a server by its id and forget it."""
    end((server.process,))
    with suppress(ChildProcessError):
        os.waitpid(server.process.pid, os.WNOHANG)  # no zombie where it was our own child
    server.record.unlink(missing_ok=True)


def standing_server(settings: Settings) -> PrefectApi | None:
    """The server that the settings name, or the standing one of the home; None where it does not answer."""
    api = settings.prefect_elsewhere or _own_standing(settings.home)
    return api if api is not None and answers(api) else None


def _own_standing(home: Path) -> PrefectApi | None:
    """The standing server of a home, if its process is alive."""
    record = read_record(home / "run" / STANDING)
    if record is None or not record.owner.is_alive:
        return None
    facts = dict(record.facts)
    return PrefectApi(url=facts["api_url"], auth=_auth_in(Path(facts["secret"])))


def _auth_in(secret: Path) -> str:
    return f"{CALLER}:{secret.read_text(encoding='utf-8').strip()}"


def answers(api: PrefectApi) -> bool:
    """Whether a Prefect server answers there; it says so to anybody."""
    try:
        with urllib.request.urlopen(f"{api.url}/health", timeout=2) as response:  # noqa: S310 - an address of the settings, or our own
            return bool(response.status == OK)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def is_let_in(api: PrefectApi) -> bool:
    """Whether a server takes the secret that a client would send; ServiceFault where it is broken."""
    asked = urllib.request.Request(f"{api.url}/admin/version", headers=api.headers)  # noqa: S310 - as above
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
            return bool(response.status == OK)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code not in REFUSED:
            raise ServiceFault(f"{api.url} answers {error.code}.", "Look at its log.") from error
        return False
    except OSError as error:
        raise ServiceFault(f"{api.url} does not answer: {error}", "Look at its log.") from error


def _without_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    """Without anybody's Prefect settings: a private server inherits none."""
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
