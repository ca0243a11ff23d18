"""A night on two machines that share a network, a ledger's driver and an object store, and no folder at all."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.bootstrap import open_house
from flows.rendering import job_of, shots_of
from flows.settings import load_settings
from registry.catalogue import BUILTIN
from registry.records import JobState
from registry.verification import sha256_file
from tests.integration.flows.jobs.night import submit, takes_of, write_order
from tests.integration.workers.test_two_nodes import (
    HEAD,
    NODE,
    PORT,
    RAY,
    ROOT,
    cable,  # noqa: F401 - a fixture, found by its name here
)
from tests.local_s3.server import KEY, REGION, SECRET

STORE_PORT, SHOTS = 9000, 12
KEEP_A_STORE = f"""
import threading
from tests.local_s3.server import LocalS3
with LocalS3(host="{HEAD}", port={STORE_PORT}).running():
    print("here", flush=True)
    threading.Event().wait()
"""
# Another machine: its own name, processes and folders. It has the program, and neither home nor models.
JOIN_AND_WORK = f"""
for folder in "$1" "$2" "$3"; do mount -t tmpfs tmpfs "$folder"; done
hostname far
exec "{sys.executable}" -m ray.scripts.scripts start --block --address={HEAD}:{PORT} --node-ip-address={NODE} --num-cpus=1
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@contextmanager
def running(*command: str | Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()  # unshare waits for its child on any other signal
        process.communicate()


def test_both_machines_make_the_night_and_what_one_lacks_comes_from_the_store(
    cable: tuple[str, str],  # noqa: F811 - the fixture of that name
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    head, node = cable
    sessions, home = Path(tempfile.mkdtemp(prefix="rs")), Path(tempfile.mkdtemp(prefix="rs"))
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    settings = {
        "home": home,
        "workers": 2,
        "ray_address": f"{HEAD}:{PORT}",
        "store": "s3://house/night",
        "store_endpoint": f"http://{HEAD}:{STORE_PORT}",
        "store_region": REGION,
        "store_key": KEY,
        "store_secret": SECRET,
        "prefect_start_seconds": 240,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"RIGHTSTEP_{name.upper()}", str(value))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    environment = dict(os.environ)

    def inside(name: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", name, *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    house = open_house(load_settings())
    order = write_order(tmp_path, SHOTS, shots={"steps": 4, "method": "emoji-64-lcm"})
    job = submit(house, order)
    enter = ("ip", "netns", "exec")
    with running(*enter, head, sys.executable, "-c", KEEP_A_STORE, environment=environment) as store:
        assert store.stdout is not None
        assert store.stdout.readline() == "here\n"
        started = inside(
            *(head, *RAY, "start", "--head", f"--port={PORT}", "--num-cpus=1", "--include-dashboard=false"),
            *(f"--node-ip-address={HEAD}", f"--temp-dir={sessions}"),
        )
        assert started.returncode == 0, started.stdout + started.stderr
        alone = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        far = (*alone, "sh", "-ec", JOIN_AND_WORK, "sh", sessions, home, BUILTIN / "hub")
        with running(*enter, node, *far, environment=environment):
            told = inside(head, sys.executable, "-m", "rightstep", "job", "resume", job.job_id)
            assert told.returncode == 0, told.stdout + told.stderr
            assert job_of(house, job.job_id).state is JobState.FINISHED
            makers = {take.worker.partition(":")[0] for take in takes_of(house, job.job_id) if take.worker}
            assert len(makers) == 2
            assert "far" in makers
            pictures = [shot.artefact.sha256 for shot in shots_of(house, job.job_id) if shot.artefact]
            exported = inside(
                *(head, sys.executable, "-m", "rightstep", "job", "report", job.job_id),
                *("--out", tmp_path / "pictures"),
            )
            assert exported.returncode == 0, exported.stderr
            assert {sha256_file(path) for path in (tmp_path / "pictures").rglob("*.png")} == set(pictures)
    house.engine.dispose()
    for folder in (sessions, home):
        shutil.rmtree(folder, ignore_errors=True)
