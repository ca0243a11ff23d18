"""Create the ledger: jobs, shots, takes, batches with their leases, and what was really loaded.

Two partial unique indexes carry promises: one unfinished job per order, and one take per shot
that has not failed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_create_the_ledger"
down_revision = "0001_create_the_model_registry"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artefacts",
        sa.Column("shot_key", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("provenance_sha256", sa.String(), nullable=True),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("saturation", sa.Double(), nullable=True),
        sa.Column("clipping", sa.Double(), nullable=True),
        sa.Column("contrast", sa.Double(), nullable=True),
        sa.Column("luminance", sa.Double(), nullable=True),
        sa.Column("made_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("shot_key", "sha256", name="pk_artefacts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_artefacts_sha256", "artefacts", ["sha256"])
    op.create_table(
        "attestations",
        sa.Column("attestation_id", sa.String(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("loaded_json", sa.Text(), nullable=False),
        sa.Column("timesteps_json", sa.Text(), nullable=False),
        sa.Column("versions_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("attestation_id", name="pk_attestations"),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("job_key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("deadline", sa.String(length=27), nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("labels_json", sa.Text(), nullable=False),
        sa.Column("recipients_json", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("header_json", sa.Text(), nullable=False),
        sa.Column("shot_count", sa.Integer(), nullable=False),
        sa.Column("max_failed_shots", sa.Integer(), nullable=True),
        sa.Column("submitted_at", sa.String(length=27), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=True),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_submitted_at", "jobs", ["submitted_at"])
    op.create_index(
        "uq_jobs_unfinished_key",
        "jobs",
        ["job_key"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running', 'held')"),
        postgresql_where=sa.text("state IN ('queued', 'running', 'held')"),
    )
    op.create_table(
        "stacks",
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pipeline", sa.String(), nullable=False),
        sa.Column("dtype", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("stack_id", name="pk_stacks"),
    )
    op.create_table(
        "batches",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("lease_expires_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_batches_job_id"),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.stack_id"], name="fk_batches_stack_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_batches"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_batches_job_id_state_rank", "batches", ["job_id", "state", "rank"])
    op.create_index(
        "ix_batches_leased",
        "batches",
        ["lease_expires_at"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_batches_job_id_state_stack_id_rank", "batches", ["job_id", "state", "stack_id", "rank"]
    )
    op.create_table(
        "shots",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("shot_key", sa.String(), nullable=False),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative", sa.Text(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("asked_json", sa.Text(), nullable=True),
        sa.Column("inputs_json", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_shots_job_id"),
        sa.PrimaryKeyConstraint("job_id", "ordinal", name="pk_shots"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shots_job_id_batch_position", "shots", ["job_id", "batch", "position"], unique=True)
    op.create_index("ix_shots_job_id_name", "shots", ["job_id", "name"], unique=True)
    op.create_index("ix_shots_shot_key", "shots", ["shot_key"])
    op.create_table(
        "stack_files",
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.stack_id"], name="fk_stack_files_stack_id"),
        sa.PrimaryKeyConstraint("stack_id", "position", "path", name="pk_stack_files"),
    )
    op.create_index("ix_stack_files_sha256", "stack_files", ["sha256"])
    op.create_table(
        "stack_parts",
        sa.Column("stack_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("pin_id", sa.String(), nullable=False),
        sa.Column("repo", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("scale", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.stack_id"], name="fk_stack_parts_stack_id"),
        sa.PrimaryKeyConstraint("stack_id", "position", name="pk_stack_parts"),
    )
    op.create_index("ix_stack_parts_pin_id", "stack_parts", ["pin_id"])
    op.create_index("ix_stack_parts_repo", "stack_parts", ["repo"])
    op.create_table(
        "batch_runs",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("attestation_id", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("load_seconds", sa.Double(), nullable=False),
        sa.Column("denoise_seconds", sa.Double(), nullable=False),
        sa.Column("total_seconds", sa.Double(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("settled_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(
            ["attestation_id"], ["attestations.attestation_id"], name="fk_batch_runs_attestation_id"
        ),
        sa.ForeignKeyConstraint(
            ["job_id", "number"], ["batches.job_id", "batches.number"], name="fk_batch_runs_job_id_number"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", "lease", name="pk_batch_runs"),
    )
    op.create_table(
        "quality_holds",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("held_at", sa.String(length=27), nullable=False),
        sa.Column("released_by", sa.String(), nullable=True),
        sa.Column("released_at", sa.String(length=27), nullable=True),
        sa.Column("released_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id", "ordinal"], ["shots.job_id", "shots.ordinal"], name="fk_quality_holds_job_id_ordinal"
        ),
        sa.PrimaryKeyConstraint("job_id", "ordinal", "code", name="pk_quality_holds"),
    )
    op.create_table(
        "takes",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("artefact_sha256", sa.String(), nullable=True),
        sa.Column("fault", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("settled_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id", "ordinal"], ["shots.job_id", "shots.ordinal"], name="fk_takes_job_id_ordinal"
        ),
        sa.PrimaryKeyConstraint("job_id", "ordinal", "attempt", name="pk_takes"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_takes_job_id_state_batch", "takes", ["job_id", "state", "batch"])
    op.create_index(
        "uq_takes_standing",
        "takes",
        ["job_id", "ordinal"],
        unique=True,
        sqlite_where=sa.text("state <> 'failed'"),
        postgresql_where=sa.text("state <> 'failed'"),
    )
