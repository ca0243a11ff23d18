"""Create identities, what they approve, the evidence for it, and what is kept of prompts."""

import sqlalchemy as sa
from alembic import op

revision = "0008_create_identities"
down_revision = "0007_create_checkpoints"
branch_labels = None
depends_on = None

CURRENT_KEY = sa.text("revoked_at IS NULL")
INSTANT = sa.String(length=27)


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("public", sa.String(), nullable=False),
        sa.Column("valid_from", INSTANT, nullable=False),
        sa.Column("valid_until", INSTANT, nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_identities"),
    )
    op.create_index(
        "uq_identities_current_name",
        "identities",
        ["name"],
        unique=True,
        sqlite_where=CURRENT_KEY,
        postgresql_where=CURRENT_KEY,
    )
    op.create_table(
        "approval_requests",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("answers_json", sa.Text(), nullable=False),
        sa.Column("paid_json", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("requester_key_id", sa.String(), nullable=True),
        sa.Column("signature", sa.String(), nullable=True),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_approval_requests"),
    )
    op.create_index("ix_approval_requests_stack_id", "approval_requests", ["stack_id"])
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence_json", sa.Text(), nullable=False),
        sa.Column("approver", sa.String(), nullable=False),
        sa.Column("approver_key_id", sa.String(), nullable=False),
        sa.Column("valid_from", INSTANT, nullable=False),
        sa.Column("valid_until", INSTANT, nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("withdrawn_at", INSTANT, nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("withdrawn_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.request_id"], name="fk_approvals_request_id"
        ),
        sa.PrimaryKeyConstraint("approval_id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_request_id", "approvals", ["request_id"])
    op.create_table(
        "evidence_files",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_evidence_files"),
    )
    op.create_table(
        "prompt_keeping",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=True),
        sa.Column("erased_at", INSTANT, nullable=True),
        sa.Column("erased_by", sa.String(), nullable=True),
        sa.Column("erased_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_prompt_keeping_job_id"),
        sa.PrimaryKeyConstraint("job_id", name="pk_prompt_keeping"),
    )
    op.create_table(
        "legal_holds",
        sa.Column("hold_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("held_by", sa.String(), nullable=False),
        sa.Column("held_at", INSTANT, nullable=False),
        sa.Column("released_by", sa.String(), nullable=True),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.Column("released_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_legal_holds_job_id"),
        sa.PrimaryKeyConstraint("hold_id", name="pk_legal_holds"),
    )
    op.create_index("ix_legal_holds_job_id", "legal_holds", ["job_id"])
