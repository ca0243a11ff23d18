"""Create replannings: every round in which a night under way was planned anew, or found at risk."""

import sqlalchemy as sa
from alembic import op

revision = "0005_create_replannings"
down_revision = "0004_create_shipments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replannings",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("left_seconds", sa.Double(), nullable=False),
        sa.Column("p50", sa.Double(), nullable=False),
        sa.Column("p95", sa.Double(), nullable=False),
        sa.Column("at_risk", sa.Boolean(), nullable=False),
        sa.Column("changes_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_replannings_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_replannings"),
    )
