"""What Ray reads from the environment, set in one place and before Ray is imported.

Ray is closed by us and not by its defaults: token authentication is switched on
explicitly, everything listens on loopback, nothing is reported to anyone.
"""

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from policy.errors import ServiceFault
from workers.renderer import WORKER_ENVIRONMENT

LOOPBACK = "127.0.0.1"
TOKEN_FILE = "auth-token"  # noqa: S105 - the name of the file, not a secret
OWN_ADDRESS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # leave CUDA_VISIBLE_DEVICES alone
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # the driver's stdout is ours: a worker's death is told by its takes
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers run in this environment, not in one that uv builds
    OWN_ADDRESS: "0",  # else Ray replaces loopback by an outer address
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # batches halve on out-of-memory; Ray must not kill first
}


def ray_environment(folder: Path) -> dict[str, str]:
    """The environment for Ray processes of a house, with the token that guards them; makes the token once."""
    guard = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file(folder))}
    return {**WORKER_ENVIRONMENT, **QUIET, **guard, **_import_path()}


def joining_environment(address: str) -> dict[str, str]:
    """The environment for a driver on a Ray that others run; ServiceFault where its token is not given."""
    token = os.environ.get("RAY_AUTH_TOKEN") or _content(os.environ.get("RAY_AUTH_TOKEN_PATH", ""))
    if not token:
        raise ServiceFault(
            f"There is no token for the Ray at {address}.",
            "Set RAY_AUTH_TOKEN_PATH to the file that holds the token of that Ray, or RAY_AUTH_TOKEN.",
        )
    host = address.rpartition(":")[0].strip("[]")
    own_address = {} if is_loopback(host) else {OWN_ADDRESS: "1"}  # nodes know each other by outer ones
    return {**WORKER_ENVIRONMENT, **QUIET, **own_address, "RAY_AUTH_MODE": "token", **_import_path()}


def set_ray_environment(environment: Mapping[str, str]) -> None:
    """Set it for this process, which Ray's own child processes inherit; ServiceFault where Ray was faster."""
    changed = [name for name in QUIET if os.environ.get(name) != environment[name]]
    if "ray" in sys.modules and changed:
        raise ServiceFault(
            "Ray was imported before its environment was set.", "Start Ray through workers.cluster only."
        )
    os.environ.update(environment)


def token_file(folder: Path) -> Path:
    """The file with the token, readable by this user alone; written on first use."""
    path = folder / TOKEN_FILE
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{TOKEN_FILE}.{os.getpid()}"
        handle = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
        try:
            os.link(draft, path)  # atomic: of two starts at once, one token wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path


def require_closed(host: str, environment: Mapping[str, str]) -> None:
    """Refuse to listen beyond this machine unless a token guards the door."""
    if is_loopback(host):
        return
    token = environment.get("RAY_AUTH_TOKEN") or _content(environment.get("RAY_AUTH_TOKEN_PATH", ""))
    if environment.get("RAY_AUTH_MODE") != "token" or not token:
        raise ServiceFault(
            f"Ray will not listen on {host} without a token: anyone who can reach it could run code here.",
            "Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH, or listen on 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    try:
        addresses = {ip_address(host)}
    except ValueError:
        try:
            addresses = {ip_address(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
        except OSError as fault:
            raise ServiceFault(
                f"The host {host} has no address: {fault}.", "Use an address of this machine."
            ) from fault
    return all(address.is_loopback for address in addresses)


def _import_path() -> dict[str, str]:
    """Worker processes import these very packages, also from a checkout that is not installed."""
    root = str(Path(__file__).resolve().parents[1])
    known = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if root in known or Path(root).name in {"site-packages", "dist-packages"}:
        return {}
    return {"PYTHONPATH": os.pathsep.join([root, *known])}


def _content(path: str) -> str:
    return Path(path).read_text().strip() if path and Path(path).is_file() else ""
