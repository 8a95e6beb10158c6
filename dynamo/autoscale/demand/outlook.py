"""What triggers may know about the future: one view of the store, shared by all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    """One view of the store.

    Attributes
    ----------
    session, memory
        The store now, and the arrivals remembered so far.
    rules
        All triggers.
    now, horizon_s
        The caller's clock, and how far to look ahead, seconds.
    notes
        Remarks on feeds, by subject.
    paused
        The triggers that start nothing now.
    """

    session: Session
    memory: ArrivalMemory
    rules: Sequence[Rule]
    now: datetime
    horizon_s: float
    notes: dict[str, str] = field(default_factory=dict)
    paused: Collection[str] = ()
    _activities: dict[str, Sequence[Activity] | None] = field(default_factory=dict)

    def refresh(self) -> None:
        """Load what is new in every feed used by a trigger."""
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
        """The newest nowcast of each feed; they predict hail whatever engine draws them."""
        newest = [self.memory.newest(feed) for feed in {rule.trigger.feed for rule in self.rules}]
        facts = self.memory.facts(self.session, [row.id for row in newest if row is not None and not row.radar])
        return [StormMap(one) for one in facts.values() if one.bounds is not None]


class RuleOutlook:
    """The view as seen by the trigger of one rule; a `dynamo.triggers.outlook.base.Outlook`."""

    def __init__(self, look: OutlookView, rule: Rule) -> None:
        self.now = look.now
        self.horizon_s = look.horizon_s
        self._look = look
        self._rule = rule
        self._feed = rule.trigger.feed

    def newest(self) -> Arrived | None:
        """Return the newest arrival of the trigger's feed by valid time."""
        return self._look.memory.newest(self._feed)

    def streams(self, takes: Takes) -> Sequence[Stream]:
        """Return the streams of files it takes from the trigger's feed, one per radar."""
        return self._look.memory.streams(self._feed, takes, known_as=self._rule.name)

    def facts(self, arrived: Sequence[Arrived]) -> Mapping[int, InputFacts]:
        """Return the facts of arrivals, by id."""
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
        """Return the activity of the trigger that starts a workflow or takes a feed; None if none goes by radar."""
        idle: Sequence[Activity] | None = None
        for rule in self._look.rules:
            if (workflow is not None and rule.workflow.name == workflow) or rule.trigger.feed == feed:
                found = self._look.activity(rule)
                if found is not None and rule.name not in self._look.paused:
                    return found
                # What a paused one would make does not come.
                idle = idle if found is None else ()
        return idle

    def remark_on(self, streams: Sequence[Stream]) -> None:
        """Note what is missing in the trigger's feed, such as its silence."""
        about = f"feed {self._feed}"
        notes = self._look.notes
        if not streams:
            notes[about] = "no files yet: none expected"
            return
        silent = [stream for stream in streams if stream.cadence is not None and stream.cadence.silent(self.now)]
        if any(stream.cadence is None for stream in streams):
            notes[about] = "too few files yet to predict the next"
        elif silent:
            last = max(stream.newest.time for stream in silent)
            usual = min(stream.cadence.interval_s for stream in silent if stream.cadence is not None)
            which = "" if len(silent) == len(streams) else f" ({len(silent)} of {len(streams)} radars)"
            notes[about] = f"silent since {to_iso(last)}{which}, usually a file every {usual:.0f} s: none expected"
