"""Queue messages: what is told about a job is written with what happens to it, and sent after that."""

import sqlalchemy as sa
from alembic import op

revision = "0022_queue_messages"
down_revision = "0021_retire_artefacts"
branch_labels = None
depends_on = None

INSTANT = sa.String(length=27)
WAITING = sa.text("sent_at IS NULL AND given_up_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.String(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("given_up_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_messages_job_id"),
        sa.PrimaryKeyConstraint("message_id", name="pk_messages"),
    )
    op.create_index("ix_messages_job_id", "messages", ["job_id"])
    op.create_index(
        "ix_messages_waiting", "messages", ["due_at"], sqlite_where=WAITING, postgresql_where=WAITING
    )
