"""What may be killed while a job is rendered: processes with signal 9, and connections inside PostgreSQL."""

import os
import random
import signal
from collections.abc import Mapping, Sequence
from enum import StrEnum

import psycopg

from flows.bootstrap import House
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE
from workers.processes import OwnProcess, descendants, read_record

CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND NOT pid = ANY(%s)"


class Victim(StrEnum):
    """Who dies."""

    WORKER = "worker"
    CONNECTION = "database connection"
    DRIVER = "driver"
    PREFECT = "Prefect server"
    RAY = "Ray head"


# How often each is drawn: what costs a start of the house is drawn less often.
WEIGHTS: Mapping[Victim, int] = {
    Victim.WORKER: 40,
    Victim.CONNECTION: 25,
    Victim.DRIVER: 13,
    Victim.PREFECT: 11,
    Victim.RAY: 11,
}
RENDERS = "ray::RenderActo"  # what the kernel keeps of a worker's name while it renders, and between
PREFECT_SERVER, HEAD = ("prefect-server",), ("gcs_server", "raylet")


def draw(chance: random.Random, of: Sequence[Victim]) -> Victim:
    """Whose turn it is."""
    return chance.choices(of, weights=[WEIGHTS[one] for one in of])[0]


def kill(
    victim: Victim, *, driver: int, house: House, server: Server, mine: set[int], chance: random.Random
) -> str:
    """Kill one of a kind; what died, or "" where there is none just now.

    ``mine`` are connections of whoever looks on, which live.
    """
    match victim:
        case Victim.CONNECTION:
            return _cut(server, mine, chance)
        case Victim.DRIVER:
            found = [OwnProcess(name="driver", pid=driver, started=0)]
        case Victim.WORKER:
            found = [one for one in descendants(driver) if one.name.startswith(RENDERS)]
        case Victim.PREFECT:
            found = _recorded(house, PREFECT_SERVER)
        case Victim.RAY:
            found = _recorded(house, HEAD)
    if not found:
        return ""
    one = chance.choice(found)
    os.kill(one.pid, signal.SIGKILL)
    return f"{one.name} {one.pid}"


def _recorded(house: House, names: tuple[str, ...]) -> list[OwnProcess]:
    home = house.settings.home
    paths = [*home.glob("run/private-prefect-*.json"), *home.glob("ray/private-ray-*.json")]
    records = [record for path in paths if (record := read_record(path)) is not None]
    return [
        one for record in records for one in record.processes if one.is_alive and one.name.startswith(names)
    ]


def _cut(server: Server, mine: set[int], chance: random.Random) -> str:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        found = [pid for (pid,) in connection.execute(CONNECTIONS, (APP_ROLE, sorted(mine)))]
        if not found:
            return ""
        pid = chance.choice(found)
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    return f"connection {pid}"
