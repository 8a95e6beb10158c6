"""Freshness: problems, and reports of jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "problems",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("ending", sa.Text(), server_default="", nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problems")),
    )
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_problems_open",
        "problems",
        ["subject"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_index(op.f("ix_problems_opened_at"), "problems", ["opened_at"], unique=False)
    op.create_index(op.f("ix_problems_closed_at"), "problems", ["closed_at"], unique=False)
    op.create_table(
        "job_reports",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("known_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("succeeded_at", _TIME, nullable=True),
        sa.Column("failed_at", _TIME, nullable=True),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_reports")),
    )


def downgrade() -> None:
    op.drop_table("job_reports")
    op.drop_table("problems")
