"""Create pin snapshots and drift findings: what a hub said of a repository at its pin, and since."""

import sqlalchemy as sa
from alembic import op

revision = "0006_create_pin_snapshots"
down_revision = "0005_create_replannings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pin_snapshots",
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("resolved_repo", sa.String(), nullable=False),
        sa.Column("asked_revision", sa.String(), nullable=False),
        sa.Column("gated", sa.String(), nullable=False),
        sa.Column("facts_json", sa.Text(), nullable=False),
        sa.Column("texts_json", sa.Text(), nullable=False),
        sa.Column("taken_by", sa.String(), nullable=False),
        sa.Column("taken_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["pin_id"], ["pins.pin_id"], name="fk_pin_snapshots_pin_id"),
        sa.PrimaryKeyConstraint("pin_id", name="pk_pin_snapshots"),
    )
    op.create_table(
        "drift_findings",
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("pinned", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("found_at", sa.String(length=27), nullable=False),
        sa.Column("concluded_by", sa.String(), nullable=True),
        sa.Column("concluded_at", sa.String(length=27), nullable=True),
        sa.Column("concluded_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["pin_id"], ["pins.pin_id"], name="fk_drift_findings_pin_id"),
        sa.PrimaryKeyConstraint("finding_id", name="pk_drift_findings"),
    )
    op.create_index("ix_drift_findings_pin_id", "drift_findings", ["pin_id"])
