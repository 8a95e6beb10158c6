"""`dynamo simulate fleet`: a weather day, played through the real policies and the real provisioner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from dynamo.simulate.fleet.trace import Trace


def fleet(
    day: str = typer.Option("line", help="quiet, cells (isolated), line (squall line), two-lines or outage."),
    network: str = typer.Option("casa", help="casa (7 radars) or nexrad (159 radars and a CONUS nowcast)."),
    policy: list[str] = typer.Option(
        [], help="static, reactive, linear or predictive (repeatable).", show_default="all"
    ),
    seed: int = typer.Option(1, min=0, help="Random seed."),
    load: float = typer.Option(1.0, min=0.01, help="Cost multiplier for payloads: finer grids, slower programs."),
    store: str = typer.Option("", help="Replay the day recorded in this store (path or URL)."),
    since: str = typer.Option("", help="With --store: start time, ISO 8601 UTC.", show_default="all"),
    until: str = typer.Option("", help="With --store: end time.", show_default="all"),
    calibrate: bool = typer.Option(
        False, "--calibrate", help="With --store: compare with reality, using recorded decisions or --policy."
    ),
    fleet_name: str = typer.Option("", "--fleet", help="With --store: fleet name.", show_default="the only one"),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder for the figure and the JSON."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Play a day of weather on simulated clouds and compare policies.

    Example: `dynamo simulate fleet --day line --policy reactive --policy predictive -o day/`
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json, progress
    from dynamo.cli.tables import print_table
    from dynamo.errors import UsageError
    from dynamo.files import write_bytes
    from dynamo.simulate.fleet.comparison import PLAYED, as_bytes, play, table
    from dynamo.simulate.fleet.figure import draw
    from dynamo.simulate.fleet.network import make_network
    from dynamo.simulate.fleet.trace import weather_trace

    if store:
        if calibrate:
            _calibrate(store, fleet_name, policy[0] if policy else "", as_json=as_json)
            return
        trace = _stored(store, since, until)
    elif calibrate or since or until or fleet_name:
        raise UsageError("these options need a stored day", expected="--store with --calibrate, --since, --until")
    else:
        trace = weather_trace(day, make_network(network, load), seed)
    outcomes = []
    with progress() as display:
        for name in policy or list(PLAYED):
            task = display.add_task(f"{trace.name}: {name}", total=100)

            def passed(share: float, task: TaskID = task) -> None:
                display.update(task, completed=round(100 * share))

            outcomes.append(play(trace, name, seed=seed, progress=passed))
            display.update(task, completed=100)
    result: dict[str, Any] = {"day": trace.summary(), "policies": [outcome.to_json() for outcome in outcomes]}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        draw(trace, outcomes, out / "fleet.png")
        write_bytes(out / "fleet.json", as_bytes(result))
    if as_json:
        print_json({"day": trace.summary(), "policies": [outcome.row() for outcome in outcomes]})
        return
    headings, rows = table(outcomes)
    said = f"{len(trace.arrivals)} runs, {trace.core_hours:.2f} core-hours, peak {trace.peak_cores():.2f} cores"
    print_table(f"{trace.name}: {said}", headings, rows)
    if out is not None:
        console.print(f"{out / 'fleet.png'}\n{out / 'fleet.json'}")


def _stored(store: str, since: str, until: str) -> Trace:
    from dynamo.simulate.fleet.store import trace_from_store
    from dynamo.store.engine import existing_store
    from dynamo.times import parse_time

    opened = existing_store(store)
    try:
        return trace_from_store(
            opened,
            since=parse_time(since, where="--since") if since else None,
            until=parse_time(until, where="--until") if until else None,
        )
    finally:
        opened.close()


def _calibrate(store: str, fleet_name: str, policy: str, *, as_json: bool) -> None:
    from dynamo.autoscale.policies.registry import make_policy
    from dynamo.cli.console import print_json
    from dynamo.cli.tables import print_table
    from dynamo.simulate.fleet.calibrate import compare
    from dynamo.store.engine import existing_store

    opened = existing_store(store)
    try:
        found = compare(opened, fleet_name, policy=make_policy(policy) if policy else None)
    finally:
        opened.close()
    if as_json:
        print_json(found)
        return
    rows = [
        (name, found["real"][name], found["simulated"][name], f"{found['difference'][name]:+.1%}")
        for name in found["difference"]
    ]
    verdict = "within" if found["within"] else "NOT within"
    print_table(
        f"{found['runs']} runs, {found['workers']} workers; {verdict} {found['tolerance']:.0%}",
        ("what", "real", "simulated", "difference"),
        rows,
    )


def register(app: typer.Typer) -> None:
    """Add the command to ``dynamo simulate``."""
    app.command("fleet")(fleet)
