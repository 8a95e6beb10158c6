"""Users, their sessions and tokens, who ordered each run, and the audit of orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.String(length=300), nullable=True),
        sa.Column("subject", sa.String(length=300), nullable=True),
        sa.Column("budget", sa.Float(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_users_issuer_subject")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=100), nullable=False),
        sa.Column("how", sa.String(length=20), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("external", sa.Text(), nullable=True),
        sa.Column("checked_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_web_sessions_user")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_web_sessions")),
    )
    op.create_index(op.f("ix_web_sessions_user"), "web_sessions", ["user"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(length=130), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("how", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_index(op.f("ix_audit_who_id"), "audit", ["who", "id"], unique=False)
    op.create_index(op.f("ix_worker_uses_run"), "worker_uses", ["run"], unique=False)
    for column in ("feed", "state"):
        op.create_index(op.f(f"ix_arrivals_{column}_id"), "arrivals", [column, "id"], unique=False)
    op.add_column("api_tokens", sa.Column("user", sa.String(length=100), server_default="", nullable=False))
    op.add_column("runs", sa.Column("owner", sa.String(length=130), server_default="", nullable=False))
    owned = sa.text("owner <> ''")
    op.create_index(
        "ix_runs_owner", "runs", ["owner", "created_at"], unique=False, sqlite_where=owned, postgresql_where=owned
    )


def downgrade() -> None:
    op.drop_index("ix_runs_owner", table_name="runs")
    op.drop_column("runs", "owner")
    op.drop_column("api_tokens", "user")
    op.drop_index(op.f("ix_worker_uses_run"), table_name="worker_uses")
    for column in ("feed", "state"):
        op.drop_index(op.f(f"ix_arrivals_{column}_id"), table_name="arrivals")
    for table in ("audit", "web_sessions", "users"):
        op.drop_table(table)
