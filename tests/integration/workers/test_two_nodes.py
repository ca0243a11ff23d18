"""A driver on a node of a Ray that others run: two machines, as two network namespaces with a cable between."""

import json
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from benchmarks.cables import (
    ADDRESS,
    HEAD,
    NODE,
    OF_ANOTHER_MACHINE,
    OTHER,
    PATIENCE,
    ROOT,
    Cable,
    is_possible,
    lay_cable,
)
from tests.integration.flows.jobs.night import wait_until

DRIVER = """
import sys
from pathlib import Path
from workers.cluster import join_ray, stop_ray
house = join_ray(sys.argv[1])
import ray
where = ray.remote(num_cpus=1)(ray.util.get_node_ip_address)
print(house.is_private, ray.util.get_node_ip_address(), ray.get(where.remote()))
stop_ray(Path(sys.argv[2]), house)
"""
JOIN_AND_DRIVE = f"""
mount -t tmpfs tmpfs "$1"
"{sys.executable}" -m ray.scripts.scripts start --address="$3" --node-ip-address={NODE} --num-cpus=0 >&2
"{sys.executable}" -c "$2" "$3" "$1"
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def cable(in_ci: bool) -> Iterator[Cable]:
    if not is_possible():
        assert not in_ci, "iproute2 is in infra/ci/apt.txt, and CI is root"
        pytest.skip("two machines on one need root and iproute2")
    with lay_cable() as found:
        yield found


def test_a_driver_joins_from_another_machine_and_the_work_is_done_on_the_other(cable: Cable):
    cable.start_head(cpus=1)
    words = (JOIN_AND_DRIVE, "sh", cable.sessions, DRIVER, ADDRESS)
    told = cable.run(cable.node, *OF_ANOTHER_MACHINE, *words)
    assert told.stdout == f"False {NODE} {HEAD}\n", told.stderr


def settled_on(home: Path, machine: str) -> int:
    """How many batches a machine has made so far, by the ledger."""
    query = "SELECT count(*) FROM batch_runs WHERE worker LIKE ?"
    with (
        suppress(sqlite3.OperationalError),  # no table yet, or no file
        closing(sqlite3.connect(f"file:{home}/ledger.sqlite3?mode=ro", uri=True)) as ledger,
    ):
        return int(ledger.execute(query, (f"{machine}:%",)).fetchone()[0])
    return 0


def test_a_night_on_two_machines_loses_one_of_them_and_is_made_whole_by_the_other(
    cable: Cable, tmp_path: Path
):
    cable.start_head(cpus=1)
    node = cable.join_node(cpus=1)
    home = tmp_path / "home"
    words = [sys.executable, "-m", "benchmarks.node_night", home, "--ray", ADDRESS, "--workers", "2"]
    night = subprocess.Popen(
        cable.command(cable.head, *words, "--items", "600", "--seconds", "0.1", "--start-seconds", "20"),
        cwd=ROOT,
        env=cable.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until("the node makes pictures", lambda: night.poll() is not None or settled_on(home, OTHER))
        cable.unplug_node()
        out, err = night.communicate(timeout=PATIENCE)
    finally:
        night.kill()
        night.communicate()
        cable.unplug_node()
        node.wait(timeout=PATIENCE)
    assert night.returncode == 0, err
    told = json.loads(out)
    assert (told["state"], told["done"], told["shots"]) == ("finished", 600, 600)
    assert set(told["machines"]) == {OTHER, platform.node()}
    assert told["machines"][OTHER] < 300, "it was gone before half of the night"
