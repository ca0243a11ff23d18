"""A temporary house with a Prefect server of its own that several jobs of one process share."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.night import temporary_house
from flows.bootstrap import House
from flows.prefect_server import await_server, launch_server, stop_server


@contextmanager
def served_house(**settings: object) -> Iterator[House]:
    """A process binds to one Prefect server, so the jobs of a benchmark share one; it ends with the block."""
    with temporary_house(**settings) as house:
        server = launch_server(house.settings.home, stands=True)
        try:
            await_server(server, seconds=house.settings.prefect_start_seconds)
            yield house
        finally:
            stop_server(server)
