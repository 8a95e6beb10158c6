"""Source `forecast`: the runs that arrivals still to come will start, from what the newest arrivals say.

Only the store is asked. For each trigger: when files will come (the feed's rhythm), what they will say (the newest
nowcast's own leads, the spells of the radars), whether the trigger will start its workflow then, and what that costs.
What the predictions were worth is learned by trigger and lead (`bands`) and kept in the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.demand import outcomes
from dynamo.autoscale.demand.arrived import ArrivalMemory, Stream
from dynamo.autoscale.demand.bands import bins_ahead
from dynamo.autoscale.demand.costing import RunCost, RunCosts
from dynamo.autoscale.demand.expected import FORECAST, Expected, as_work, loads_of
from dynamo.autoscale.demand.hail import Spell, nearest_nowcast
from dynamo.autoscale.demand.pictures import StormMap, chance, shifted, steps
from dynamo.autoscale.demand.runs import POOL_ENGINES
from dynamo.autoscale.model import Work
from dynamo.inspection.facts import InputFacts
from dynamo.runs import learning
from dynamo.store.engine import Store
from dynamo.store.models import Cursor
from dynamo.times import to_iso
from dynamo.triggers.arrival import ArrivalTrigger
from dynamo.triggers.gather import GatherTrigger, slot_of
from dynamo.triggers.precursor import PrecursorState, PrecursorTrigger, state_from_json
from dynamo.triggers.rules import Rule
from dynamo.triggers.schedule import ScheduleTrigger

NAME = FORECAST
#: Less likely runs are left out.
_LEAST_CHANCE = 0.02
#: Rows and columns taken for an input of which no file was seen yet.
_UNSEEN_SHAPE = (400, 400)


class ForecastSource:
    """What the triggers of a configuration will start.

    Parameters
    ----------
    store, rules, costs
        Where arrivals are, the triggers, and what runs cost.
    engines
        Runs of other engines need no workers.
    sites
        The site that the runs of a workflow must be at, by workflow.
    learns
        Whether predictions are kept and judged; one process does that, others only look.
    """

    name = NAME

    def __init__(
        self,
        store: Store,
        rules: Sequence[Rule],
        costs: RunCosts,
        *,
        engines: Collection[str] = POOL_ENGINES,
        sites: Mapping[str, str] | None = None,
        learns: bool = True,
    ) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._costs = costs
        self._engines = frozenset(engines)
        self._sites = dict(sites or {})
        self._learns = learns
        self._memory = ArrivalMemory()
        self._notes: dict[str, str] = {}

    @property
    def notes(self) -> Mapping[str, str]:
        """What there is to say of the last answer: feeds that are silent, triggers that need no pool."""
        return self._notes

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        """Return the work that is expected until the horizon; raises `StoreUnavailableError`."""
        self._notes = {}
        rules = [rule for rule in self._rules if rule.engine in self._engines]
        for rule in self._rules:
            if rule.engine not in self._engines:
                self._notes[f"trigger {rule.name}"] = f"runs on engine {rule.engine}, not on the pool"
        if not rules:
            return []
        with self._store.reading() as session:
            self._costs.use(learning.current(session))
            # Nowcasts tell of hail to come whatever engine draws them.
            for feed in {rule.trigger.feed for rule in self._rules} | set(_sweep_feeds(rules)):
                self._memory.refresh(session, feed)
            nowcasts = self._nowcasts(session)
            spells = {
                rule.name: self._spells(session, rule, rule.trigger, nowcasts)
                for rule in self._rules
                if isinstance(rule.trigger, PrecursorTrigger)
            }
            expected = {rule.name: self._expected(session, rule, spells, now, horizon_s) for rule in rules}
            tracks = outcomes.load(session, [rule.name for rule in rules])
            loads = {name: loads_of(runs) for name, runs in expected.items()}
            changed = False
            if self._learns:
                for rule in rules:
                    changed |= outcomes.learn(
                        session, tracks[rule.name], rule, loads[rule.name], self._memory, self._costs, now, horizon_s
                    )
        if changed:
            outcomes.save(self._store, tracks, now)
        work: list[Work] = []
        for rule in rules:
            bands = {
                start: tracks[rule.name].band(start - now.timestamp(), loads[rule.name].get(start, 0.0))
                for start in {*loads[rule.name], *bins_ahead(now, horizon_s)}
            }
            site = self._sites.get(rule.workflow.name, "")
            work += as_work(rule, site, expected[rule.name], loads[rule.name], bands)
        return work

    # -- what is expected of each trigger

    def _expected(
        self, session: Session, rule: Rule, spells: Mapping[str, list[Spell]], now: datetime, horizon_s: float
    ) -> list[Expected]:
        trigger = rule.trigger
        if isinstance(trigger, ArrivalTrigger):
            return list(self._of_arrivals(session, rule, trigger, now, horizon_s))
        if isinstance(trigger, ScheduleTrigger):
            return list(self._of_schedule(session, rule, trigger, now, horizon_s))
        if isinstance(trigger, PrecursorTrigger):
            return list(self._of_spells(session, rule, spells[rule.name], now, horizon_s))
        return list(self._of_network(session, rule, trigger, spells, now, horizon_s))

    def _of_arrivals(
        self, session: Session, rule: Rule, trigger: ArrivalTrigger, now: datetime, horizon_s: float
    ) -> Iterable[Expected]:
        streams = self._memory.streams(trigger.feed, trigger)
        newest = self._memory.facts(session, [stream.newest.id for stream in streams])
        self._note_feed(trigger.feed, streams, now)
        for stream in streams:
            facts = newest.get(stream.newest.id)
            for time in _times(stream, now, horizon_s):
                minutes = stream.minutes_to(time)
                picture = None if facts is None else shifted(facts, minutes)
                likely = 1.0 if picture is None else chance(trigger.condition, picture, minutes)
                yield from self._one(rule, picture, time, likely, _known_as(stream, facts, minutes))

    def _of_schedule(
        self, session: Session, rule: Rule, trigger: ScheduleTrigger, now: datetime, horizon_s: float
    ) -> Iterable[Expected]:
        arrived = self._memory.newest(trigger.feed)
        if arrived is None:
            self._notes[f"feed {trigger.feed}"] = "has brought nothing yet"
            return
        facts = self._memory.facts(session, [arrived.id]).get(arrived.id)
        time, end = trigger.next_after(now), now + timedelta(seconds=horizon_s)
        while time <= end:
            minutes = (time - arrived.time).total_seconds() / 60.0
            # A file will have come in between; where the feed is silent, the old one is taken again.
            picture = None if facts is None else shifted(facts, minutes)
            likely = 1.0 if picture is None else chance(trigger.condition, picture, minutes)
            key = None if facts is None else ("arrival", arrived.id, steps(facts, minutes))
            yield from self._one(rule, picture, time, likely, key)
            time = trigger.next_after(time)

    def _of_spells(
        self, session: Session, rule: Rule, spells: Sequence[Spell], now: datetime, horizon_s: float
    ) -> Iterable[Expected]:
        self._note_feed(rule.trigger.feed, [spell.stream for spell in spells], now)
        newest = self._memory.facts(session, [spell.stream.newest.id for spell in spells])
        for spell in spells:
            facts = newest.get(spell.stream.newest.id)
            key = None if facts is None else ("radar", facts.format, facts.shape, len(facts.leads), facts.radar)
            cost = self._cost(rule, facts, now, key)
            if cost is None:
                continue
            for time in _times(spell.stream, now, horizon_s):
                likely = spell.chance(now, time)
                if likely >= _LEAST_CHANCE:
                    yield Expected(time, likely, cost)

    def _of_network(
        self,
        session: Session,
        rule: Rule,
        trigger: GatherTrigger,
        spells: Mapping[str, list[Spell]],
        now: datetime,
        horizon_s: float,
    ) -> Iterable[Expected]:
        settings = trigger.settings
        mine = self._makers(trigger, spells)
        streams = self._memory.streams(trigger.feed, trigger)
        arrived = max((stream.newest for stream in streams), key=lambda row: row.id, default=None)
        facts = None if arrived is None else self._memory.facts(session, [arrived.id]).get(arrived.id)
        if mine is None and not any(_times(stream, now, horizon_s) for stream in streams):
            return
        sources = streams if mine is None else [spell.stream for spell in mine]
        # Slots are of data time; in a replay they pass as fast as the data.
        pace = max((stream.pace for stream in sources), default=1.0)
        today = max((stream.data_time(now) for stream in sources), default=now)
        shape = None if facts is None else ("composite", facts.format, facts.shape)
        slot = slot_of(today, settings.period)
        while True:
            close = slot + settings.period + settings.deadline
            time = now + (close - today) / pace
            if time > now + timedelta(seconds=horizon_s):
                return
            if time >= now:
                none = 1.0
                for spell in mine or ():
                    if spell.stream.cadence is not None and not spell.stream.cadence.silent(now):
                        none *= 1.0 - spell.chance(now, max(now, time - settings.deadline / pace))
                yield from self._one(rule, facts, time, 1.0 if mine is None else 1.0 - none, shape)
            slot += settings.period

    def _one(
        self, rule: Rule, facts: InputFacts | None, time: datetime, likely: float, known_as: tuple[object, ...] | None
    ) -> Iterable[Expected]:
        cost = self._cost(rule, facts, time, known_as) if likely >= _LEAST_CHANCE else None
        if cost is not None:
            yield Expected(time, likely, cost)

    def _cost(
        self, rule: Rule, facts: InputFacts | None, time: datetime, known_as: tuple[object, ...] | None
    ) -> RunCost | None:
        if facts is None or facts.format not in rule.workflow.inputs.get(rule.port, "").split("|"):
            facts, known_as = _unseen(rule, time), ("unseen",)
        return self._costs.cost(rule.workflow, rule.parameters, {rule.port: facts}, rule.engine, known_as=known_as)

    # -- what it rests on

    def _nowcasts(self, session: Session) -> list[StormMap]:
        newest = [self._memory.newest(feed) for feed in {rule.trigger.feed for rule in self._rules}]
        facts = self._memory.facts(session, [row.id for row in newest if row is not None and not row.radar])
        return [StormMap(one) for one in facts.values() if one.bounds is not None]

    def _spells(
        self, session: Session, rule: Rule, trigger: PrecursorTrigger, nowcasts: Sequence[StormMap]
    ) -> list[Spell]:
        streams = self._memory.streams(trigger.feed, trigger)
        newest = self._memory.facts(session, [stream.newest.id for stream in streams])
        prefix = f"precursor {rule.name} "
        rows = session.execute(select(Cursor.name, Cursor.data).where(Cursor.name.startswith(prefix, autoescape=True)))
        states = {name.removeprefix(prefix): state_from_json(data) for name, data in rows}
        return [
            Spell(
                stream,
                states.get(stream.radar, PrecursorState()),
                trigger,
                nearest_nowcast(nowcasts, newest.get(stream.newest.id)),
            )
            for stream in streams
        ]

    def _makers(self, trigger: GatherTrigger, spells: Mapping[str, list[Spell]]) -> list[Spell] | None:
        """Return the spells of the radars whose products the network gathers; None where no trigger makes them so."""
        for rule in self._rules:
            made_there = trigger.maker is not None and rule.workflow.name == trigger.maker
            if isinstance(rule.trigger, PrecursorTrigger) and (
                made_there or (trigger.sweeps is not None and rule.trigger.feed == trigger.sweeps)
            ):
                return [spell for spell in spells[rule.name] if spell.stream.radar in trigger.settings.radars]
        return None

    def _note_feed(self, feed: str, streams: Sequence[Stream], now: datetime) -> None:
        if not streams:
            self._notes[f"feed {feed}"] = "has brought nothing yet: nothing is expected of it"
            return
        young = [stream for stream in streams if stream.cadence is None]
        silent = [stream for stream in streams if stream.cadence is not None and stream.cadence.silent(now)]
        if young:
            self._notes[f"feed {feed}"] = "has brought too few files to tell when the next will come"
        elif silent:
            last = max(stream.newest.time for stream in silent)
            usual = min(stream.cadence.interval_s for stream in silent if stream.cadence is not None)
            which = "" if len(silent) == len(streams) else f" ({len(silent)} of {len(streams)} radars)"
            self._notes[f"feed {feed}"] = (
                f"silent since {to_iso(last)}{which}, usually a file each {usual:.0f} s: nothing is expected of it"
            )


def _sweep_feeds(rules: Sequence[Rule]) -> list[str]:
    triggers = (rule.trigger for rule in rules)
    return [trigger.sweeps for trigger in triggers if isinstance(trigger, GatherTrigger) and trigger.sweeps]


def _times(stream: Stream, now: datetime, horizon_s: float) -> list[datetime]:
    return [] if stream.cadence is None else stream.cadence.expected(now, horizon_s)


def _known_as(stream: Stream, facts: InputFacts | None, minutes: float) -> tuple[object, ...] | None:
    return None if facts is None else ("arrival", stream.newest.id, steps(facts, minutes))


def _unseen(rule: Rule, time: datetime) -> InputFacts:
    """Return facts for an input of which no file was seen: of its format, of a usual size."""
    return InputFacts(rule.workflow.inputs[rule.port].split("|")[0], time, (0,), _UNSEEN_SHAPE, radar="radar")
