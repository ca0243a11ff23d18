"""What every test gets: a clean environment and a home of its own. Nothing heavy is imported here."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.lanes"]

OURS_AND_THEIRS = ("RIGHTSTEP_", "PREFECT_", "RAY_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "DIFFUSERS_")
# One token for every Ray of a test session: its core reads the token once a process, and a session starts several.
RAY_TOKEN = secrets.token_hex(32)
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_AUTH_TOKEN": RAY_TOKEN,
    "RAY_USAGE_STATS_ENABLED": "0",
}


def pytest_configure() -> None:
    """Clean before anything is imported: several libraries read the environment once, at import."""
    for name in [name for name in os.environ if name.startswith(OURS_AND_THEIRS)]:
        del os.environ[name]
    os.environ.update(QUIET)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell's background job; children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A private home: no test can read or touch a real one."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("RIGHTSTEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    monkeypatch.setenv("RIGHTSTEP_HOME", str(folder / "rightstep"))
    return folder


@pytest.fixture(scope="session")
def in_ci() -> bool:
    """A missing service skips on a laptop and fails in CI."""
    return os.environ.get("CI") == "true"
