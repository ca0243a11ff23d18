"""Create the audit log: the events, the head that keeps their numbers free of gaps, the guards."""

import sqlalchemy as sa
from alembic import op

from policy.audit import GENESIS_HASH
from registry.audit_guards import POSTGRESQL_FUNCTIONS_V1, POSTGRESQL_TRIGGERS_V1, SQLITE_GUARDS_V1

revision = "0003_create_the_audit_log"
down_revision = "0002_create_the_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.String(), nullable=False),
        sa.Column("prev_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("hash", name="uq_audit_events_hash"),
    )
    op.create_index("ix_audit_events_subject", "audit_events", ["subject"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_single")),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.execute(
        sa.text("INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, :genesis)").bindparams(
            genesis=GENESIS_HASH
        )
    )
    if op.get_bind().dialect.name == "sqlite":
        guards = tuple(SQLITE_GUARDS_V1.values())
    else:
        guards = (*POSTGRESQL_FUNCTIONS_V1.values(), *POSTGRESQL_TRIGGERS_V1.values())
    for guard in guards:
        op.get_bind().exec_driver_sql(guard)
    if op.get_bind().dialect.name == "postgresql":
        for function in POSTGRESQL_FUNCTIONS_V1:
            op.execute(f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC")
