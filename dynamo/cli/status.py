"""`dynamo status`: everything at a glance, on one screen of 80 by 24, once or redrawn in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from dynamo.cli import console
from dynamo.cli.console import print_json, print_json_line
from dynamo.cli.fleet.progress import states_text
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import Column, Rows, clock, extra, named, right, worded
from dynamo.cli.watch import ConfigOption
from dynamo.texts import visible

if TYPE_CHECKING:
    from dynamo.overview import DaemonSeen, Overview

#: What the exit code says if somebody should look.
_TROUBLE_EXIT_CODE = 1
#: Lines of a small terminal, but for the one where the prompt comes back.
_LINES = 23
#: Head, what is wrong, daemons, runs, and cost.
_FIXED = 5
#: Column names and the rule below them.
_HEAD = 2
_STYLES = {
    "fresh": "green",
    "late": "yellow",
    "silent": "bold red",
    "failed": "bold red",
    "not expected": "dim",
    "succeeded": "green",
    "running": "cyan",
    "held": "yellow",
}

_Row = tuple[object, ...]
#: Columns, rows, and how many rows there would be.
_List = tuple[Sequence[str | Column], list[_Row], int]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    watch: bool = typer.Option(False, "--watch", "-w", help="Redraw in place until Ctrl-C."),
    every_s: float = typer.Option(2.0, "--every", min=0.2, metavar="SECONDS", help="How often --watch looks."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Show everything on one screen: daemons, data, runs, problems, fleets, and what they cost today.

    It reads the store alone, so it works while daemons are down, and says so. `--watch --json` prints a line each time.

    Exit codes: 0 if all is well; 1 if a daemon that is needed is down, or anything is late, silent or failed.
    """
    with _looking(config) as look:
        if watch:
            try:
                _keep_looking(look, every_s, as_json)
            except KeyboardInterrupt:
                return
        seen = look()
    if as_json:
        print_json(seen.to_json())
    else:
        console.out.print(screen(seen, _LINES))
    if seen.troubles:
        raise typer.Exit(_TROUBLE_EXIT_CODE)


def screen(seen: Overview, lines: int) -> RenderableType:
    """Return the whole as at most ``lines`` lines, the worst of each list first."""
    lists = _lists(seen)
    rows = shares([len(rows) for _, rows, _ in lists], lines - _FIXED - _HEAD * len(lists))
    parts: list[RenderableType] = [_head(seen), _verdict(seen), _daemons(seen), _runs(seen), _cost(seen)]
    for (columns, cells, total), room in zip(lists, rows, strict=True):
        shown = cells[: room if total <= room else room - 1]
        if total > len(shown):
            more = Text(f"and {total - len(shown)} more", style="dim")
            shown = [*shown, (more, *("" for _ in columns[1:]))]
        parts.append(Rows(columns, shown, now=seen.now))
    return Group(*parts)


def shares(needs: Sequence[int], room: int) -> list[int]:
    """Return how many rows each list gets: what it needs, or a fair share of what there is, but one at least.

    Examples
    --------
    >>> shares([2, 30, 9], 14)
    [2, 6, 6]
    """
    given = [0] * len(needs)
    while sum(given) < room and given != list(needs):
        hungry = [index for index, need in enumerate(needs) if given[index] < need]
        given[min(hungry, key=lambda index: given[index])] += 1
    return [max(1, count) for count in given]


@contextmanager
def _looking(config: Path | None) -> Iterator[Callable[[], Overview]]:
    """Yield a function that looks at everything; habits of the data are kept between two looks."""
    from dynamo.assets.watched import Watched
    from dynamo.cli.stores import look as open_store
    from dynamo.config.file import find_config
    from dynamo.overview import overview
    from dynamo.times import utc_now

    settings, store = find_config(config), open_store(config)
    watched = Watched(settings, utc_now())

    def look() -> Overview:
        with store.reading() as session:
            return overview(settings, session, utc_now(), watched=watched)

    try:
        yield look
    finally:
        store.close()


