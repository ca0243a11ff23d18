"""A temporary house with a Prefect server of its own that several jobs of one process share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.night import temporary_house
from flows.bootstrap import House
from flows.prefect_server import await_server, launch_server, stop_server


@contextmanager
def served_house(**settings: object) -> Iterator[House]:
    """A process binds to one Prefect server, so the jobs of a benchmark share one; it ends with the block."""
    with temporary_house(**settings) as house:
        os.environ.update(_environment(house))
        server = launch_server(house.settings.home, stands=True)
        try:
            await_server(server, seconds=house.settings.prefect_start_seconds)
            yield house
        finally:
            stop_server(server)


def _environment(house: House) -> dict[str, str]:
    """A flow wires itself from the environment, as it does in a process of its own."""
    settings = house.settings
    return {
        "RIGHTSTEP_HOME": str(settings.home),
        "RIGHTSTEP_WORKERS": str(settings.workers),
        "RIGHTSTEP_RENDERER": settings.renderer,
        "RIGHTSTEP_SYNTHETIC_SECONDS_PER_STEP": str(settings.synthetic_seconds_per_step),
        "RIGHTSTEP_THREADS": str(settings.threads),
    }
