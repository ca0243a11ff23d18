"""Steer jobs: a paused one is unfinished too, one may go before others, and one may stop by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0018_steer_jobs"
down_revision = "0017_record_live_sessions"
branch_labels = None
depends_on = None

UNFINISHED = sa.text("state IN ('queued', 'running', 'held', 'paused')")


def upgrade() -> None:
    op.drop_index("uq_jobs_unfinished_key", table_name="jobs")
    op.create_index(
        "uq_jobs_unfinished_key",
        "jobs",
        ["job_key"],
        unique=True,
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )
    op.add_column("jobs", sa.Column("gate", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("budget_seconds", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("budget_end", sa.String(), nullable=False, server_default="hold"))
    op.add_column("jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
