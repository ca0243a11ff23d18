"""Revise the registry by a token that every change of it replaces; and say which bytes were not kept."""

import sqlalchemy as sa
from alembic import op

from registry.revision_tables import (
    POSTGRESQL_REVISION_FUNCTIONS_V1,
    POSTGRESQL_REVISION_TRIGGERS_V1,
    SQLITE_REVISION_TRIGGERS_V1,
)

revision = "0015_revise_the_registry"
down_revision = "0014_remember_requests"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registry_revision"),
    )
    op.create_table(
        "unkept_artefacts",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("removed_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_unkept_artefacts_job_id"),
        sa.PrimaryKeyConstraint("sha256", "job_id", name="pk_unkept_artefacts"),
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        made = SQLITE_REVISION_TRIGGERS_V1
    else:
        made = POSTGRESQL_REVISION_FUNCTIONS_V1 | POSTGRESQL_REVISION_TRIGGERS_V1
    for statement in made.values():
        connection.exec_driver_sql(statement)
