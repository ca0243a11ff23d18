"""Keep which file is heard with a clip, and measure it for the output checks; most artefacts have none."""

import sqlalchemy as sa
from alembic import op

revision = "0018_measure_sound"
down_revision = "0017_record_live_sessions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("sound_sha256", sa.String(), nullable=True))
    op.add_column("artefacts", sa.Column("loudness", sa.Double(), nullable=True))
    op.add_column("artefacts", sa.Column("sound_clipping", sa.Double(), nullable=True))
