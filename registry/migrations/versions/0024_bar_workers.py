"""Bar workers: whom a driver set aside because it failed and failed, why, and who let it back."""

import sqlalchemy as sa
from alembic import op

revision = "0024_bar_workers"
down_revision = "0020_measure_sound"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("barred_at", sa.String(length=27), nullable=True))
    op.add_column("workers", sa.Column("barred_because", sa.Text(), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("readmitted_by", sa.String(), nullable=True))
