"""Create the model registry: pins with their files, licence texts, claims and conclusions.

Claims stand apart from conclusions: what somebody says about bytes is kept for good, whatever
was concluded from it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001_create_the_model_registry"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "licence_texts",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("normalised_sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("first_read_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_licence_texts"),
    )
    op.create_index("ix_licence_texts_normalised_sha256", "licence_texts", ["normalised_sha256"])
    op.create_table(
        "pins",
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("repo", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("pinned_by", sa.String(), nullable=False),
        sa.Column("pinned_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("pin_id", name="pk_pins"),
    )
    op.create_index("ix_pins_repo_revision", "pins", ["repo", "revision"])
    op.create_table(
        "licence_claims",
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("read_by", sa.String(), nullable=False),
        sa.Column("read_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["pin_id"], ["pins.pin_id"], name="fk_licence_claims_pin_id"),
        sa.ForeignKeyConstraint(
            ["text_sha256"], ["licence_texts.sha256"], name="fk_licence_claims_text_sha256"
        ),
        sa.PrimaryKeyConstraint("claim_id", name="pk_licence_claims"),
    )
    op.create_index("ix_licence_claims_pin_id", "licence_claims", ["pin_id"])
    op.create_table(
        "licence_conclusions",
        sa.Column("conclusion_id", sa.String(), nullable=False),
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("licences_json", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence_json", sa.Text(), nullable=False),
        sa.Column("concluded_by", sa.String(), nullable=False),
        sa.Column("concluded_at", sa.String(length=27), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["pin_id"], ["pins.pin_id"], name="fk_licence_conclusions_pin_id"),
        sa.PrimaryKeyConstraint("conclusion_id", name="pk_licence_conclusions"),
    )
    op.create_index("ix_licence_conclusions_pin_id", "licence_conclusions", ["pin_id"])
    op.create_table(
        "pin_files",
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["pin_id"], ["pins.pin_id"], name="fk_pin_files_pin_id"),
        sa.PrimaryKeyConstraint("pin_id", "path", name="pk_pin_files"),
    )
    op.create_index("ix_pin_files_sha256", "pin_files", ["sha256"])
