"""A night on two machines that share a network, a ledger's driver and an object store, and no folder at all."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.cables import ADDRESS, HEAD, OTHER, PATIENCE, ROOT, Cable
from flows.bootstrap import House, open_house
from flows.rendering import job_of, shots_of
from flows.settings import load_settings
from registry.catalogue import BUILTIN
from registry.records import JobState
from registry.verification import sha256_file
from tests.integration.flows.jobs.night import submit, takes_of, write_order
from tests.integration.workers.test_two_nodes import cable  # noqa: F401 - a fixture, found by its name here
from tests.local_s3.server import KEY, REGION, SECRET

STORE_PORT, SHOTS = 9000, 12
KEEP_A_STORE = f"""
import threading
from tests.local_s3.server import LocalS3
with LocalS3(host="{HEAD}", port={STORE_PORT}).running():
    print("here", flush=True)
    threading.Event().wait()
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose Ray spans two machines and whose artefacts lie in a store that both reach."""
    home = Path(tempfile.mkdtemp(prefix="rs"))
    settings = {
        "home": home,
        "workers": 2,
        "ray_address": ADDRESS,
        "store": "s3://house/night",
        "store_endpoint": f"http://{HEAD}:{STORE_PORT}",
        "store_region": REGION,
        "store_key": KEY,
        "store_secret": SECRET,
        "prefect_start_seconds": PATIENCE,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"RIGHTSTEP_{name.upper()}", str(value))
    opened = open_house(load_settings())
    yield opened
    opened.engine.dispose()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def at_the_head(house: House, cable: Cable) -> Cable:  # noqa: F811 - the fixture of that name
    """The cable, whose commands know the house, with a store and Ray's head at one end."""
    cable.environment.update(
        {name: value for name, value in os.environ.items() if name.startswith("RIGHTSTEP_")}
    )
    store = subprocess.Popen(
        cable.command(cable.head, sys.executable, "-c", KEEP_A_STORE),
        cwd=ROOT,
        env=cable.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert store.stdout is not None
    assert store.stdout.readline() == "here\n"
    store.stdout.close()
    cable.start_head(cpus=1)
    return cable  # every process on it ends with it


def test_both_machines_make_the_night_and_what_one_lacks_comes_from_the_store(
    house: House, at_the_head: Cable, tmp_path: Path
):
    def rightstep(*words: str | Path) -> None:
        told = at_the_head.run(at_the_head.head, sys.executable, "-m", "rightstep", *words)
        assert told.returncode == 0, told.stdout + told.stderr

    shots = {"steps": 4, "method": "emoji-64-lcm"}
    job = submit(house, write_order(tmp_path, SHOTS, shots=shots))
    node = at_the_head.join_node(1, house.settings.home, BUILTIN / "hub")  # neither home nor models
    try:
        rightstep("job", "resume", job.job_id)
        rightstep("job", "report", job.job_id, "--out", tmp_path / "pictures")
    finally:
        at_the_head.unplug_node()
        node.wait(timeout=PATIENCE)
    assert job_of(house, job.job_id).state is JobState.FINISHED
    makers = {take.worker.partition(":")[0] for take in takes_of(house, job.job_id) if take.worker}
    assert len(makers) == 2
    assert OTHER in makers
    made = {shot.artefact.sha256 for shot in shots_of(house, job.job_id) if shot.artefact}
    assert len(made) == SHOTS
    assert {sha256_file(path) for path in (tmp_path / "pictures").rglob("*.png")} == made
