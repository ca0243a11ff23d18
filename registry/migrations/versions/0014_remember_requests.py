"""Remember requests: which job came of a key that a client may send again."""

import sqlalchemy as sa
from alembic import op

revision = "0014_remember_requests"
down_revision = "0013_create_access_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("made_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_requests_job_id"),
        sa.PrimaryKeyConstraint("client", "key", name="pk_requests"),
    )
