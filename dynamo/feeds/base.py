"""The interface of a feed, and what it hands over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

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
