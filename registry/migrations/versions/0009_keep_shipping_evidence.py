"""Keep shipping evidence: papers, terms of the day, discharges, revocations, and counts for a recall.

Shipments that are there already get their counts by stack; what was not kept of them on the
day cannot be made up for afterwards.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009_keep_shipping_evidence"
down_revision = "0008_create_identities"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_files",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_kept_files"),
    )
    op.create_table(
        "shipment_stacks",
        sa.Column("stack_id", sa.String(), nullable=False),
        _shipment("shipment_stacks"),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("stack_id", "shipment_id", name="pk_shipment_stacks"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO shipment_stacks (stack_id, shipment_id, item_count)"
        " SELECT stack_id, shipment_id, COUNT(*) FROM shipment_items GROUP BY stack_id, shipment_id"
    )
    op.create_table(
        "shipment_papers",
        _shipment("shipment_papers"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shipment_id", "name", name="pk_shipment_papers"),
    )
    op.create_index("ix_shipment_papers_sha256", "shipment_papers", ["sha256"])
    op.create_table(
        "shipment_terms",
        _shipment("shipment_terms"),
        sa.Column("licence", sa.String(), nullable=False),
        _kept("shipment_terms", "terms_sha256"),
        _kept("shipment_terms", "text_sha256"),
        sa.PrimaryKeyConstraint("shipment_id", "licence", name="pk_shipment_terms"),
    )
    op.create_table(
        "shipment_clauses",
        _shipment("shipment_clauses"),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("clause", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("shipment_id", "licence", "clause", name="pk_shipment_clauses"),
    )
    op.create_index("ix_shipment_clauses_clause_licence", "shipment_clauses", ["clause", "licence"])
    op.create_table(
        "shipment_contexts",
        _shipment("shipment_contexts"),
        sa.Column("stacks_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shipment_id", name="pk_shipment_contexts"),
    )
    op.create_table(
        "discharges",
        sa.Column("discharge_id", sa.String(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        _shipment("discharges"),
        sa.Column("evidence_name", sa.String(), nullable=False),
        _kept("discharges", "evidence_sha256"),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("discharged_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("discharge_id", name="pk_discharges"),
    )
    op.create_index("ix_discharges_job_id_duty", "discharges", ["job_id", "duty"])
    op.create_table(
        "revocations",
        sa.Column("revocation_id", sa.String(), nullable=False),
        sa.Column("repo", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("revocation_id", name="pk_revocations"),
    )
    op.create_index("ix_revocations_repo", "revocations", ["repo"])


def _shipment(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("shipments.shipment_id", name=f"fk_{table}_shipment_id")
    return sa.Column("shipment_id", sa.String(), key, nullable=False)


def _kept(table: str, column: str) -> sa.Column[str]:
    key = sa.ForeignKey("kept_files.sha256", name=f"fk_{table}_{column}")
    return sa.Column(column, sa.String(), key, nullable=False)
