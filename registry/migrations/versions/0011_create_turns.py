"""Create turns: which drivers wait for a fleet, and which one has it."""

import sqlalchemy as sa
from alembic import op

revision = "0011_create_turns"
down_revision = "0010_say_what_caches_a_batch"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("fleet", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("picture_p50", sa.Double(), nullable=False),
        sa.Column("picture_p95", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.Column("began_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_turns_job_id"),
        sa.PrimaryKeyConstraint("fleet", "job_id", "holder", name="pk_turns"),
    )
    begun = sa.text("began_at IS NOT NULL")
    op.create_index(
        "uq_turns_begun", "turns", ["fleet"], unique=True, sqlite_where=begun, postgresql_where=begun
    )
    op.create_index("ix_batch_runs_settled_at", "batch_runs", ["settled_at"])
