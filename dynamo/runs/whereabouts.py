"""Where products are now that were published at a path and have moved since, to the warm tier or by promotion."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.places.opening import is_remote
from dynamo.runs.ledger import run_at
from dynamo.store.models import Product

#: The name of a publication's folder, which ends with the beginning of the run's key.
_FOLDER = re.compile(r"^\d{6}-[0-9a-f]+$")


def product_at(session: Session, path: str) -> Product | None:
    """Return the product that was published at a path, wherever it is now; None if there is none."""
    place = PurePosixPath(path) if is_remote(path) else Path(path).absolute()
    for folder in place.parents:
        if not _FOLDER.match(folder.name) or (run := run_at(session, folder)) is None:
            continue
        lfn = place.relative_to(folder).as_posix()
        return session.scalar(select(Product).where(Product.run_id == run.id, Product.lfn == lfn))
    return None


def where_now(session: Session, path: str, sha256: str | None) -> str:
    """Return where a file is: at its path, or if it is a product that has moved since, where that is now."""
    if os.path.lexists(path):
        return path
    product = product_at(session, path)
    return path if product is None or product.sha256 != sha256 else product.path


def inputs_now(session: Session, inputs: list[dict[str, Any]]) -> Mapping[str, str]:
    """Return where each input of a run is now, by its path."""
    return {str(item["path"]): where_now(session, str(item["path"]), item["sha256"]) for item in inputs}
