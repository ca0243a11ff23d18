"""Keep which file is heard with a clip, and measure it for the output checks; most artefacts have none."""

import sqlalchemy as sa
from alembic import op

revision = "0020_measure_sound"
down_revision = "0019_list_workers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("sound_sha256", sa.String(), nullable=True))
    op.add_column("artefacts", sa.Column("loudness", sa.Double(), nullable=True))
    op.add_column("artefacts", sa.Column("sound_clipping", sa.Double(), nullable=True))
