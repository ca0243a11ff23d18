"""Sign conclusions: which key signed them, and how; and keep every small file in one table.

What was concluded before has no signature and is only claimed from now on. The files of
approvals move in with the others; when each was kept is the time of the approval that names it.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0012_sign_conclusions"
down_revision = "0011_create_turns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("licence_conclusions", "drift_findings"):
        op.add_column(table, sa.Column("key_id", sa.String(), nullable=True))
        op.add_column(table, sa.Column("signature", sa.String(), nullable=True))
    _name_evidence_by_digest()
    op.execute(
        "INSERT INTO kept_files (sha256, body) SELECT sha256, body FROM evidence_files"
        " WHERE sha256 NOT IN (SELECT sha256 FROM kept_files)"
    )
    op.drop_table("evidence_files")


def _name_evidence_by_digest() -> None:
    """Evidence was a list of names; it is pairs of name and digest now, and of these no file was kept."""
    kept = sa.table("licence_conclusions", sa.column("conclusion_id"), sa.column("evidence_json"))
    rows = op.get_bind().execute(sa.select(kept.c.conclusion_id, kept.c.evidence_json)).all()
    for conclusion_id, text in rows:
        pairs = json.dumps([[name, ""] for name in json.loads(text)])
        op.execute(sa.update(kept).where(kept.c.conclusion_id == conclusion_id).values(evidence_json=pairs))
