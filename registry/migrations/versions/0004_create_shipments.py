"""Create shipments: what left the house, to whom, under which licences and with which notices."""

import sqlalchemy as sa
from alembic import op

revision = "0004_create_shipments"
down_revision = "0003_create_the_audit_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_notices"),
    )
    op.create_table(
        "shipments",
        sa.Column("shipment_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("labels_json", sa.Text(), nullable=False),
        sa.Column("recipients_json", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("use_json", sa.Text(), nullable=False),
        sa.Column("verdict_json", sa.Text(), nullable=False),
        sa.Column("notices_sha256", sa.String(), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("shipped_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_shipments_job_id"),
        sa.ForeignKeyConstraint(["notices_sha256"], ["notices.sha256"], name="fk_shipments_notices_sha256"),
        sa.PrimaryKeyConstraint("shipment_id", name="pk_shipments"),
    )
    op.create_index("ix_shipments_job_id", "shipments", ["job_id"])
    op.create_table(
        "shipment_items",
        sa.Column("shipment_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("shot", sa.String(), nullable=False),
        sa.Column("shot_key", sa.String(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("artefact_sha256", sa.String(), nullable=False),
        sa.Column("shipped_sha256", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shipment_id"], ["shipments.shipment_id"], name="fk_shipment_items_shipment_id"
        ),
        sa.PrimaryKeyConstraint("shipment_id", "position", name="pk_shipment_items"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shipment_items_artefact_sha256", "shipment_items", ["artefact_sha256"])
    op.create_index("ix_shipment_items_shipped_sha256", "shipment_items", ["shipped_sha256"])
    op.create_index("ix_shipment_items_stack_id_shipment_id", "shipment_items", ["stack_id", "shipment_id"])
    op.create_table(
        "shipment_licences",
        sa.Column("shipment_id", sa.String(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("repo", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("text_sha256", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["shipment_id"], ["shipments.shipment_id"], name="fk_shipment_licences_shipment_id"
        ),
        sa.PrimaryKeyConstraint("shipment_id", "stack_id", "pin_id", "licence", name="pk_shipment_licences"),
    )
    op.create_index("ix_shipment_licences_licence", "shipment_licences", ["licence"])
    op.create_index("ix_shipment_licences_text_sha256", "shipment_licences", ["text_sha256"])
    op.create_table(
        "shipment_obligations",
        sa.Column("shipment_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("obligation", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("discharged_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["shipment_id"], ["shipments.shipment_id"], name="fk_shipment_obligations_shipment_id"
        ),
        sa.PrimaryKeyConstraint("shipment_id", "position", name="pk_shipment_obligations"),
    )
