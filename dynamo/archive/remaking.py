"""Whether the products of a run can be made again: its document and every input are still held, unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from dynamo.files import sha256_file
from dynamo.store.models import Run, StoredDocument


def why_not(session: Session, run: Run) -> str:
    """Return why the products of a run cannot be made again; empty if they can."""
    if session.get(StoredDocument, run.document) is None:
        return "its document is gone"
    if not run.inputs:
        return "it has no inputs to make it from"
    for item in run.inputs:
        # A copy in the run folder does not count: it is cleaned up soon.
        if not _is_same(Path(str(item["path"])), item):
            return f"its input is gone: {Path(str(item['path'])).name}"
    return ""


def _is_same(path: Path, item: Mapping[str, Any]) -> bool:
    try:
        facts = path.stat()
        if facts.st_size != item["bytes"]:
            return False
        return bool(facts.st_mtime_ns == item["mtime_ns"]) or sha256_file(path) == item["sha256"]
    except OSError:
        return False
