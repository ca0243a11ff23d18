"""Create audit checkpoints: signed tree heads over the log, added and never changed."""

import sqlalchemy as sa
from alembic import op

from registry.audit_guards import POSTGRESQL_CHECKPOINT_TRIGGERS_V1, SQLITE_CHECKPOINT_GUARDS_V1

revision = "0007_create_checkpoints"
down_revision = "0006_create_pin_snapshots"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("peaks_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", "key_id", name="pk_audit_checkpoints"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    guards = SQLITE_CHECKPOINT_GUARDS_V1 if is_sqlite else POSTGRESQL_CHECKPOINT_TRIGGERS_V1
    for guard in guards.values():
        op.get_bind().exec_driver_sql(guard)
