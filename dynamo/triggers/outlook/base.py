"""What a trigger may know about the future, and what it predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, Protocol

from dynamo.inspection.facts import InputFacts
from dynamo.triggers.outlook.pictures import StormsNear
from dynamo.triggers.outlook.streams import Arrived, Stream


@dataclass(frozen=True)
class Start:
    """A run that may be started.

    Attributes
    ----------
    at, chance
        When, and how likely (0 to 1).
    facts
        Expected facts of its input; None if no file has been seen yet.
    known_as
        A key for these facts: the cost of the run is computed once per key.
    """

    at: datetime
    chance: float
    facts: InputFacts | None
    known_as: tuple[object, ...] | None = None


class Activity(Protocol):
    """How likely future files of one radar start a workflow."""

    @property
    def stream(self) -> Stream:
        """The radar's files."""
        ...

    def chance(self, now: datetime, time: datetime) -> float:
        """Return how likely a file arriving at ``time`` starts it, as seen ``now``."""
        ...


class Outlook(Protocol):
    """What one trigger may know about the future."""

    @property
    def now(self) -> datetime:
        """The caller's clock."""
        ...

    @property
    def horizon_s(self) -> float:
        """How far ahead to look, seconds."""
        ...

    def newest(self) -> Arrived | None:
        """Return the newest arrival of the trigger's feed by valid time."""
        ...

    def streams(self, takes: Callable[[str, PurePath], bool]) -> Sequence[Stream]:
        """Return the streams of files it takes from the trigger's feed, one per radar."""
        ...

    def facts(self, arrived: Sequence[Arrived]) -> Mapping[int, InputFacts]:
        """Return the facts of arrivals, by id; unknown ones are left out."""
        ...

    def storms_near(self, sweep: InputFacts | None) -> StormsNear | None:
        """Return the strong echo near the radar of a sweep, from the newest nowcast that covers it."""
        ...

    def recall(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the trigger's book keeps, by key."""
        ...

    def makers(self, workflow: str | None, feed: str | None) -> Sequence[Activity] | None:
        """Return the activity of the trigger that starts a workflow or takes a feed; None if none goes by radar."""
        ...

    def remark_on(self, streams: Sequence[Stream]) -> None:
        """Remark on what is missing in the trigger's feed, such as its silence."""
        ...
