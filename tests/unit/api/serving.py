"""The application over a store file, and rows to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import insert

from dynamo.api.access.users import add_user
from dynamo.api.app import make_app
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import create_token
from dynamo.config.file import Config
from dynamo.store.engine import Store
from dynamo.store.models import Product, Run, StoredDocument

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
_FAST = ApiSettings(requests_per_s=1e6, burst=1e6, failures_per_s=1e6, failures_burst=1e6, shared_s=0.0)


@contextmanager
def client_of(store: Store, folder: Path, config: Config | None = None, *scopes: str) -> Iterator[TestClient]:
    """Yield a client of the whole application, with a token of some scopes; `read` and `write` by default."""
    with store.transaction() as session:
        user = "researcher" if "submit" in scopes else ""
        if user:
            add_user(session, user, "researcher", password="a password of a test")
        token = create_token(session, "test", scopes or ("read", "write"), user=user)
    app = make_app(store, folder, _FAST, config or Config(base=folder))
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def run_row(number: int, **values: Any) -> dict[str, Any]:
    """Return a run as a row; the later ones are newer by a minute."""
    made = NOON + timedelta(minutes=number)
    key = f"{number:016x}".ljust(64, "0")
    return {
        "id": key[:16],
        "key": key,
        "workflow": "nowcast",
        "version": "1",
        "document": "d" * 64,
        "trigger": "storms",
        "radar": "KFWS",
        "engine": "local",
        "state": "succeeded",
        "reason": "",
        "priority": 0,
        "standing": "current",
        "attempts": 1,
        "inputs": [],
        "parameters": {},
        "layout": "",
        "jobs_total": 1,
        "jobs_done": 1,
        "jobs_failed": 0,
        "predicted_s": 1.0,
        "cpu_s": 1.0,
        "run_dir": f"/nowhere/{key[:16]}",
        "product_dir": None,
        "software": "dynamo 1",
        "valid_at": made - timedelta(minutes=2),
        "created_at": made,
        "started_at": made + timedelta(seconds=1),
        "finished_at": made + timedelta(seconds=9),
        "published_at": made + timedelta(seconds=10),
        "updated_at": made + timedelta(seconds=10),
        **values,
    }


def add_runs(store: Store, *rows: dict[str, Any]) -> None:
    """Store runs."""
    with store.transaction() as session:
        if session.get(StoredDocument, "d" * 64) is None:
            document = StoredDocument(sha256="d" * 64, name="nowcast", version="1", body={}, recorded_at=NOON)
            session.add(document)
            session.flush()
        session.execute(insert(Run), list(rows))


def add_product(store: Store, run: str, path: Path, **values: Any) -> int:
    """Store a published file of a run; return its number."""
    facts: dict[str, Any] = {"sha256": "a" * 64, "bytes": 4, "lead_min": None, "valid_at": NOON, "output": "", **values}
    with store.transaction() as session:
        product = Product(run_id=run, lfn=path.name, path=str(path), **facts)
        session.add(product)
        session.flush()
        number = product.id
        session.get_one(Run, run).product_dir = str(path.parent)
    return number
