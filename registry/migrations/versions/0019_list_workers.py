"""List workers: what each driver has at work, and whom somebody asked to leave."""

import sqlalchemy as sa
from alembic import op

revision = "0019_list_workers"
down_revision = "0018_steer_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.String(length=27), nullable=False),
        sa.Column("drained_by", sa.String(), nullable=True),
        sa.Column("drained_because", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_workers_job_id"),
        sa.PrimaryKeyConstraint("worker", name="pk_workers"),
    )
    op.create_index("ix_workers_holder", "workers", ["holder"])
