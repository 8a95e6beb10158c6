"""A fleet's status as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo.cli.fleet.progress import COLOURS, states_text
from dynamo.cli.tables import Column, Rows, extra, named, right, when, worded
from dynamo.texts import counted

if TYPE_CHECKING:
    from dynamo.provision.status import FleetStatus, WorkerStatus

_GONE = ("released", "lost")


def status_tables(status: FleetStatus, *, workers: bool, ended: bool, wide: bool = False) -> RenderableType:
    """Return the complete output of `dynamo-provision status`."""
    parts: list[RenderableType] = [_head(status), _groups(status, wide)]
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
        parts.append(_workers(shown, status.currency, wide))
    return Group(*parts)


def _groups(status: FleetStatus, wide: bool) -> Rows:
    rows = [
        (
            group.group,
            group.site,
            "?" if group.wanted is None else str(group.wanted),
            group.source,
            f"{group.busy_cpus}/{group.cpus}",
            states_text(group.states),
        )
        for group in status.groups
    ]
    columns = (named("group"), named("site"), right("wanted"), "by", right("busy"), worded("workers"))
    return Rows(columns, rows, whole=wide)


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
        text.append(f"; {counted(status.jobs_killed, 'job')} killed by removals", style="red")
    return text


def _workers(workers: Sequence[WorkerStatus], currency: str, wide: bool) -> Rows:
    leased = any(worker.lease_end for worker in workers)
    columns = (
        "worker",
        "state",
        "since",
        right("busy"),
        extra("jobs"),
        Column("site", wide=True),
        Column(f"{currency}/h", wide=True),
        Column("lease end", wide=not leased),
        worded("why"),
    )
    rows = [
        (
            worker.name,
            Text(worker.state, style=COLOURS.get(worker.state, "")),
            when(worker.since),
            f"{worker.busy_cpus}/{worker.cpus}",
            worker.jobs,
            worker.site,
            worker.cost_per_hour,
            when(worker.lease_end),
            worker.reason,
        )
        for worker in workers
    ]
    return Rows(columns, rows, whole=wide)
