"""Alert tables: streams, events, messages and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alert_streams",
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("newest", _TIME, nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_streams")),
    )
    op.create_table(
        "alert_events",
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("hazard", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("began", _TIME, nullable=False),
        sa.Column("seen", _TIME, nullable=False),
        sa.Column("ended", _TIME, nullable=True),
        sa.Column("told_strength", sa.Float(), nullable=False),
        sa.Column("told_at", _TIME, nullable=False),
        sa.Column("strongest", sa.Float(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("place", "hazard", name=op.f("pk_alert_events")),
    )
    op.create_index(op.f("ix_alert_events_hazard_open"), "alert_events", ["hazard", "open"], unique=False)
    op.create_table(
        "alert_messages",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("hazard", sa.String(length=20), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_alert_messages_key")),
    )
    op.create_index(op.f("ix_alert_messages_created_at"), "alert_messages", ["created_at"], unique=False)
    op.create_index(op.f("ix_alert_messages_place_hazard"), "alert_messages", ["place", "hazard"], unique=False)
    op.create_table(
        "alert_deliveries",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("message_id", _KEY, nullable=False),
        sa.Column("channel", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["alert_messages.id"], name=op.f("fk_alert_deliveries_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_deliveries")),
        sa.UniqueConstraint("message_id", "channel", name=op.f("uq_alert_deliveries_message_id_channel")),
    )
    op.create_index(
        op.f("ix_alert_deliveries_channel_state_next_at"),
        "alert_deliveries",
        ["channel", "state", "next_at"],
        unique=False,
    )


def downgrade() -> None:
    for table in ("alert_deliveries", "alert_messages", "alert_events", "alert_streams"):
        op.drop_table(table)
