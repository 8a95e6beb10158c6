"""`dynamo-provision plan`, `apply` and `destroy`: create a fleet from its spec, and tear it down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.console import err, out, print_json
from dynamo.cli.fleet.common import (
    FleetOption,
    JsonOption,
    SpecArgument,
    TimeoutOption,
    WaitOption,
    fleet_of,
    opened,
)
from dynamo.cli.fleet.waiting import TIMEOUT_S, say_how_to_use, say_who_goes_on, wait_for, warn_nothing_happens
from dynamo.cli.tables import Column, extra, named, print_table
from dynamo.cli.watch import ConfigOption
from dynamo.texts import counted

if TYPE_CHECKING:
    from dynamo.cli.fleet.common import Opened
    from dynamo.provision.planning import FleetPlan
    from dynamo.provision.spec.fleet import FleetSpec

#: The spec cannot be satisfied, as when a site refuses: see `dynamo.errors`.
_CANNOT_EXIT_CODE = 8


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("plan")(plan)
    app.command("apply")(apply)
    app.command("destroy")(destroy)


def plan(spec: Path = SpecArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Show what `apply` would do: which workers where, at what cost, against the sites' live quotas.

    Nothing is changed by asking. Names that a site does not know (image, network, key, security group, zone, flavor)
    are told all at once, each with the nearest. What the spec says but nothing acts on is told in a line each.

    Example: `dynamo-provision plan mobius_specs/multicloud.json`

    Exit codes: 0 if everything is available, 8 if a site does not respond, lacks capacity or does not know a name, 3
    for an invalid spec or an expired lease.
    """
    from dynamo.provision.orders import refuse_ended_leases
    from dynamo.provision.spec.loading import load_spec
    from dynamo.times import utc_now

    wanted = load_spec(spec)
    refuse_ended_leases(wanted, utc_now())
    with opened(config, missing="empty") as here:
        found = _planned(here, wanted)
    if as_json:
        print_json(found.to_json())
    else:
        _print_plan(found)
    if found.problems:
        raise typer.Exit(_CANNOT_EXIT_CODE)


def _planned(here: Opened, wanted: FleetSpec) -> FleetPlan:
    from dynamo.provision.cycle.accounting import spent_by_now
    from dynamo.provision.keeping.opening import fleet_folder, open_sites
    from dynamo.provision.orders import serving
    from dynamo.provision.planning import plan_fleet
    from dynamo.times import utc_now

    with here.store.reading() as session:
        there = serving(session, wanted.name)
        today, total = spent_by_now(session, wanted.name, utc_now())
    drivers = open_sites(wanted, fleet_folder(here.state_dir, wanted.name))
    try:
        return plan_fleet(wanted, drivers, there, spent_today=today, spent_total=total)
    finally:
        for driver in drivers.values():
            driver.close()


def _print_plan(found: FleetPlan) -> None:
    columns: list[str | Column] = [named("group"), named("site"), named("flavor"), "cpus", extra("MB")]
    columns += ["there", "wanted", f"{found.currency}/h"]
    rows = [
        (g.group, g.site, g.flavor, g.cpus, g.ram_mb, g.there, g.wanted, round(g.wanted * g.cost_per_hour, 4))
        for g in found.groups
    ]
    print_table(f"fleet {found.name}", columns, rows)
    for site, quota in {g.site: g.quota for g in found.groups if g.quota}.items():
        out.print(f"quota of {site}: {quota}", markup=False)
    rate = found.cost_per_hour
    out.print(
        f"{counted(found.create, 'worker')} to create, {found.remove} to remove; "
        f"{rate:g} {found.currency}/hour, {rate * 24:g}/day",
        markup=False,
    )
    for item in found.not_acted_on:
        out.print(str(item), markup=False)
    for problem in found.problems:
        err.print(f"problem: {problem}", markup=False)


