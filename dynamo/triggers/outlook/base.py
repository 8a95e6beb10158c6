"""What a trigger is told of the time to come, and what it says of it."""

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
    """One run that may be started.

    Attributes
    ----------
    at, chance
        When, and how likely.
    facts
        What its input is expected to say; None where no file of it was seen yet.
    known_as
        A name of these facts: what the run costs is reckoned once for each.
    """

    at: datetime
    chance: float
    facts: InputFacts | None
    known_as: tuple[object, ...] | None = None


class Activity(Protocol):
    """How likely the coming files of one radar start a workflow."""

    @property
    def stream(self) -> Stream:
        """The radar's files."""
        ...

    def chance(self, now: datetime, time: datetime) -> float:
        """Return how likely a file that comes at ``time`` starts it, as seen ``now``."""
        ...


class Outlook(Protocol):
    """What one trigger may know of the time to come."""

    @property
    def now(self) -> datetime:
        """The caller's clock."""
        ...

    @property
    def horizon_s(self) -> float:
        """How far is looked, seconds."""
        ...

    def newest(self) -> Arrived | None:
        """Return the newest arrival of the trigger's feed by its valid time."""
        ...

    def streams(self, takes: Callable[[str, PurePath], bool]) -> Sequence[Stream]:
        """Return the streams of the trigger's feed, one for each radar, of the files that it takes."""
        ...

    def facts(self, arrived: Sequence[Arrived]) -> Mapping[int, InputFacts]:
        """Return what arrivals say, by their id; those of which nothing is known are left out."""
        ...

    def storms_near(self, sweep: InputFacts | None) -> StormsNear | None:
        """Return the strong echo near a radar, from the newest nowcast that covers it; its newest file says where."""
        ...

    def recall(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the trigger's book keeps, by key."""
        ...

    def makers(self, workflow: str | None, feed: str | None) -> Sequence[Activity] | None:
        """Return the activity of the trigger that starts a workflow or takes a feed; None where none goes by radars."""
        ...

    def remark_on(self, streams: Sequence[Stream]) -> None:
        """Tell people of what is missing in the trigger's feed, as its silence."""
        ...
