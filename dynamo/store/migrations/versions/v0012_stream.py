"""What happens, in the order of its commits, for everybody who watches; and runs by state and workflow, newest first.

The rows are written by triggers, in the transaction of what happened, whoever it is that writes. A later migration that
makes one of these tables anew (SQLite's batch mode) must make its triggers anew, too; a test looks for them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NEW_STATE = "NEW.state <> OLD.state"
_RUN = "'state', NEW.state, 'workflow', NEW.workflow, 'radar', NEW.radar, 'trigger', NEW.\"trigger\""
_ARRIVAL = "'state', NEW.state, 'feed', NEW.feed, 'radar', NEW.radar"
_PROBLEM = "'id', NEW.id, 'state', NEW.kind, 'open', CASE WHEN NEW.closed_at IS NULL THEN 1 ELSE 0 END"
_WORKER = "'state', NEW.state, 'site', NEW.site, 'group', NEW.\"group\""
#: Of each trigger: its name, table, event, condition, kind, subject, and data.
_TRIGGERS = (
    ("run_new", "runs", "INSERT", "", "run", "NEW.id", _RUN),
    ("run_state", "runs", "UPDATE OF state", _NEW_STATE, "run", "NEW.id", _RUN),
    (
        *("run_published", "runs", "UPDATE OF published_at"),
        "NEW.published_at IS NOT NULL AND OLD.published_at IS NULL",
        *("product", "NEW.id", "'workflow', NEW.workflow, 'radar', NEW.radar"),
    ),
    ("arrival_new", "arrivals", "INSERT", "", "arrival", "CAST(NEW.id AS TEXT)", _ARRIVAL),
    ("arrival_state", "arrivals", "UPDATE OF state", _NEW_STATE, "arrival", "CAST(NEW.id AS TEXT)", _ARRIVAL),
    ("problem_new", "problems", "INSERT", "", "problem", "NEW.subject", _PROBLEM),
    (
        *("problem_changed", "problems", "UPDATE OF kind, closed_at"),
        "NEW.kind <> OLD.kind OR (NEW.closed_at IS NULL) <> (OLD.closed_at IS NULL)",
        *("problem", "NEW.subject", _PROBLEM),
    ),
    (
        *("alert_new", "alert_messages", "INSERT", "", "alert", "NEW.place"),
        "'id', NEW.id, 'hazard', NEW.hazard, 'kind', NEW.kind",
    ),
    (
        *("fleet_event_new", "fleet_events", "INSERT", "", "fleet", "NEW.fleet"),
        "'id', NEW.id, 'action', NEW.action, 'site', NEW.site, 'worker', NEW.worker",
    ),
    ("worker_new", "workers", "INSERT", "", "worker", "NEW.fleet || '/' || NEW.name", _WORKER),
    ("worker_state", "workers", "UPDATE OF state", _NEW_STATE, "worker", "NEW.fleet || '/' || NEW.name", _WORKER),
    ("decision_new", "decisions", "INSERT", "", "decision", "NEW.subject", "'id', NEW.id, 'action', NEW.action"),
)


def upgrade() -> None:
    op.create_table(
        "stream",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_stream_xid_id"), "stream", ["xid", "id"], unique=False)
    op.create_index(op.f("ix_runs_state_created_at"), "runs", ["state", "created_at"], unique=False)
    op.create_index(op.f("ix_runs_workflow_created_at"), "runs", ["workflow", "created_at"], unique=False)
    make = _make_on_postgresql if op.get_bind().dialect.name == "postgresql" else _make_on_sqlite
    for trigger in _TRIGGERS:
        make(*trigger)


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, *_ in _TRIGGERS:
        op.execute(f"DROP TRIGGER stream_{name}{f' ON {table}' if postgresql else ''}")
        if postgresql:
            op.execute(f"DROP FUNCTION stream_{name}()")
    op.drop_index(op.f("ix_runs_workflow_created_at"), table_name="runs")
    op.drop_index(op.f("ix_runs_state_created_at"), table_name="runs")
    op.drop_table("stream")


def _make_on_sqlite(name: str, table: str, event: str, condition: str, kind: str, subject: str, data: str) -> None:
    op.execute(
        f"CREATE TRIGGER stream_{name} AFTER {event} ON {table} {f'WHEN {condition}' if condition else ''} BEGIN "
        "INSERT INTO stream (xid, at, kind, subject, data) "
        f"VALUES (0, strftime('%Y-%m-%d %H:%M:%f000', 'now'), '{kind}', {subject}, json_object({data})); END"
    )


def _make_on_postgresql(name: str, table: str, event: str, condition: str, kind: str, subject: str, data: str) -> None:
    op.execute(
        f"CREATE FUNCTION stream_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO stream (xid, at, kind, subject, data) VALUES (pg_current_xact_id()::text::bigint, "
        f"clock_timestamp(), '{kind}', {subject}, json_build_object({data})); RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER stream_{name} AFTER {event} ON {table} FOR EACH ROW "
        f"{f'WHEN ({condition})' if condition else ''} EXECUTE FUNCTION stream_{name}()"
    )
