"""`dynamo-provision scale`, `drain` and `lease`: manual orders for a fleet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.console import out, print_json
from dynamo.cli.fleet.common import (
    FleetOption,
    JsonOption,
    TimeoutOption,
    WaitOption,
    fleet_of,
    opened,
)
from dynamo.cli.fleet.completion import complete_all, complete_groups, complete_workers
from dynamo.cli.fleet.waiting import TIMEOUT_S, say_who_goes_on, wait_for, warn_nothing_happens
from dynamo.cli.options import duration
from dynamo.cli.tables import named, print_table, when, worded
from dynamo.cli.watch import ConfigOption
from dynamo.texts import counted

if TYPE_CHECKING:
    from dynamo.provision.keeping.attending import Glance

_REFUSED_EXIT_CODE = 8


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("scale")(scale)
    app.command("drain")(drain)
    group = typer.Typer(no_args_is_help=True, help="Extend leases, the time for which sites keep our servers.")
    group.callback()(_leases)
    group.command("extend")(extend)
    app.add_typer(group, name="lease")


def _leases() -> None:
    """Keep `extend` a subcommand, though it is the only one."""


def scale(
    target: str = typer.Argument(
        help="Group, or site with a single group.", metavar="SITE|GROUP", autocompletion=complete_groups
    ),
    wanted: int = typer.Argument(help="Number of workers.", metavar="N", min=0),
    fleet: str | None = FleetOption,
    wait: bool = WaitOption,
    timeout_s: float | None = TimeoutOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Set the number of workers in a group until the next `apply`. Surplus workers finish their jobs first.

    Examples:

    `dynamo-provision scale Local:here 6`

    `dynamo-provision scale jetstream 20 --no-wait`

    Exit codes: 0 when done, 9 on timeout, 2 if the spec does not allow it, 4 for an unknown name, 7 if another number
    was requested meanwhile.
    """
    from dynamo.provision.fleets import scale as order
    from dynamo.provision.orders import drain_deadline_s, refuse_other_number, serving
    from dynamo.provision.status import fleet_status
    from dynamo.times import utc_now

    with opened(config) as here:
        store = here.store
        name = fleet_of(store, fleet)
        with store.transaction() as session:
            group = order(session, name, target, wanted, utc_now())
            fewer = wanted < serving(session, name).get(group, 0)
        took = 0.0
        if wait:

            def done(glance: Glance) -> bool:
                refuse_other_number(store, name, group, wanted)
                found = {state: n for state, n in glance.counts.get(group, {}).items() if n}
                return glance.target.get(group) == wanted and found == ({"ready": wanted} if wanted else {})

            limit = timeout_s
            if limit is None:
                limit = TIMEOUT_S + (drain_deadline_s(store, name) if fewer else 0.0)
            took = wait_for(store, name, f"scaling {group} to {wanted}", done, limit)
        if as_json:
            status = fleet_status(store, name).to_json()
            print_json({"fleet": name, "group": group, "wanted": wanted, "seconds": round(took, 3), "status": status})
        elif wait:
            out.print(f"{group}: {counted(wanted, 'worker')} ready after {took:.1f} s", markup=False)
        else:
            out.print(f"{group}: {counted(wanted, 'worker')} requested", markup=False)
        (say_who_goes_on if wait else warn_nothing_happens)(store, name)


def drain(
    target: str = typer.Argument(help="Worker or site.", metavar="WORKER|SITE", autocompletion=complete_workers),
    deadline: str | None = typer.Option(
        None, "--deadline", metavar="TIME", help="Time for jobs to finish, e.g. 90s, 45m, 2h. Default: from the spec."
    ),
    fleet: str | None = FleetOption,
    wait: bool = WaitOption,
    timeout_s: float | None = TimeoutOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Drain a worker: let it finish its jobs, then remove it. It is replaced if still needed.

    Draining a site removes all its workers; it gets no new ones until the next `scale` or `apply`.

    Examples:

    `dynamo-provision drain local-7 --deadline 10m`

    `dynamo-provision drain Chameleon:KVM@TACC`

    Exit codes: 0 when removed, 9 on timeout (the deadline plus 900 s, or `--timeout`), 4 for an unknown name.
    """
    from dynamo.provision.orders import drain as order
    from dynamo.provision.orders import drain_deadline_s
    from dynamo.provision.status import fleet_status
    from dynamo.times import utc_now

    deadline_s = None if deadline is None else duration(deadline, where="--deadline").total_seconds()
    with opened(config) as here:
        store = here.store
        name = fleet_of(store, fleet)
        with store.transaction() as session:
            done = order(session, name, target, utc_now(), deadline_s=deadline_s)
        took = 0.0
        if wait:
            most = drain_deadline_s(store, name) if deadline_s is None else deadline_s

            def gone(glance: Glance) -> bool:
                if done.site:
                    return not any(sum(glance.counts.get(group, {}).values()) for group in done.groups)
                return glance.settled and _ended(target)

            def _ended(worker: str) -> bool:
                living = fleet_status(store, name).workers
                return all(w.name != worker or w.state in ("released", "lost") for w in living)

            limit = TIMEOUT_S + most if timeout_s is None else timeout_s
            took = wait_for(store, name, f"draining {target}", gone, limit)
        if as_json:
            print_json({"fleet": name, **asdict(done), "gone": wait, "seconds": round(took, 3)})
        elif wait:
            out.print(f"{target} removed after {took:.1f} s", markup=False)
        else:
            for worker, state in done.workers.items():
                out.print(f"{worker}: {state}", markup=False)
        (say_who_goes_on if wait else warn_nothing_happens)(store, name)


def extend(
    target: str = typer.Argument(
        help="Worker, group or site.", metavar="WORKER|SITE|GROUP", autocompletion=complete_all
    ),
    by: str | None = typer.Option(None, "--for", metavar="TIME", help="Extend by this much, e.g. 2h or 1d12h."),
    until: str | None = typer.Option(None, "--until", metavar="TIME", help="New end time, ISO 8601."),
    fleet: str | None = FleetOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Extend leases now, at the site and in the stored spec, and print when they end.

    Examples:

    `dynamo-provision lease extend Chameleon:CHI@UC --for 12h`

    `dynamo-provision lease extend baremetal-3 --until 2026-06-11T06:00:00Z`

    Exit codes: 0 if all were extended, 8 if a site refused one, 2 if there are no leases, 4 for an unknown name.
    """
    from dynamo.errors import UsageError
    from dynamo.provision.orders import extend_leases
    from dynamo.times import parse_time

    if (by is None) == (until is None):
        raise UsageError("no new end given", expected="either --for 2h or --until TIME")
    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        found = extend_leases(
            here.store,
            name,
            target,
            until=None if until is None else parse_time(until, where="--until"),
            by=None if by is None else duration(by, where="--for"),
        )
    if as_json:
        print_json({"fleet": name, "leases": [asdict(item) for item in found]})
    else:
        rows = [(item.worker or "(spec)", item.group, item.site, when(item.until), item.error) for item in found]
        print_table("", ["worker", named("group"), named("site"), "ends", worded("refused because")], rows)
    if any(item.error for item in found):
        raise typer.Exit(_REFUSED_EXIT_CODE)
