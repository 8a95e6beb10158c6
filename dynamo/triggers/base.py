"""What a kind of trigger is: its options, and what it concerns, how it judges, what load it expects.

A kind is one file with both, and one line in `dynamo.doors` or an entry point in the group ``dynamo.triggers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar

from dynamo.config.file import Config
from dynamo.config.triggers import TriggerSection
from dynamo.contract import Value
from dynamo.inspection.facts import InputFacts
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
        The model of its options, a subclass of `TriggerSection`; the documentation is made from it.
    make
        Makes the trigger of its options and the whole configuration.
    """

    options: type[TriggerSection]
    make: Callable[[Any, Config], Trigger]


@dataclass(frozen=True)
class Due:
    """What a trigger decides by itself: about what, with which arrivals its workflow runs, and the verdict.

    ``offers`` stand for `Trigger.offers` in this run.
    """

    subject: str
    verdict: Verdict
    arrivals: Sequence[Arrival] = ()
    offers: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Trigger:
    """Base of all triggers: this one does nothing. A kind overrides what it needs.

    A trigger judges each file that it concerns (`judge`), or it is asked time and again what is due (`due`); it writes
    nothing but its own notes. All that it decides is stored together with the runs that it starts.

    Parameters
    ----------
    feed
        The feed whose files it takes.
    """

    #: Seconds between two questions of what is `due`; None where it is never asked.
    ask_s: ClassVar[float | None] = None
    #: Whether it is asked when the daemon starts, too, before the feeds were looked through.
    ask_at_start: ClassVar[bool] = False
    #: Whether its runs have many files at their input.
    takes_many: ClassVar[bool] = False

    feed: str

    @property
    def levels(self) -> frozenset[float]:
        """Reflectivities, dBZ, at which its files must be looked at so that it can judge them."""
        return frozenset()

    @property
    def offers(self) -> Mapping[str, Value]:
        """Parameters that it gives to a workflow that has them, where the configuration does not."""
        return {}

    @property
    def witness(self) -> str | None:
        """The feed whose files show that its input works; None where nothing tells an outage from calm weather."""
        return self.feed

    def concerns(self, feed: str, path: PurePath) -> bool:  # noqa: ARG002 - the interface
        """Whether it has to do with this file: then it judges it, or is asked at once what is due."""
        return False

    def judge(self, facts: InputFacts | None, book: Book) -> Verdict | None:  # noqa: ARG002 - the interface
        """Return whether a file that it concerns starts the workflow; None where it decides nothing by itself.

        Raises
        ------
        InputError
            If it cannot be judged.
        """
        return None

    def due(self, book: Book) -> Sequence[Due]:  # noqa: ARG002 - the interface
        """Return what it decides now; each is asked for once, for it is stored in the same transaction."""
        return ()

    def expects(self, outlook: Outlook) -> Iterable[Start]:  # noqa: ARG002 - the interface
        """Return the runs that it will start until the horizon, as far as can be told."""
        return ()

    def activity(self, outlook: Outlook) -> Sequence[Activity] | None:  # noqa: ARG002 - the interface
        """Return how likely the coming files of each radar start the workflow; None where it does not go by radars."""
        return None
