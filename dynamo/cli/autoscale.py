"""`dynamo autoscale`: scale the fleet with the weather; show decisions and policies."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_policies
from dynamo.cli.console import err, out, print_json, print_json_line
from dynamo.cli.fleet.common import FleetOption, JsonOption, fleet_of, opened
from dynamo.cli.options import SinceOption, WideOption, since_of
from dynamo.cli.tables import named, print_table, prose, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.autoscale.loop import Autoscaler, Look


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(autoscale)
    group.command("decisions")(decisions)
    group.command("policies")(policies)
    app.add_typer(group, name="autoscale")


def autoscale(
    context: typer.Context,
    once: bool = typer.Option(False, "--once", help="Decide once, then exit (for cron)."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Store nothing; show the current state and what would change."
    ),
    fleet: str | None = FleetOption,
    config: Path | None = ConfigOption,
    as_json: bool = typer.Option(False, "--json", help="Print each decision as one line of JSON."),
) -> None:
    """Scale a fleet until SIGTERM or Ctrl-C, as configured in the `[autoscale]` section.

    `dynamo-provision daemon` does the same if `autoscale.enabled` is true. Workers start and stop only while a daemon
    manages the fleet. Manual overrides (`dynamo-provision scale` or `hold`) apply until `release`.

    Examples:

    `dynamo autoscale --dry-run --once`

    `dynamo autoscale decisions -n 20`

    Exit codes: 0 after a clean stop, 3 for a bad configuration, 4 if no fleet exists, 7 if another process scales it.
    """
    if context.invoked_subcommand is not None:
        return
    from dynamo.autoscale.setup import lease_name, make_autoscaler
    from dynamo.autoscale.setup import scale as scale_on
    from dynamo.config.file import find_config
    from dynamo.doors import warn_of_quarrels
    from dynamo.store.lease import StoreLease
    from dynamo.watch.logs import set_up_logging

    settings = find_config(config)

    def tell(found: Look) -> None:
        _tell(found, as_json)

    with opened(config) as here:
        if once or dry_run:
            autoscaler = make_autoscaler(settings, here.store, fleet, learns=not dry_run)
            if dry_run:
                _dry(autoscaler, None if once else settings.autoscale.every_s, tell)
                return
            lease = StoreLease(here.store, lease_name(autoscaler.fleet), f"the scaling of {autoscaler.fleet}")
            lease.take()
            try:
                tell(autoscaler.look())
            finally:
                lease.give_back()
            return
        set_up_logging(settings.watch.log_format, settings.watch.log_level)
        warn_of_quarrels()
        stop = threading.Event()

        def ask_to_stop(_number: int, _frame: Any) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        # Fail at once on an error at startup; later errors are waited out.
        make_autoscaler(settings, here.store, fleet)
        scale_on(settings, here.store, stop, fleet=fleet, tell=tell if as_json else _silent, troubled=_troubled)


def _dry(autoscaler: Autoscaler, every_s: float | None, tell: Callable[[Look], None]) -> None:
    try:
        while True:
            tell(autoscaler.look(dry_run=True))
            if every_s is None:
                return
            time.sleep(every_s)
    except KeyboardInterrupt:
        return


def _silent(_found: Look) -> None:
    """Print nothing; the log has it all."""


def _troubled(text: str) -> None:
    err.print(f"waiting: {text}", markup=False)


def look_json(found: Look) -> dict[str, Any]:
    """Return one look at a fleet as JSON data."""
    from dataclasses import asdict

    from dynamo.autoscale.decisions import inputs_json
    from dynamo.times import to_iso

    observed = found.observed
    return {
        "at": to_iso(found.at),
        "fleet": observed.fleet,
        "applied": found.applied,
        "now_wanted": dict(observed.now_wanted),
        "wanted": {**observed.now_wanted, **{change.group: change.after for change in found.changes}},
        "held": dict(observed.held),
        "changes": [{**asdict(change), "sentence": change.sentence} for change in found.changes],
        "notes": list(found.decision.notes),
        "overload": None if found.overload is None else asdict(found.overload),
        "inputs": inputs_json(found.demand, observed.view, observed.held),
    }


def _tell(found: Look, as_json: bool) -> None:
    if as_json:
        print_json_line(look_json(found))
        return
    observed = found.observed
    changes = {change.group: change for change in found.changes}
    rows = []
    for option in observed.view.groups:
        change = changes.get(option.group)
        workers = [worker for worker in observed.view.workers if worker.group == option.group]
        coming = sum(worker.coming for worker in workers)
        here = f"{len(workers) - coming}" + (f" + {coming} coming" if coming else "")
        wanted = observed.now_wanted[option.group]
        why = f"held: {observed.held[option.group]}" if option.group in observed.held else ""
        goal = wanted if change is None else change.after
        rows.append((option.group, option.site, here, wanted, goal, change.sentence if change else why))
    goal_title = "decided" if found.applied else "would be"
    print_table(f"{observed.fleet}", [named("group"), named("site"), "there", "wanted", goal_title, prose("why")], rows)
    sources = {**found.demand.by_source(), **dict.fromkeys(found.demand.missing, None)}
    words = ", ".join(
        f"{source} {'silent' if seconds is None else f'{seconds:.0f} core-s'}" for source, seconds in sources.items()
    )
    out.print(f"demand: {words or 'none'}", markup=False)
    for note in (*found.decision.notes, *found.demand.notes.values()):
        out.print(note, markup=False)
    if found.overload is not None:
        out.print(
            f"overload: {found.overload.deficit_core_s:g} core-s over capacity: {found.overload.reason}", markup=False
        )


def decisions(
    fleet: str | None = FleetOption,
    since: str | None = SinceOption,
    limit: int = typer.Option(50, "--limit", "-n", min=1, max=100_000, help="Show the newest N."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show decisions and their reasons, newest last; `--json` adds all inputs."""
    from dynamo.autoscale.decisions import stored_decisions
    from dynamo.times import to_iso

    begin = since_of(since)
    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        with here.store.reading() as session:
            found = stored_decisions(session, name, since=begin, limit=limit)
    if as_json:
        print_json([{"id": d.id, "time": to_iso(d.time), "reason": d.reason, **d.data} for d in found])
        return
    print_table(
        "",
        ("time", worded("why")),
        [(decision.time, decision.reason) for decision in found],
        empty=f"{name}: no decisions",
        whole=wide,
    )


def policies(
    name: str | None = typer.Argument(None, help="One policy. Default: all.", autocompletion=complete_policies),
    as_json: bool = JsonOption,
) -> None:
    """Show the scaling policies and their options."""
    from dynamo.autoscale.policies.registry import options_model, policy_names

    models = {policy: options_model(policy) for policy in ([name] if name else policy_names())}
    if as_json:
        print_json({policy: model.model_json_schema() for policy, model in models.items()})
        return
    for policy, model in models.items():
        rows = [
            (option, str(field.get_default(call_default_factory=True)), field.description or "")
            for option, field in model.model_fields.items()
        ]
        print_table(policy, ["option", named("default"), prose("meaning")], rows)
