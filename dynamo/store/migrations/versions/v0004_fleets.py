"""Fleet tables: wishes, workers, events, sites, costs, and API tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("name", sa.String(length=130), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_tokens_sha256")),
    )
    op.create_table(
        "fleet_events",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("fleet", sa.String(length=63), nullable=False),
        sa.Column("site", sa.String(length=130), nullable=False),
        sa.Column("worker", sa.String(length=63), nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleet_events")),
    )
    op.create_index(op.f("ix_fleet_events_fleet_id"), "fleet_events", ["fleet", "id"], unique=False)
    op.create_index(op.f("ix_fleet_events_time"), "fleet_events", ["time"], unique=False)
    op.create_table(
        "fleet_wishes",
        sa.Column("fleet", sa.String(length=63), nullable=False),
        sa.Column("group", sa.String(length=130), nullable=False),
        sa.Column("site", sa.String(length=130), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("fleet", "group", name=op.f("pk_fleet_wishes")),
    )
    op.create_table(
        "fleets",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("applied_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fleets")),
        sa.UniqueConstraint("id", name=op.f("uq_fleets_id")),
    )
    op.create_table(
        "site_health",
        sa.Column("fleet", sa.String(length=63), nullable=False),
        sa.Column("site", sa.String(length=130), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", _TIME, nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("listed_at", _TIME, nullable=True),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("fleet", "site", name=op.f("pk_site_health")),
    )
    op.create_table(
        "worker_hours",
        sa.Column("fleet", sa.String(length=63), nullable=False),
        sa.Column("worker", sa.String(length=63), nullable=False),
        sa.Column("hour", _TIME, nullable=False),
        sa.Column("site", sa.String(length=130), nullable=False),
        sa.Column("group", sa.String(length=130), nullable=False),
        sa.Column("flavor", sa.String(length=200), nullable=False),
        sa.Column("cost_per_hour", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("core_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("fleet", "worker", "hour", name=op.f("pk_worker_hours")),
    )
    op.create_index(op.f("ix_worker_hours_fleet_hour"), "worker_hours", ["fleet", "hour"], unique=False)
    op.create_table(
        "worker_uses",
        sa.Column("fleet", sa.String(length=63), nullable=False),
        sa.Column("job", sa.String(length=200), nullable=False),
        sa.Column("ended_at", _TIME, nullable=False),
        sa.Column("worker", sa.String(length=63), nullable=False),
        sa.Column("core_s", sa.Float(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("wall_s", sa.Float(), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("workflow", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("fleet", "job", "ended_at", name=op.f("pk_worker_uses")),
    )
    op.create_index(op.f("ix_worker_uses_fleet_ended_at"), "worker_uses", ["fleet", "ended_at"], unique=False)
    op.create_index(op.f("ix_worker_uses_fleet_worker"), "worker_uses", ["fleet", "worker"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("fleet", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("site", sa.String(length=130), nullable=False),
        sa.Column("group", sa.String(length=130), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("flavor", sa.String(length=200), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("ram_mb", sa.Integer(), nullable=False),
        sa.Column("cost_per_hour", sa.Float(), nullable=False),
        sa.Column("server_id", sa.Text(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", _TIME, nullable=True),
        sa.Column("unsure", sa.Boolean(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("active_at", _TIME, nullable=True),
        sa.Column("ready_at", _TIME, nullable=True),
        sa.Column("seen_at", _TIME, nullable=True),
        sa.Column("busy_cpus", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("drain_at", _TIME, nullable=True),
        sa.Column("drain_deadline", _TIME, nullable=True),
        sa.Column("drained_by", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_end", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("jobs_killed", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("billed_until", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sa.UniqueConstraint("fleet", "name", name=op.f("uq_workers_fleet_name")),
    )
    op.create_index(op.f("ix_workers_fleet_ended_at"), "workers", ["fleet", "ended_at"], unique=False)
    op.create_index(op.f("ix_workers_fleet_revoked"), "workers", ["fleet", "revoked"], unique=False)
    op.create_index(op.f("ix_workers_fleet_state"), "workers", ["fleet", "state"], unique=False)


def downgrade() -> None:
    for table in (
        "workers",
        "worker_uses",
        "worker_hours",
        "site_health",
        "fleets",
        "fleet_wishes",
        "fleet_events",
        "api_tokens",
    ):
        op.drop_table(table)
