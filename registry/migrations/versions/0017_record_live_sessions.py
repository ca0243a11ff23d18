"""Record live sessions: who watched what, from which stack, and every frame that was delivered."""

import sqlalchemy as sa
from alembic import op

revision = "0017_record_live_sessions"
down_revision = "0016_measure_motion"
branch_labels = None
depends_on = None

INSTANT = sa.String(length=27)
OPEN_SESSION = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "live_sessions",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("loaded_json", sa.Text(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("bytes_sent", sa.BigInteger(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.stack_id"], name="fk_live_sessions_stack_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_live_sessions"),
    )
    op.create_index("ix_live_sessions_stack_id", "live_sessions", ["stack_id"])
    op.create_index(
        "ix_live_sessions_open",
        "live_sessions",
        ["session_id"],
        sqlite_where=OPEN_SESSION,
        postgresql_where=OPEN_SESSION,
    )
    op.create_table(
        "live_segments",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("frames_json", sa.Text(), nullable=False),
        sa.Column("bytes_sent", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("written_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["live_sessions.session_id"], name="fk_live_segments_session_id"
        ),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_live_segments"),
    )
