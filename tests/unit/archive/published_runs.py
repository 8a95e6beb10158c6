"""Published runs without engines: rows in a store and folders as `publish` makes them."""

from __future__ import annotations

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from dynamo.runs.keys import SHORT
from dynamo.runs.publish import Publication, publish
from dynamo.store.engine import Store, open_store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Product, Run, StoredDocument

START = datetime(2024, 5, 20, 18, 0, tzinfo=UTC)
FILES = {"a.geojson": b"{}", "b.nc": b"grid"}


@functools.cache
def _template() -> Path:
    """A store with tables: migrations take longer than most tests here."""
    path = Path(tempfile.mkdtemp(prefix="dynamo-template-")) / "store.sqlite"
    open_store(path).close()
    return path


def new_store(folder: Path) -> Store:
    """Return a new store in a folder."""
    shutil.copy(_template(), folder / "store.sqlite")
    return open_store(folder / "store.sqlite")


def add_run(
    store: Store,
    folder: Path,
    number: int,
    *,
    workflow: str = "nowcast",
    files: Mapping[str, bytes] = FILES,
    inputs: tuple[Path, ...] = (),
    **values: Any,
) -> Run:
    """Publish the files of a run valid ``number`` minutes after `START`, and record it as `PublishStep` does."""
    key = hashlib.sha256(f"{workflow} {number}".encode()).hexdigest()
    valid_at = values.pop("valid_at", START + timedelta(minutes=number))
    work = folder / "work" / key[:SHORT]
    for name, data in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    publication = publish(
        work,
        list(files),
        root=folder / "products",
        workflow=workflow,
        key=key,
        valid_at=valid_at,
        facts={"run": key[:SHORT], "workflow": workflow},
        describe_origin=lambda index: {"activity": {f"run:{index['run']}": {}}},
    )
    shutil.rmtree(work)
    columns: dict[str, Any] = {
        "id": key[:SHORT],
        "key": key,
        "workflow": workflow,
        "version": "1",
        "document": "d" * 64,
        "engine": "local",
        "state": "succeeded",
        "inputs": [described(path) for path in inputs],
        "parameters": {},
        "run_dir": str(folder / "runs" / key[:SHORT]),
        "product_dir": str(publication.folder),
        "tier": "hot",
        "bytes": sum(item.bytes for item in publication.products),
        "software": "test",
        "valid_at": valid_at,
        "created_at": valid_at,
        "published_at": valid_at + timedelta(minutes=1),
        "updated_at": valid_at + timedelta(minutes=1),
    }
    with store.transaction() as session:
        document = {"sha256": "d" * 64, "name": workflow, "version": "1", "body": {}, "recorded_at": START}
        insert_new(session, StoredDocument, **document)
        session.execute(insert(Run), [{**columns, **values}])
        session.execute(insert(Product), _rows(key[:SHORT], publication))
    return get_run(store, key[:SHORT])


def _rows(run_id: str, publication: Publication) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run_id,
            "lfn": item.lfn,
            "path": str(publication.folder / item.lfn),
            "sha256": item.sha256,
            "bytes": item.bytes,
        }
        for item in publication.products
    ]


def described(path: Path) -> dict[str, Any]:
    """Return an input as a run keeps it."""
    known = path.stat()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "port": "nowcast",
        "path": str(path),
        "sha256": digest,
        "bytes": known.st_size,
        "mtime_ns": known.st_mtime_ns,
    }


def get_run(store: Store, run_id: str) -> Run:
    """Return a run as stored."""
    with store.reading() as session:
        run = session.get(Run, run_id)
    assert run is not None
    return run


def publish_again(store: Store, folder: Path, run: Run, at: datetime, files: Mapping[str, bytes] = FILES) -> None:
    """Publish the products of a reopened run again, as its executor does."""
    work = folder / "work" / run.id
    work.mkdir(parents=True)
    for name, data in files.items():
        (work / name).write_bytes(data)
    publication = publish(
        work,
        list(files),
        root=folder / "products",
        workflow=run.workflow,
        key=run.key,
        valid_at=run.valid_at or run.created_at,
        facts={"run": run.id, "workflow": run.workflow},
    )
    shutil.rmtree(work)
    with store.transaction() as session:
        stored = session.get_one(Run, run.id)
        stored.state, stored.tier, stored.product_dir = "succeeded", "hot", str(publication.folder)
        stored.bytes = sum(item.bytes for item in publication.products)
        stored.published_at = stored.updated_at = at
        session.execute(insert(Product), _rows(run.id, publication))
