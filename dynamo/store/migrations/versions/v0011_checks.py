"""Checks: results, counters, what each run added to them, usual values, last files, reviews."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "check_days",
        sa.Column("series", sa.String(length=200), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("good", "unknown", "suspect", "bad", "missing")
        ),
        sa.PrimaryKeyConstraint("series", "day", name=op.f("pk_check_days")),
    )
    op.create_table(
        "check_last",
        sa.Column("series", sa.String(length=200), nullable=False),
        sa.Column("valid_at", _TIME, nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_check_last")),
    )
    op.create_index(op.f("ix_check_last_valid_at"), "check_last", ["valid_at"], unique=False)
    op.create_table(
        "check_results",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("series", sa.String(length=200), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("check", sa.String(length=100), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("flag", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("limit", sa.Float(), nullable=True),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_check_results_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_results")),
    )
    op.create_index(op.f("ix_check_results_run_id"), "check_results", ["run_id"], unique=False)
    op.create_index(op.f("ix_check_results_series_id"), "check_results", ["series", "id"], unique=False)
    op.create_index(op.f("ix_check_results_time"), "check_results", ["time"], unique=False)
    op.create_table(
        "check_reviews",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("check", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("decided_at", _TIME, nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_check_reviews_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_check_reviews")),
    )
    op.create_index(op.f("ix_check_reviews_state_opened_at"), "check_reviews", ["state", "opened_at"], unique=False)
    op.create_table(
        "check_runs",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("learned", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_check_runs_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_check_runs")),
    )
    op.create_table(
        "check_usual",
        sa.Column("series", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=False),
        sa.Column("variance", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("series", "name", name=op.f("pk_check_usual")),
    )


def downgrade() -> None:
    for table in ("check_usual", "check_runs", "check_reviews", "check_results", "check_last", "check_days"):
        op.drop_table(table)
