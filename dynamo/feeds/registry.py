"""The kinds of feeds that exist: a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from dynamo.errors import NotFoundError
from dynamo.feeds.base import Feed

#: Kind of a feed to its module and class; ``replay`` and remote listings come here.
KINDS: Mapping[str, tuple[str, str]] = {
    "directory": ("dynamo.feeds.directory", "DirectoryFeed"),
    "nexrad-chunks": ("dynamo.feeds.chunks", "ChunkFeed"),
    "products": ("dynamo.feeds.products", "ProductFeed"),
}


def create_feed(kind: str, name: str, **options: Any) -> Feed:
    """Return a new feed of a registered kind; raises `NotFoundError` for another."""
    if kind not in KINDS:
        raise NotFoundError(f"no kind of feed {kind!r:.60}", where=name, expected=", ".join(KINDS))
    module, cls = KINDS[kind]
    feed: Feed = getattr(import_module(module), cls)(name, **options)
    return feed
