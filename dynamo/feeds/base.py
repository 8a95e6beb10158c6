"""What a kind of feed is: its options, and a source of files made of them.

A kind is one file with both, and one line in `dynamo.doors` or an entry point in the group ``dynamo.feeds``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from dynamo.config.feeds import FeedSection
from dynamo.config.file import Config
from dynamo.runs.events import RunEvents
from dynamo.store.engine import Store

How = Literal["closed", "moved", "scan"]


@dataclass(frozen=True)
class Candidate:
    """A file that may be complete.

    Attributes
    ----------
    feed, path
        Which feed and which file.
    how
        ``closed`` or ``moved``: the kernel said that its writer is done; ``scan``: it was found lying there.
    seen_at
        When the feed noticed it.
    """

    feed: str
    path: Path
    how: How
    seen_at: datetime

    @property
    def told(self) -> bool:
        """Whether its writer is known to be done."""
        return self.how != "scan"


Sink = Callable[[Candidate], None]


@runtime_checkable
class Feed(Protocol):
    """A source of files. It may hand over the same file many times: the store knows what it has."""

    name: str

    def start(self, sink: Sink) -> None:
        """Begin to hand candidates to ``sink``, from any thread."""
        ...

    def scan(self, sink: Sink) -> int:
        """Hand over everything that lies there now; return how many."""
        ...

    def healthy(self) -> bool:
        """Whether news still come by themselves; where not, `start` is called again."""
        ...

    def stop(self) -> None:
        """End the handing over."""
        ...


@dataclass(frozen=True)
class FeedParts:
    """What feeds may be made of, beside their options.

    Attributes
    ----------
    config
        The whole configuration; `Config.path` makes its paths absolute.
    store, events
        Of the daemon: what it did, and what it does.
    """

    config: Config
    store: Store
    events: RunEvents


@dataclass(frozen=True)
class FeedKind:
    """One kind of feed, as the configuration names it.

    Attributes
    ----------
    options
        The model of its options, a subclass of `FeedSection`; the documentation is made from it.
    make
        Makes the feed of its options; it may lock what it watches.
    movable
        Whether bad files may be moved into quarantine; where not, they are recorded only.
    """

    options: type[FeedSection]
    make: Callable[[Any, FeedParts], Feed]
    movable: bool = True
