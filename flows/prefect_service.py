"""``python -m flows.prefect_service``: Prefect's own command, with its scheduler mended.

Prefect 3.8.8 inserts planned runs in bulk with a key, ``state``, that SQLAlchemy 2.1 refuses
and 2.0 passed over; unmended, no schedule ever fires. Passing over it is all that this does.
"""

from typing import Any


def mend_scheduler() -> None:
    """Let a bulk insert of flow runs pass over ``state``, which Prefect writes in a statement of its own."""
    from prefect.server.database import orm_models

    state: Any = vars(orm_models.FlowRun)["state"]
    if getattr(state, "bulk_dml_setter", None) is None:
        state.bulk_dml_setter = _pass_over


def _pass_over(_row_class: object, _row: object, _value: object) -> None:
    """The value stays where Prefect reads it."""


if __name__ == "__main__":
    mend_scheduler()
    from prefect.cli import app

    app()
