"""Bar and add workers: whom a driver barred and why, whom somebody added to a job, and how many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0023_bar_and_add_workers"
down_revision = "0022_queue_messages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("barred_at", sa.String(length=27), nullable=True))
    op.add_column("workers", sa.Column("barred_because", sa.Text(), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("readmitted_by", sa.String(), nullable=True))
    op.create_table(
        "added_workers",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_added_workers_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_added_workers"),
    )
    op.create_table(
        "crews",
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_crews_job_id"),
        sa.PrimaryKeyConstraint("holder", "device", name="pk_crews"),
    )
    op.create_index("ix_crews_job_id", "crews", ["job_id"])
