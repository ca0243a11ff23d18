"""Alembic's entrance: runs the revisions on the connection that ``registry.database`` hands over."""

from alembic import context

from registry.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # inside the caller's transaction: every revision or none, in both databases
)
with context.begin_transaction():
    context.run_migrations()