def apply(
    spec: Path = SpecArgument,
    wait: bool = WaitOption,
    timeout_s: float | None = TimeoutOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Bring a fleet to its spec: start its pool, create missing workers, drain surplus ones.

    The spec is stored first, so a kill or Ctrl-C loses nothing: run the command again, or start the daemon, to
    continue. If a daemon manages the fleet, this command only watches. Manual scaling is reset. A spec with names that
    a site does not know is not stored; see `dynamo-provision plan`.

    Examples:

    `dynamo-provision apply mobius_specs/local.json`

    `dynamo-provision apply --no-wait my/storm.json && dynamo-provision daemon`

    Exit codes: 0 when all workers are ready, 9 on timeout (900 s, or `--timeout`), 8 as soon as waiting cannot help (a
    site refuses the names, the request or the credentials), 3 for an invalid spec, 7 if another spec was applied
    meanwhile, 130 on Ctrl-C.
    """
    from dynamo.provision.fleets import apply_fleet
    from dynamo.provision.keeping.attending import job_environment
    from dynamo.provision.keeping.opening import fleet_folder
    from dynamo.provision.orders import refuse_ended_leases, refuse_superseded
    from dynamo.provision.spec.loading import load_spec
    from dynamo.provision.status import fleet_status
    from dynamo.times import utc_now

    wanted = load_spec(spec)
    now = utc_now()
    refuse_ended_leases(wanted, now)
    name = wanted.name
    with opened(config, missing="create") as here:
        store = here.store
        found = _planned(here, wanted)
        if found.wrong:
            for problem in found.wrong:
                err.print(f"problem: {problem}", markup=False)
            err.print("nothing changed", markup=False)
            if as_json:
                print_json({"fleet": name, "changed": False, "problems": list(found.wrong)})
            raise typer.Exit(_CANNOT_EXIT_CODE)
        with store.transaction() as session:
            _, changed = apply_fleet(session, wanted, base=fleet_folder(here.state_dir, name), now=now)
        took = 0.0
        if wait:
            limit = TIMEOUT_S if timeout_s is None else timeout_s
            took = wait_for(store, name, f"applying {name}", lambda glance: glance.settled, limit)
            refuse_superseded(store, wanted)
        status, environment = fleet_status(store, name), job_environment(store, name)
        if as_json:
            data = {"fleet": name, "changed": changed, "seconds": round(took, 3), "environment": environment}
            print_json({**data, "status": status.to_json()})
        elif wait:
            ready = sum(worker.state == "ready" for worker in status.workers)
            out.print(f"{name}: {counted(ready, 'worker')} ready after {took:.1f} s", markup=False)
            say_how_to_use(environment)
        else:
            out.print(f"{name}: {'stored' if changed else 'no changes'}", markup=False)
        if wait:
            say_who_goes_on(store, name)
        else:
            warn_nothing_happens(store, name)


def destroy(
    spec: Path | None = typer.Argument(None, hidden=True),
    fleet: str | None = FleetOption,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask for confirmation."),
    now_: bool = typer.Option(False, "--now", help="Do not wait for running jobs: kill and requeue them."),
    forget: bool = typer.Option(
        False,
        "--forget",
        help="As --now; give up sites that cannot be asked any more, and say what may be left there.",
    ),
    wait: bool = WaitOption,
    timeout_s: float | None = TimeoutOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Shut down a fleet: drain and remove its workers, then stop its pool. Asks for confirmation.

    The job queue and the cost ledger remain. `destroy --now` speeds up a shutdown already in progress. `--forget` is
    for a site that is gone, or whose credentials are. It is given up at once, or after two minutes if it just does not
    answer; sites that answer are cleared as usual.

    Examples:

    `dynamo-provision destroy --fleet storm`

    `dynamo-provision destroy --yes --now`

    `dynamo-provision destroy --fleet storm --forget`

    Exit codes: 0 when the fleet has ended, 8 if a site refuses to be asked, 9 on timeout (the spec's drain deadline
    plus 900 s, or `--timeout`), 130 if not confirmed.
    """
    from dynamo.errors import UsageError
    from dynamo.provision.orders import drain_deadline_s, end_fleet, forgotten_since
    from dynamo.provision.states import ENDED
    from dynamo.provision.status import fleet_status
    from dynamo.times import utc_now

    if spec is not None:
        raise UsageError(
            f"takes no spec, but {str(spec)!r:.80} was given", where="destroy", hint="name it: --fleet NAME"
        )
    with opened(config) as here:
        store = here.store
        name = fleet_of(store, fleet)
        before = fleet_status(store, name)
        if before.state == ENDED:
            out.print(f"{name} has already ended", markup=False)
            return
        jobs = sum(worker.jobs for worker in before.workers)
        if not yes:
            fate = "will be killed" if now_ or forget else "will finish first"
            workers = sum(sum(group.states.values()) for group in before.groups)
            if not _agreed(
                f"Shut down {name} with {counted(workers, 'worker')} ({counted(jobs, 'running job')} {fate})?"
            ):
                err.print("nothing changed")
                raise typer.Exit(130)
        elif (now_ or forget) and jobs:
            err.print(f"killing {counted(jobs, 'running job')}; they go back to the queue", markup=False)
        ordered_at = utc_now()
        with store.transaction() as session:
            end_fleet(session, name, utc_now(), at_once=now_, forget=forget)
        took = 0.0
        if wait:
            limit = timeout_s
            if limit is None:
                limit = TIMEOUT_S + (0.0 if now_ or forget else drain_deadline_s(here.store, name))
            took = wait_for(store, name, f"ending {name}", lambda glance: glance.ended, limit, ending=True)
        after = fleet_status(store, name)
        killed = after.jobs_killed - before.jobs_killed
        forgotten = forgotten_since(store, name, ordered_at)
        if as_json:
            data = {"fleet": name, "state": after.state, "jobs_killed": killed, "seconds": round(took, 3)}
            print_json({**data, "forgotten": [{"site": event.site, **event.data} for event in forgotten]})
        elif wait:
            out.print(f"{name} ended after {took:.1f} s; {counted(killed, 'job')} killed", markup=False)
        else:
            out.print(f"{name}: shutdown requested", markup=False)
            warn_nothing_happens(store, name)
        for event in forgotten:
            err.print(f"{event.site}: {event.reason}", markup=False)


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
