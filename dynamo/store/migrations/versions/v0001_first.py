"""First tables: feed cursors, arrivals, runs, products, decisions, costs, and the daemon's lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "arrivals",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("feed", sa.String(length=200), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("valid_at", _TIME, nullable=True),
        sa.Column("facts", sa.JSON(), nullable=True),
        sa.Column("moved_to", sa.Text(), nullable=True),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("detected_at", _TIME, nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrivals")),
        sa.UniqueConstraint("feed", "path", "size", "mtime_ns", name=op.f("uq_arrivals_feed_path_size_mtime_ns")),
    )
    op.create_index(op.f("ix_arrivals_feed_sha256"), "arrivals", ["feed", "sha256"], unique=False)
    op.create_index(op.f("ix_arrivals_feed_state_valid_at"), "arrivals", ["feed", "state", "valid_at"], unique=False)
    op.create_table(
        "cost_coefficients",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("module", sa.String(length=100), nullable=False),
        sa.Column("coefficients", sa.JSON(), nullable=False),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("fitted_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_coefficients")),
    )
    op.create_index(op.f("ix_cost_coefficients_module_id"), "cost_coefficients", ["module", "id"], unique=False)
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_subject"), "decisions", ["subject"], unique=False)
    op.create_index(op.f("ix_decisions_time"), "decisions", ["time"], unique=False)
    op.create_table(
        "documents",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_documents")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("pid_started", sa.String(length=64), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("workflow", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("trigger", sa.String(length=200), nullable=False),
        sa.Column("arrival_id", _KEY, nullable=True),
        sa.Column("engine", sa.String(length=50), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("jobs_total", sa.Integer(), nullable=False),
        sa.Column("jobs_done", sa.Integer(), nullable=False),
        sa.Column("jobs_failed", sa.Integer(), nullable=False),
        sa.Column("predicted_s", sa.Float(), nullable=False),
        sa.Column("cpu_s", sa.Float(), nullable=False),
        sa.Column("run_dir", sa.Text(), nullable=False),
        sa.Column("product_dir", sa.Text(), nullable=True),
        sa.Column("software", sa.String(length=100), nullable=False),
        sa.Column("valid_at", _TIME, nullable=True),
        sa.Column("deadline_at", _TIME, nullable=True),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("detected_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("planned_at", _TIME, nullable=True),
        sa.Column("submitted_at", _TIME, nullable=True),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("published_at", _TIME, nullable=True),
        sa.Column("cleaned_at", _TIME, nullable=True),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["arrival_id"], ["arrivals.id"], name=op.f("fk_runs_arrival_id")),
        sa.ForeignKeyConstraint(["document"], ["documents.sha256"], name=op.f("fk_runs_document")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("key", name=op.f("uq_runs_key")),
    )
    op.create_index(op.f("ix_runs_created_at"), "runs", ["created_at"], unique=False)
    op.create_index(op.f("ix_runs_state_valid_at"), "runs", ["state", "valid_at"], unique=False)
    op.create_index(op.f("ix_runs_workflow_valid_at"), "runs", ["workflow", "valid_at"], unique=False)
    op.create_table(
        "cost_observations",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=200), nullable=False),
        sa.Column("module", sa.String(length=100), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("cpu_s", sa.Float(), nullable=False),
        sa.Column("wall_s", sa.Float(), nullable=False),
        sa.Column("observed_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_cost_observations_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_observations")),
        sa.UniqueConstraint("run_id", "job", name=op.f("uq_cost_observations_run_id_job")),
    )
    op.create_index(op.f("ix_cost_observations_module_id"), "cost_observations", ["module", "id"], unique=False)
    op.create_table(
        "products",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("lfn", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("lead_min", sa.Integer(), nullable=True),
        sa.Column("valid_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_products_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("run_id", "lfn", name=op.f("uq_products_run_id_lfn")),
    )


def downgrade() -> None:
    for table in (
        "products",
        "cost_observations",
        "runs",
        "leases",
        "documents",
        "decisions",
        "cursors",
        "cost_coefficients",
        "arrivals",
    ):
        op.drop_table(table)
