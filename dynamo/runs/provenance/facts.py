"""What provenance is made from: a run as its index tells it, published or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from dynamo.errors import DynamoError
from dynamo.runs.publish import read_publication
from dynamo.runs.record import stored_index
from dynamo.store.models import Product, Run, StoredDocument


def facts_of(session: Session, run: Run, products: Sequence[Product]) -> dict[str, Any]:
    """Return a run's index; without a publication that can be read, what the store knows of it.

    ``folder`` is where its products are. Only an index has the versions of modules.
    """
    try:
        publication = None if run.product_dir is None else read_publication(run.product_dir, run.key)
    except (DynamoError, OSError):
        publication = None
    folder = run.product_dir or ""
    if publication is not None:
        return {**publication.index, "folder": folder}
    document = session.get_one(StoredDocument, run.document)
    return {**stored_index(run, str(document.body.get("description", "")), products), "folder": folder}
