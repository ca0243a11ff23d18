"""Say what caches a batch: a step under a cache costs less, and must not be taken for one in full."""

import sqlalchemy as sa
from alembic import op

revision = "0010_say_what_caches_a_batch"
down_revision = "0005_create_replannings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("cached_by", sa.String(), nullable=False, server_default=""))
