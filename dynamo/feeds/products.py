"""Feed kind `products`: the products of a workflow in the same store, so that one workflow can feed another.

New products come from the daemon's own events, and a scan queries the store: the product folders are not watched,
because each publication creates a folder and the kernel's watches would run out. Manually submitted runs are left out:
a trial with other parameters must not become part of the network's products. So are backfills: what is made of old
products is made again by a backfill of its own, not by live runs.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from sqlalchemy import select

from dynamo.config.feeds import FeedSection
from dynamo.feeds.base import Candidate, FeedKind, FeedParts, Sink
from dynamo.places.opening import is_remote
from dynamo.runs.events import RunEvent, RunEvents
from dynamo.store.engine import Store
from dynamo.store.models import Product, Run
from dynamo.times import utc_now

#: A scan covers what was published within this time; an earlier scan covered anything older.
_HORIZON = timedelta(hours=6)
#: The trigger of runs that `dynamo submit` creates.
_BY_HAND = "submit"
_BACKFILL = "backfill"


class ProductOptions(FeedSection):
    """Products published by a workflow of this store."""

    kind: Literal["products"] = "products"
    workflow: str = Field(description="Workflow whose products to take.", examples=["hail"])
    patterns: list[str] = Field(default=["*.nc"], min_length=1, description="Shell patterns for file names.")

    @property
    def made_by(self) -> str:
        """The workflow of this store that makes its files."""
        return self.workflow


class ProductFeed:
    """A feed that hands over published products as if they had been moved into a folder.

    Parameters
    ----------
    name
        Name of the feed.
    workflow
        Workflow whose products to take.
    patterns
        Shell patterns for their file names.
    store, events
        The run service's.
    """

    def __init__(self, name: str, *, workflow: str, patterns: Sequence[str], store: Store, events: RunEvents) -> None:
        self.name = name
        self._workflow = workflow
        self._patterns = tuple(patterns)
        self._store = store
        self._events = events
        self._unsubscribe: Callable[[], None] | None = None

    def start(self, sink: Sink) -> None:
        """Start handing over what this process publishes."""
        self.stop()

        def follow(event: RunEvent) -> None:
            if event.kind != "published" or event.data.get("trigger") == _BY_HAND:
                return
            if event.data.get("origin") == _BACKFILL:
                return
            if event.data["workflow"] == self._workflow:
                for path in sorted(Path(event.data["product_dir"]).iterdir()):
                    self._offer(path, sink)

        self._unsubscribe = self._events.subscribe(follow)

    def scan(self, sink: Sink) -> int:
        """Hand over what any process published recently."""
        query = (
            select(Product.path)
            .join(Run, Run.id == Product.run_id)
            .where(
                Run.workflow == self._workflow,
                Run.trigger != _BY_HAND,
                Run.origin != _BACKFILL,
                Run.published_at >= utc_now() - _HORIZON,
            )
            .order_by(Product.id)
        )
        with self._store.reading() as session:
            # What is in a bucket already was handed over when it was here.
            paths = [Path(text) for text in session.scalars(query) if not is_remote(text)]
        return sum(self._offer(path, sink) for path in paths)

    def healthy(self) -> bool:
        """Whether new products are still reported."""
        return self._unsubscribe is not None

    def stop(self) -> None:
        """Stop handing over candidates."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _offer(self, path: Path, sink: Sink) -> bool:
        if not any(fnmatch.fnmatchcase(path.name, pattern) for pattern in self._patterns):
            return False
        sink(Candidate(self.name, path, "moved", utc_now()))
        return True


def _make(options: ProductOptions, parts: FeedParts) -> ProductFeed:
    return ProductFeed(
        options.name, workflow=options.workflow, patterns=options.patterns, store=parts.store, events=parts.events
    )


# Published files stay in place: a bad product is only recorded.
KIND = FeedKind(ProductOptions, _make, movable=False)
