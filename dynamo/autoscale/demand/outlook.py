"""What triggers are told of the time to come: one look into the store, shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.demand.arrived import ArrivalMemory, Takes
from dynamo.inspection.facts import InputFacts
from dynamo.store.models import Cursor
from dynamo.times import to_iso
from dynamo.triggers.book import prefix_of
from dynamo.triggers.outlook.base import Activity
from dynamo.triggers.outlook.hail import nearest_nowcast
from dynamo.triggers.outlook.pictures import StormMap, StormsNear
from dynamo.triggers.outlook.streams import Arrived, Stream
from dynamo.triggers.rules import Rule


@dataclass
class OutlookView:
    """One look into the store.

    Attributes
    ----------
    session, memory
        What there is, and what was there before.
    rules
        All triggers.
    now, horizon_s
        When, and how far is looked, seconds.
    notes
        What there is to say of feeds, by what it is about.
    """

    session: Session
    memory: ArrivalMemory
    rules: Sequence[Rule]
    now: datetime
    horizon_s: float
    notes: dict[str, str] = field(default_factory=dict)
    _activities: dict[str, Sequence[Activity] | None] = field(default_factory=dict)

    def refresh(self) -> None:
        """Ask for what is new in every feed that some trigger looks at."""
        feeds = {feed for rule in self.rules for feed in (rule.trigger.feed, rule.trigger.witness) if feed is not None}
        for feed in feeds:
            self.memory.refresh(self.session, feed)

    def activity(self, rule: Rule) -> Sequence[Activity] | None:
        """Return how likely the files of each radar start the workflow of a rule."""
        if rule.name not in self._activities:
            self._activities[rule.name] = rule.trigger.activity(RuleOutlook(self, rule))
        return self._activities[rule.name]

    @cached_property
    def nowcasts(self) -> list[StormMap]:
        """The newest nowcast of each feed; they tell of hail to come whatever engine draws them."""
        newest = [self.memory.newest(feed) for feed in {rule.trigger.feed for rule in self.rules}]
        facts = self.memory.facts(self.session, [row.id for row in newest if row is not None and not row.radar])
        return [StormMap(one) for one in facts.values() if one.bounds is not None]


class RuleOutlook:
    """A look, as the trigger of one rule may see it; a `dynamo.triggers.outlook.base.Outlook`."""

    def __init__(self, look: OutlookView, rule: Rule) -> None:
        self.now = look.now
        self.horizon_s = look.horizon_s
        self._look = look
        self._rule = rule
        self._feed = rule.trigger.feed

    def newest(self) -> Arrived | None:
        """Return the newest arrival of the trigger's feed by its valid time."""
        return self._look.memory.newest(self._feed)

    def streams(self, takes: Takes) -> Sequence[Stream]:
        """Return the streams of the trigger's feed, one for each radar, of the files that it takes."""
        return self._look.memory.streams(self._feed, takes, known_as=self._rule.name)

    def facts(self, arrived: Sequence[Arrived]) -> Mapping[int, InputFacts]:
        """Return what arrivals say, by their id."""
        return self._look.memory.facts(self._look.session, [one.id for one in arrived])

    def storms_near(self, sweep: InputFacts | None) -> StormsNear | None:
        """Return the strong echo near a radar, from the newest nowcast that covers it."""
        return nearest_nowcast(self._look.nowcasts, sweep)

    def recall(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the trigger's book keeps, by key."""
        prefix = f"{prefix_of(self._rule.kind, self._rule.name)} "
        query = select(Cursor.name, Cursor.data).where(Cursor.name.startswith(prefix, autoescape=True))
        return {name.removeprefix(prefix): data for name, data in self._look.session.execute(query)}

    def makers(self, workflow: str | None, feed: str | None) -> Sequence[Activity] | None:
        """Return the activity of the trigger that starts a workflow or takes a feed; None where none goes by radars."""
        for rule in self._look.rules:
            if (workflow is not None and rule.workflow.name == workflow) or rule.trigger.feed == feed:
                found = self._look.activity(rule)
                if found is not None:
                    return found
        return None

    def remark_on(self, streams: Sequence[Stream]) -> None:
        """Note what is missing in the trigger's feed, as its silence."""
        about = f"feed {self._feed}"
        notes = self._look.notes
        if not streams:
            notes[about] = "has brought nothing yet: nothing is expected of it"
            return
        silent = [stream for stream in streams if stream.cadence is not None and stream.cadence.silent(self.now)]
        if any(stream.cadence is None for stream in streams):
            notes[about] = "has brought too few files to tell when the next will come"
        elif silent:
            last = max(stream.newest.time for stream in silent)
            usual = min(stream.cadence.interval_s for stream in silent if stream.cadence is not None)
            which = "" if len(silent) == len(streams) else f" ({len(silent)} of {len(streams)} radars)"
            notes[about] = (
                f"silent since {to_iso(last)}{which}, usually a file each {usual:.0f} s: nothing is expected of it"
            )
