"""Measure how much a clip moves, for the output checks; a picture has no such figure."""

import sqlalchemy as sa
from alembic import op

revision = "0016_measure_motion"
down_revision = "0015_revise_the_registry"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("motion", sa.Double(), nullable=True))
