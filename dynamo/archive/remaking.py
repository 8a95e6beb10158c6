"""Whether the products of a run can be made again: its document and every input are still held, unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from dynamo.errors import MissingPartError, RetryableError
from dynamo.files import sha256_file
from dynamo.places.base import PlaceRefusedError
from dynamo.places.opening import is_remote, open_place
from dynamo.runs.whereabouts import where_now
from dynamo.store.models import Run, StoredDocument


def why_not(session: Session, run: Run) -> str:
    """Return why the products of a run cannot be made again; empty if they can."""
    if session.get(StoredDocument, run.document) is None:
        return "its document is gone"
    if not run.inputs:
        return "it has no inputs to make it from"
    for item in run.inputs:
        # A copy in the run folder does not count: it is cleaned up soon.
        path = str(item["path"])
        now = where_now(session, path, item["sha256"])
        try:
            same = _is_same_object(now, item) if is_remote(now) else _is_same(Path(now), item)
        except (RetryableError, PlaceRefusedError, MissingPartError) as error:
            return f"its input is out of reach: {error}"
        if not same:
            return f"its input is gone: {Path(path).name}"
    return ""


def _is_same_object(path: str, item: Mapping[str, Any]) -> bool:
    """Tell whether an object has the size it should; its checksum was compared when it was written."""
    folder, _, name = path.rpartition("/")
    try:
        return bool(open_place(folder).size(name) == item["bytes"])
    except FileNotFoundError:
        return False


def _is_same(path: Path, item: Mapping[str, Any]) -> bool:
    try:
        facts = path.stat()
        if facts.st_size != item["bytes"]:
            return False
        return bool(facts.st_mtime_ns == item["mtime_ns"]) or sha256_file(path) == item["sha256"]
    except OSError:
        return False
