"""A fleet's status as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo.cli.fleet.progress import COLOURS, states_text

if TYPE_CHECKING:
    from dynamo.provision.status import FleetStatus, WorkerStatus

_GONE = ("released", "lost")


def table(columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Return an empty table in the common style."""
    made = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def status_tables(status: FleetStatus, *, workers: bool, ended: bool) -> RenderableType:
    """Return the complete output of `dynamo-provision status`."""
    parts: list[RenderableType] = [_head(status)]
    groups = table(["group", "site", "wanted", "by", "workers", "cpus busy"], right=["wanted", "cpus busy"])
    for group in status.groups:
        wanted = "?" if group.wanted is None else str(group.wanted)
        busy = f"{group.busy_cpus}/{group.cpus}"
        groups.add_row(Text(group.group), Text(group.site), wanted, group.source, states_text(group.states), busy)
    parts.append(groups)
    bad = [site for site in status.sites if site.left_alone_until or site.error]
    for site in bad:
        until = f" paused until {site.left_alone_until}" if site.left_alone_until else ""
        parts.append(
            Text(
                f"{site.site}{until}: {site.error.removeprefix(f'{site.site}: ') or site.kind}",
                style="red" if until else "yellow",
            )
        )
    parts += [Text(f"held: {hold}", style="yellow") for hold in status.holds]
    shown = [worker for worker in status.workers if ended or worker.state not in _GONE]
    if workers and shown:
        parts.append(_workers(shown, status.currency))
    return Group(*parts)


def _head(status: FleetStatus) -> Text:
    state = Text(status.state, style=COLOURS.get(status.state, ""))
    settled = "settled" if status.settled else "not settled"
    by = f"managed by process {status.looked_after_by}" if status.looked_after_by else "no daemon manages it"
    text = Text.assemble(
        ("fleet ", ""),
        (status.name, "bold"),
        ": ",
        state,
        f", {settled}, ",
        (by, "" if status.looked_after_by else "yellow"),
        f"; {status.cost_per_hour:g} {status.currency}/h; pool {status.pool}",
    )
    if status.jobs_killed:
        text.append(f"; {status.jobs_killed} jobs killed by removals", style="red")
    return text


def _workers(workers: Sequence[WorkerStatus], currency: str) -> Table:
    columns = ["worker", "site", "state", "since", "cpus", "busy", "jobs", f"{currency}/h", "lease end", "why"]
    made = table(columns, right=["cpus", "busy", "jobs", f"{currency}/h"])
    for worker in workers:
        made.add_row(
            Text(worker.name),
            Text(worker.site),
            Text(worker.state, style=COLOURS.get(worker.state, "")),
            worker.since.partition(".")[0].rstrip("Z") + "Z",
            str(worker.cpus),
            str(worker.busy_cpus),
            str(worker.jobs),
            f"{worker.cost_per_hour:g}",
            worker.lease_end or "",
            Text(worker.reason),
        )
    return made
