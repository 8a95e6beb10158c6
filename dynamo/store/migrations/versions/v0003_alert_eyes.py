"""Sources that keep an alert event open: only they may end it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Unknown for existing events, which end as before.
    op.add_column("alert_events", sa.Column("eyes", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("alert_events", "eyes")
