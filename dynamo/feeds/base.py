"""The interface of a feed kind: its options, and the source of files built from them.

A kind is one module with both, plus one line in `dynamo.doors` or an entry point in the group ``dynamo.feeds``.
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
        The feed and the file.
    how
        ``closed`` or ``moved``: the kernel reported that its writer is done; ``scan``: a scan found it.
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
    """A source of files. It may hand over the same file many times: the store removes duplicates."""

    name: str

    def start(self, sink: Sink) -> None:
        """Start handing candidates to ``sink``, from any thread."""
        ...

    def scan(self, sink: Sink) -> int:
        """Hand over everything present now; return how many."""
        ...

    def healthy(self) -> bool:
        """Whether new files are still reported; if not, `start` is called again."""
        ...

    def stop(self) -> None:
        """Stop handing over candidates."""
        ...


@dataclass(frozen=True)
class FeedParts:
    """What feeds may be built from, besides their options.

    Attributes
    ----------
    config
        The whole configuration; `Config.path` makes its paths absolute.
    store, events
        The daemon's record of what it did, and its live events.
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
        The model of its options, a subclass of `FeedSection`; the documentation is built from it.
    make
        Builds the feed from its options; it may lock what it watches.
    movable
        Whether bad files may be moved to quarantine; if not, they are only recorded.
    problem
        Returns what would keep the feed from being built now, such as a missing folder; it locks and writes nothing.
        Empty if nothing would.
    remark
        Returns what is allowed, but probably not meant, such as files that it ignores; empty if nothing is.
    """

    options: type[FeedSection]
    make: Callable[[Any, FeedParts], Feed]
    movable: bool = True
    problem: Callable[[Any, Config], str] = lambda _options, _config: ""
    remark: Callable[[Any, Config], str] = lambda _options, _config: ""
