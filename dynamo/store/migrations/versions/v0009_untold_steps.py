"""Steps of runs that others are still to be told of, as OpenLineage events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "untold_steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_untold_steps")),
    )
    op.create_index(op.f("ix_untold_steps_failures_id"), "untold_steps", ["failures", "id"], unique=False)
    op.create_index(op.f("ix_untold_steps_at"), "untold_steps", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("untold_steps")
