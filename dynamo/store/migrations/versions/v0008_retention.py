"""Retention: where the products of a run are and their size, moves under way, and important days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_INDEXES = (["tier", "workflow", "published_at", "bytes"], ["published_at"], ["arrival_id"])


def upgrade() -> None:
    op.add_column("runs", sa.Column("tier", sa.String(length=10), server_default="", nullable=False))
    op.add_column("runs", sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE runs SET tier = 'hot', bytes = COALESCE("
        "(SELECT SUM(products.bytes) FROM products WHERE products.run_id = runs.id), 0) "
        "WHERE state = 'succeeded' AND product_dir IS NOT NULL"
    )
    for columns in _INDEXES:
        op.create_index(op.f(f"ix_runs_{'_'.join(columns)}"), "runs", columns, unique=False)
    op.create_table(
        "moves",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("tier", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("rule", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_moves")),
    )
    op.create_index(op.f("ix_moves_state"), "moves", ["state"], unique=False)
    op.create_table(
        "important_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("begins_at", _TIME, nullable=False),
        sa.Column("ends_at", _TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noted_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_important_days")),
    )
    op.create_index(op.f("ix_important_days_begins_at"), "important_days", ["begins_at"], unique=False)


def downgrade() -> None:
    op.drop_table("important_days")
    op.drop_table("moves")
    for columns in _INDEXES:
        op.drop_index(op.f(f"ix_runs_{'_'.join(columns)}"), "runs")
    op.drop_column("runs", "bytes")
    op.drop_column("runs", "tier")
