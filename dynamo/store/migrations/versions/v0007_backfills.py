"""Backfills, and an index that finds their runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("trigger", sa.String(length=200), nullable=False),
        sa.Column("workflow", sa.String(length=200), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("section", sa.JSON(), nullable=False),
        sa.Column("port", sa.String(length=200), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("engine", sa.String(length=50), nullable=False),
        sa.Column("feed", sa.String(length=200), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("radars", sa.JSON(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("at_most", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Text(), nullable=False),
        sa.Column("cursor_at", _TIME, nullable=True),
        sa.Column("cursor_id", _KEY, nullable=False),
        sa.Column("promoted_at", _TIME, nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("slots", "made", "had", "refused", "gone")),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["document"], ["documents.sha256"], name=op.f("fk_backfills_document")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfills")),
    )
    op.create_index(op.f("ix_backfills_state"), "backfills", ["state"], unique=False)
    op.create_index(op.f("ix_backfills_created_at"), "backfills", ["created_at"], unique=False)
    op.create_index(op.f("ix_runs_backfill_state"), "runs", ["backfill", "state"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_runs_backfill_state"), table_name="runs")
    op.drop_table("backfills")
