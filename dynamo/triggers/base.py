"""The interface of a trigger kind: its options, which files concern it, how it judges, what load it expects.

A kind is one module with both, plus one line in `dynamo.doors` or an entry point in the group ``dynamo.triggers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any, ClassVar

from dynamo.config.file import Config
from dynamo.config.triggers import TriggerSection
from dynamo.contract import Value
from dynamo.inspection.facts import InputFacts, facts_from_json
from dynamo.store.models import Arrival
from dynamo.triggers.book import Book
from dynamo.triggers.outlook.base import Activity, Outlook, Start
from dynamo.triggers.verdict import Verdict


@dataclass(frozen=True)
class TriggerKind:
    """One kind of trigger, as the configuration names it.

    Attributes
    ----------
    options
        The model of its options, a subclass of `TriggerSection`; the documentation is built from it.
    make
        Builds the trigger from its options and the whole configuration.
    """

    options: type[TriggerSection]
    make: Callable[[Any, Config], Trigger]


@dataclass(frozen=True)
class Due:
    """A decision a trigger makes on its own: the subject, the verdict, and the arrivals its workflow runs on.

    ``offers`` replace `Trigger.offers` in this run.
    """

    subject: str
    verdict: Verdict
    arrivals: Sequence[Arrival] = ()
    offers: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Trigger:
    """Base of all triggers: this one does nothing. A kind overrides what it needs.

    A trigger judges each file that concerns it (`judge`), or is asked periodically what is due (`due`); it writes
    nothing but its own notes. Its decisions are stored together with the runs they start.

    Parameters
    ----------
    feed
        The feed to take files from.
    """

    #: Seconds between calls of `due`; None if it is never called.
    ask_s: ClassVar[float | None] = None
    #: Whether `due` is also called when the daemon starts, before the feeds are scanned.
    ask_at_start: ClassVar[bool] = False
    #: Whether its runs take several files as one input.
    takes_many: ClassVar[bool] = False

    feed: str

    @property
    def levels(self) -> frozenset[float]:
        """Reflectivities, dBZ, at which areas must be measured for it to judge a file."""
        return frozenset()

    @property
    def offers(self) -> Mapping[str, Value]:
        """Parameters it sets in workflows that have them, unless the configuration sets them."""
        return {}

    @property
    def witness(self) -> str | None:
        """The feed whose files show that its input works; None if nothing distinguishes an outage from calm weather."""
        return self.feed

    def concerns(self, feed: str, path: PurePath) -> bool:  # noqa: ARG002 - the interface
        """Whether this file concerns it: if so it judges the file, or is asked at once what is due."""
        return False

    def judge(self, facts: InputFacts | None, book: Book) -> Verdict | None:  # noqa: ARG002 - the interface
        """Return whether a file that concerns it starts the workflow; None if files alone decide nothing.

        Raises
        ------
        InputError
            If the file cannot be judged.
        """
        return None

    def due(self, book: Book) -> Sequence[Due]:  # noqa: ARG002 - the interface
        """Return what it decides now, each decision once: it is stored in the same transaction."""
        return ()

    def uses(self, feed: str, path: PurePath) -> bool:
        """Whether its runs may take this file as input."""
        return self.concerns(feed, path)

    def slot_at(self, time: datetime) -> datetime | None:  # noqa: ARG002 - the interface
        """Return the slot to which data valid at a time belong; None if it decides on each file by itself."""
        return None

    def again(self, arrivals: Sequence[Arrival], book: Book) -> Sequence[Due]:
        """Return what it decides on the old arrivals of one slot, all of them there, in order of valid time.

        Raises
        ------
        InputError
            If they cannot be judged.
        """
        judged = ((one, self.judge(facts_from_json(one.facts) if one.facts else None, book)) for one in arrivals)
        return [Due(one.path, verdict, (one,)) for one, verdict in judged if verdict is not None]

    def upcoming(self, now: datetime) -> Iterator[datetime]:  # noqa: ARG002 - the interface
        """Yield the times after ``now`` at which it is due; nothing if it goes by files."""
        return iter(())

    def expects(self, outlook: Outlook) -> Iterable[Start]:  # noqa: ARG002 - the interface
        """Return the runs it is expected to start before the horizon."""
        return ()

    def activity(self, outlook: Outlook) -> Sequence[Activity] | None:  # noqa: ARG002 - the interface
        """Return how likely future files of each radar start the workflow; None if it does not go by radar."""
        return None
