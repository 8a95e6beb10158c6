"""Trigger kind `gather`: all radars of a network together, once per slot; the store records the finished slots."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import ClassVar, Literal

from pydantic import Field

from dynamo.config.alerts import AlertsSection
from dynamo.config.file import Config
from dynamo.config.names import Name
from dynamo.config.triggers import FilePattern, TriggerSection
from dynamo.contract import Value
from dynamo.documents.section import Section
from dynamo.store.models import Arrival
from dynamo.times import parse_time, to_iso
from dynamo.triggers.base import Due, Trigger, TriggerKind
from dynamo.triggers.book import Book
from dynamo.triggers.outlook.base import Activity, Outlook, Start
from dynamo.triggers.pieces import Pieces, pieces_of, unfit
from dynamo.triggers.quiet import quiet_sweeps
from dynamo.triggers.slots import Gathering, GatherSettings, gather, open_slots, slot_of
from dynamo.triggers.verdict import Verdict

#: Shortest time after which pieces that have arrived are ignored.
_HORIZON = timedelta(minutes=10)
#: Finished slots to remember besides those that still have pieces within the horizon.
_REMEMBERED = 500


class GatherSection(Section):
    """One run for all radars of a network, once all have reported or the deadline has passed."""

    radars: list[Name] = Field(min_length=1, max_length=500, description="Radars of the network.")
    period_s: float = Field(60.0, gt=0, le=86400, description="Slot length, in seconds, counted from midnight UTC.")
    deadline_s: float = Field(30.0, ge=0, le=86400, description="Run anyway N seconds after the slot ends.")
    minimum: int = Field(1, ge=1, description="Smallest number of radars worth a run.")
    each: int = Field(1, ge=1, le=100, description="Products to wait for per radar and slot (its sweeps).")
    sweeps: Name | None = Field(
        None,
        description="Feed of the sweeps the products are made from; lets a radar whose sweeps started no run count as "
        "quiet, not missing.",
    )


class GatherOptions(TriggerSection):
    """All radars of a network together."""

    kind: Literal["gather"] = "gather"
    pattern: FilePattern = "*"
    gather: GatherSection = Field(
        description="The network, as `gather = { radars = [...] }`.",
        examples=[{"radars": ["addison.tx", "midlothian.tx"], "deadline_s": 30}],
    )

    def problem(self, feeds: Sequence[str], alerts: AlertsSection) -> str:
        """Return what conflicts with the rest of the file, such as a feed of sweeps that does not exist."""
        sweeps = self.gather.sweeps
        return super().problem(feeds, alerts) or (
            "" if sweeps is None else self.no_feed("feed of sweeps", sweeps, feeds)
        )


@dataclass(frozen=True)
class GatherTrigger(Trigger):
    """Which arrivals are pieces of a network's products, and when they are complete."""

    ask_s: ClassVar[float | None] = 1.0
    takes_many: ClassVar[bool] = True

    pattern: str
    settings: GatherSettings
    #: The feed of the sweeps the products are made from, and the workflow that makes them.
    sweeps: str | None = None
    maker: str | None = None

    @property
    def offers(self) -> Mapping[str, Value]:
        """The expected radars, so that the workflow can name the missing ones."""
        return self._expected(())

    @property
    def witness(self) -> str | None:
        """The feed of sweeps: no hail anywhere is an outcome, and only sweeps distinguish it from an outage."""
        return self.sweeps

    def concerns(self, feed: str, path: PurePath) -> bool:
        """Whether this file may complete a slot, as a piece or by being quiet."""
        return feed == self.sweeps or self.is_piece(feed, path)

    def is_piece(self, feed: str, path: PurePath) -> bool:
        """Whether this file is a piece."""
        return feed == self.feed and fnmatch.fnmatchcase(path.name, self.pattern)

    def due(self, book: Book) -> Sequence[Due]:
        """Decide about slots that are complete or late, and record them as done so that none runs twice.

        Pieces of radars outside the network, or from a clock that is ahead, are left out; each is reported once.
        """
        settings = self.settings
        since = book.now - max(_HORIZON, 3 * (settings.period + settings.deadline))
        pieces = pieces_of(book.arrivals(self.feed, since), settings.period, self.is_piece)
        sweeps = pieces_of(() if self.sweeps is None else book.arrivals(self.sweeps, since), settings.period)
        if not pieces and not sweeps:
            return ()
        note = book.recall().data
        done = [parse_time(text) for text in note.get("done", [])]
        told = set(note.get("left_out", []))
        here = {arrival.id for arrival in pieces.values()}

        due = list(self._left_out(book, pieces, told))
        pieces = pieces.where(lambda piece: pieces[piece].id not in told)
        sweeps = sweeps.where(lambda sweep: not unfit(sweep, settings.radars, book.now))
        with_pieces = {slot_of(piece.time, settings.period) for piece in (*sweeps, *pieces)}
        for slot, decision in self._together(book, pieces, sweeps, done):
            done.append(slot)
            due.append(self._due(book, decision, [pieces[piece] for piece in decision.pieces]))
        if due:
            old = [slot for slot in done if slot not in with_pieces][-_REMEMBERED:]
            slots = [*old, *(slot for slot in done if slot in with_pieces)]
            book.keep({"done": [to_iso(slot) for slot in slots], "left_out": sorted(told & here)})
        return due

    def uses(self, feed: str, path: PurePath) -> bool:
        """Whether this file is a piece."""
        return self.is_piece(feed, path)

    def slot_at(self, time: datetime) -> datetime:
        """Return the slot of a piece."""
        return slot_of(time, self.settings.period)

    def again(self, arrivals: Sequence[Arrival], book: Book) -> Sequence[Due]:
        """Decide on a slot whose deadline has long passed, with the pieces that came in the end."""
        settings = self.settings
        found = pieces_of(arrivals, settings.period)
        pieces = found.where(lambda piece: not unfit(piece, settings.radars, book.now))
        if not pieces:
            return ()
        slot = next(iter(pieces.by_slot()))
        there = () if self.sweeps is None else book.valid_in(self.sweeps, slot, slot + settings.period)
        sweeps = pieces_of(there, settings.period).where(lambda one: not unfit(one, settings.radars, book.now))
        silent = quiet_sweeps(book, sweeps, pieces.by_slot(), self.maker).get(slot, [])
        count = Counter((one.facts or {})["radar"] for one in silent)
        decision = gather(list(pieces), slot, slot + settings.period + settings.deadline, settings, quiet=count)
        return (self._due(book, decision, [pieces[piece] for piece in decision.pieces]),)

    def expects(self, outlook: Outlook) -> Iterable[Start]:
        """Expect a run at the end of each slot in which any radar of the network will have a product."""
        settings, now = self.settings, outlook.now
        mine = self._makers(outlook)
        streams = outlook.streams(self.is_piece)
        arrived = max((stream.newest for stream in streams), key=lambda row: row.id, default=None)
        facts = None if arrived is None else outlook.facts([arrived]).get(arrived.id)
        if mine is None and not any(stream.expected(now, outlook.horizon_s) for stream in streams):
            return
        sources = streams if mine is None else [one.stream for one in mine]
        # Slots are in data time; in a replay they pass as fast as the data.
        pace = max((stream.pace for stream in sources), default=1.0)
        today = max((stream.data_time(now) for stream in sources), default=now)
        known_as = None if facts is None else ("composite", facts.format, facts.shape)
        slot = slot_of(today, settings.period)
        while True:
            close = slot + settings.period + settings.deadline
            time = now + (close - today) / pace
            if time > now + timedelta(seconds=outlook.horizon_s):
                return
            if time >= now:
                none = 1.0
                for one in mine or ():
                    if one.stream.cadence is not None and not one.stream.cadence.silent(now):
                        none *= 1.0 - one.chance(now, max(now, time - settings.deadline / pace))
                yield Start(time, 1.0 if mine is None else 1.0 - none, facts, known_as)
            slot += settings.period

    # -- due now

    def _left_out(self, book: Book, pieces: Pieces, told: set[int]) -> Iterator[Due]:
        """Yield a refusal for each unusable piece not yet reported, and add it to the reported ones."""
        for piece, arrival in pieces.items():
            if arrival.id in told or not (reason := unfit(piece, self.settings.radars, book.now)):
                continue
            told.add(arrival.id)
            slot = to_iso(slot_of(piece.time, self.settings.period))
            data = {"feed": arrival.feed, "radar": piece.radar, "slot": slot}
            yield Due(arrival.path, Verdict(False, reason, data, "skip"))

    def _together(
        self, book: Book, pieces: Pieces, sweeps: Pieces, done: Sequence[datetime]
    ) -> Iterator[tuple[datetime, Gathering]]:
        """Yield the slots that need no more waiting, oldest first.

        A slot's deadline counts from its end, or from the arrival of its first piece if later: a replay of old data
        must not find every deadline passed.
        """
        settings, closed = self.settings, set(done)
        by_slot = pieces.by_slot()
        waiting = sweeps.where(lambda sweep: slot_of(sweep.time, settings.period) not in closed)
        quiet = quiet_sweeps(book, waiting, by_slot, self.maker)
        known = [*sweeps, *pieces]
        oldest = min((slot_of(piece.time, settings.period) for piece in known), default=book.now)
        for slot in open_slots(known, settings, closed, oldest):
            here = by_slot.get(slot, [])
            silent = quiet.get(slot, [])
            if not here and not silent:
                continue
            first = min(one.detected_at for one in ([pieces[piece] for piece in here] or silent))
            late = max(first - (slot + settings.period), timedelta(0))
            count = Counter((one.facts or {})["radar"] for one in silent)
            decision = gather(here, slot, book.now - late, settings, quiet=count)
            if decision.action != "wait":
                yield slot, decision

    def _due(self, book: Book, decision: Gathering, arrivals: Sequence[Arrival]) -> Due:
        run = decision.action == "run"
        verdict = Verdict(run, decision.reason, dict(decision.data), "start" if run else "skip")
        subject = f"{book.name} {to_iso(decision.slot)}"
        # Quiet radars are not missing.
        return Due(subject, verdict, arrivals if run else (), self._expected(decision.data["quiet"]))

    def _expected(self, quiet: Sequence[str]) -> dict[str, Value]:
        return {"expected": ",".join(radar for radar in self.settings.radars if radar not in quiet)}

    # -- expected

    def _makers(self, outlook: Outlook) -> list[Activity] | None:
        """Return the activity of the radars the pieces come from; None if no trigger knows it."""
        makers = outlook.makers(self.maker, self.sweeps)
        return None if makers is None else [one for one in makers if one.stream.radar in self.settings.radars]


def _make(options: GatherOptions, config: Config) -> GatherTrigger:
    network = options.gather
    settings = GatherSettings(
        radars=tuple(network.radars),
        period=timedelta(seconds=network.period_s),
        deadline=timedelta(seconds=network.deadline_s),
        minimum=network.minimum,
        each=network.each,
    )
    maker = next((feed.made_by for feed in config.feeds if feed.name == options.feed), None)
    return GatherTrigger(options.feed, options.pattern, settings, network.sweeps, maker)


KIND = TriggerKind(GatherOptions, _make)