def _keep_looking(look: Callable[[], Overview], every_s: float, as_json: bool) -> None:
    """Show everything again and again; what cannot be read now is told, and may be back the next time."""
    from rich.live import Live

    from dynamo.errors import DynamoError

    out = console.out
    with Live(console=out, auto_refresh=False, screen=out.is_terminal and not as_json) as live:
        while True:
            try:
                seen = look()
            except DynamoError as error:
                if as_json:
                    raise
                shown: RenderableType = Text(visible(str(error)), style="bold red")
            else:
                shown = screen(seen, max(_LINES, out.height) if out.is_terminal else _LINES)
            if as_json:
                print_json_line(seen.to_json())
            elif out.is_terminal:
                live.update(shown, refresh=True)
            else:
                out.print(shown)
            time.sleep(every_s)


def _head(seen: Overview) -> Text:
    return Text(f"DyNamo {seen.version}  {seen.now:%Y-%m-%d %H:%M:%S} UTC", style="bold")


def _verdict(seen: Overview) -> Text:
    if not seen.troubles:
        return Text("all is well", style="green")
    return Text(visible("; ".join(seen.troubles)), style="bold red", no_wrap=True, overflow="ellipsis")


def _daemons(seen: Overview) -> Text:
    parts = [_daemon(daemon) for daemon in seen.daemons if daemon.alive or daemon.needed]
    return _labelled("daemons", parts or [Text("none", style="dim")])


def _daemon(daemon: DaemonSeen) -> Text:
    if not daemon.alive:
        return Text(f"{visible(daemon.called)} down", style="bold red")
    since = "" if daemon.since is None else f" since {clock(daemon.since)}"
    return Text(f"{visible(daemon.called)} up{since}", style="green")


def _runs(seen: Overview) -> Text:
    parts = [Text(f"{count} {state}", style=_STYLES.get(state, "")) for state, count in sorted(seen.runs.items())]
    parts = parts or [Text("none", style="dim")]
    return _labelled("runs, 24 h", [*parts, Text(f"now {seen.at_work} at work, {seen.waiting} waiting")])


def _cost(seen: Overview) -> Text:
    sums: dict[str, float] = {}
    for fleet in seen.fleets:
        sums[fleet.currency] = sums.get(fleet.currency, 0.0) + fleet.cost_today
    rate = " + ".join(f"{fleet.cost_per_hour:g} {fleet.currency}/h" for fleet in seen.fleets if fleet.cost_per_hour)
    parts = [Text(f"{amount:.2f} {currency}") for currency, amount in sums.items()] or [Text("no fleet", style="dim")]
    return _labelled("cost today", [*parts, *([Text(f"now {rate}")] if rate else [])])


def _lists(seen: Overview) -> list[_List]:
    """Return the columns, rows and full length of each list that has any."""
    data: list[_Row] = [(item.subject, _styled(item.state), item.reason) for item in seen.data]
    # What is judged bad stands among the data already, unless it is no longer watched.
    told = {item.subject for item in seen.data if item.is_problem}
    problems: list[_Row] = [
        (item.subject, item.state, item.opened_at, item.reason)
        for item in seen.open_problems
        if item.subject not in told
    ]
    running: list[_Row] = [
        (run.id, run.workflow, run.radar, _styled(run.state), run.since, f"{run.jobs_done}/{run.jobs_total}")
        for run in seen.running
    ]
    fleets: list[_Row] = [
        (fleet.name, fleet.state, f"{fleet.busy_cpus}/{fleet.cpus}", states_text(fleet.workers))
        for fleet in seen.fleets
    ]
    hidden = len(seen.open_problems) - len(problems)
    lists: list[_List] = [
        ((named("data"), "state", worded("why")), data, len(data)),
        ((named("problem"), "state", "since", worded("why")), problems, seen.problems - hidden),
        (("run", named("workflow"), extra("radar"), "state", "since", right("jobs")), running, seen.at_work),
        ((named("fleet"), "state", right("busy"), worded("workers")), fleets, len(fleets)),
    ]
    return [one for one in lists if one[1]]


def _styled(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, ""))


def _labelled(label: str, parts: Sequence[Text]) -> Text:
    return Text.assemble(Text(f"{label:<11}", style="bold"), Text(", ").join(parts), no_wrap=True, overflow="ellipsis")
