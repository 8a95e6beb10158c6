"""Options that lists share: they mean the same wherever they stand, and are checked in the same way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_feeds, complete_known_workflows, complete_radars, complete_triggers

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

WideOption = typer.Option(False, "--wide", help="Show all columns and cut nothing, however wide that is.")
SinceOption = typer.Option(
    None, "--since", metavar="WHEN", help="Nothing older: an age such as 1h or 2d, or an ISO 8601 time."
)
FeedOption = typer.Option(
    None, "--feed", metavar="NAME", help="Only what is about this feed.", autocompletion=complete_feeds
)
TriggerOption = typer.Option(
    None, "--trigger", "-t", metavar="NAME", help="Only what is about this trigger.", autocompletion=complete_triggers
)
WorkflowOption = typer.Option(
    None, "--workflow", "-w", metavar="NAME", help="Only of this workflow.", autocompletion=complete_known_workflows
)
RadarOption = typer.Option(
    None, "--radar", "-r", metavar="ID", help="Only of this radar.", autocompletion=complete_radars
)
#: Options by the fields of `Chosen`, for those whose names are open.
_NAMES = ("feed", "trigger", "workflow", "radar")


def state_option(states: Iterable[str], what: str = "in this state") -> Any:
    """Return the option of a list whose rows have one of ``states``."""
    names = tuple(states)
    text = f"Only {what} (repeatable): {', '.join(names)}."
    return typer.Option([], "--state", "-s", metavar="STATE", help=text, autocompletion=completing(names))


def completing(names: Collection[str]) -> Callable[[str], list[str]]:
    """Return the completion of an option that takes one of ``names``."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


@dataclass(frozen=True)
class Chosen:
    """What a list is narrowed to; all by default."""

    since: datetime | None = None
    feed: str | None = None
    trigger: str | None = None
    workflow: str | None = None
    radar: str | None = None
    states: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return self != Chosen()

    def of_runs(self) -> list[ColumnElement[bool]]:
        """Return the conditions on runs, all but that of ``since``, whose meaning is the list's."""
        from sqlalchemy import func, select

        from dynamo.store.models import Arrival, Run

        found: list[ColumnElement[bool]] = []
        if self.feed is not None:
            found.append(select(Arrival.id).where(Arrival.id == Run.arrival_id, Arrival.feed == self.feed).exists())
        if self.trigger is not None:
            found.append(Run.trigger == self.trigger)
        if self.workflow is not None:
            found.append(Run.workflow == self.workflow)
        if self.radar is not None:
            found.append(func.upper(Run.radar) == self.radar.upper())
        if self.states:
            found.append(Run.state.in_(self.states))
        return found

    def none(self, what: str, where: str, config: Path | None) -> str:
        """Return the line of an empty list: what there is none of, and what may have been meant."""
        if not self:
            return f"no {what} in {where}"
        guesses = []
        for option in _NAMES:
            name = getattr(self, option)
            if name is not None and (guess := _near(option, name, config)):
                guesses.append(f"--{option} {guess}")
        meant = f"; did you mean {' '.join(guesses)}?" if guesses else ""
        return f"no such {what} in {where}{meant}"


def choose(
    *,
    since: str | None = None,
    feed: str | None = None,
    trigger: str | None = None,
    workflow: str | None = None,
    radar: str | None = None,
    states: Sequence[str] = (),
    known: Collection[str] = (),
) -> Chosen:
    """Return what the options of a list choose.

    Raises
    ------
    UsageError
        If ``since`` is no time, or one of ``states`` is not ``known``.
    """
    from dynamo.documents.problems import unknown
    from dynamo.errors import UsageError

    for state in states:
        if state not in known:
            raise unknown(UsageError, "state", state, known, where="--state")
    return Chosen(since_of(since), feed, trigger, workflow, radar, tuple(states))


def since_of(text: str | None, where: str = "--since") -> datetime | None:
    """Return the time that an option means: ISO 8601, or an age such as ``90min``, ``1h`` or ``2d``."""
    from dynamo.times import utc_now

    return None if text is None else past(text, utc_now(), where=where)


def past(text: str, now: datetime, *, where: str) -> datetime:
    """Parse a time: ISO 8601, or an age such as ``2h`` or ``7d``.

    Raises
    ------
    UsageError
        If the text is neither.
    """
    from dynamo.errors import InputError, UsageError
    from dynamo.times import parse_time

    age = text.removesuffix("in") if text.endswith("min") else text
    if age[:1].isdigit() and age[-1:] in "smhd":
        return now - duration(age, where=where)
    try:
        return parse_time(text, where=where)
    except InputError as error:
        raise UsageError(
            error.what, where=where, expected="ISO 8601 (2026-06-10T00:00:00Z) or an age (90min, 2h, 7d)"
        ) from None


def duration(text: str, *, where: str) -> timedelta:
    """Parse a duration such as ``90``, ``45m``, ``2h`` or ``1d12h``.

    Raises
    ------
    UsageError
        If the text is not a duration.
    """
    from pydantic_core import PydanticCustomError

    from dynamo.errors import UsageError
    from dynamo.provision.spec.types import parse_moment

    plain = text.strip().removeprefix("+")
    try:
        seconds = parse_moment(f"+{plain}s" if plain.isdigit() else f"+{plain}").offset_s
    except PydanticCustomError:
        seconds = 0
    if seconds <= 0:
        raise UsageError(f"not a duration: {text!r:.40}", where=where, expected="e.g. 90s, 45m, 2h or 1d12h")
    return timedelta(seconds=seconds)


def _near(option: str, name: str, config: Path | None) -> str:
    """Return the nearest name that there is, if it is not the one given."""
    from dynamo.cli import completion
    from dynamo.documents.problems import nearest

    sources: Mapping[str, Callable[[Path | None], Iterable[str]]] = {
        "feed": completion.feeds_in,
        "trigger": completion.triggers_in,
        "workflow": completion.workflows_in,
        "radar": completion.radars_in,
    }
    known = list(sources[option](config))
    return "" if name in known else nearest(name, known)
