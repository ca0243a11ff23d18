"""Retire artefacts: say of one that its bytes were removed, so that no order relies on them.

A sound may be heard with several clips: an index finds who still names it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021_retire_artefacts"
down_revision = "0020_measure_sound"
branch_labels = None
depends_on = None

HEARD = sa.text("sound_sha256 IS NOT NULL")


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("removed_at", sa.String(27), nullable=True))
    op.create_index(
        "ix_artefacts_sound_sha256",
        "artefacts",
        ["sound_sha256"],
        sqlite_where=HEARD,
        postgresql_where=HEARD,
    )
