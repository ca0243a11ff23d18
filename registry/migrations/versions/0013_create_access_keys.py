"""Create access keys: who may use the HTTP API, for what, and how much."""

import sqlalchemy as sa
from alembic import op

revision = "0013_create_access_keys"
down_revision = "0012_sign_conclusions"
branch_labels = None
depends_on = None

INSTANT = sa.String(length=27)


def upgrade() -> None:
    op.create_table(
        "access_keys",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("scopes_json", sa.Text(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("at_once", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_access_keys"),
    )
