"""`dynamo simulate`: data for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

from dynamo.cli import simulate_fleet

simulate = typer.Typer(help="Write simulated data: a feed to try DyNamo without a radar.", no_args_is_help=True)


@simulate.command("nowcast")
def nowcast(
    regime: str = typer.Option("cells", help="The weather: clear, cells (isolated) or wide (widespread convection)."),
    size: str = typer.Option("201x201", help="Rows x columns of the grids, NLATxNLON."),
    start: str = typer.Option("", help="Issue time of the first file, ISO 8601 in UTC.", show_default="this minute"),
    count: int = typer.Option(1, min=1, max=100_000, help="Number of files."),
    every: float = typer.Option(1.0, min=0.1, help="Minutes between issue times."),
    leads: int = typer.Option(31, min=1, max=181, help="Grids in each file, a minute apart."),
    seed: int = typer.Option(1, min=0, help="The same seed gives the same storms."),
    out: Path = typer.Option(Path(), "-o", "--out", help="Folder for the files."),
    as_json: bool = typer.Option(False, "--json", help="Print the paths as JSON."),
) -> None:
    """Write CASA nowcast files with moving storms.

    Example: `dynamo simulate nowcast --regime wide --count 5 -o feed/`
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json, progress
    from dynamo.errors import UsageError
    from dynamo.simulate.nowcast import NowcastSimulator, parse_size
    from dynamo.simulate.storms import REGIMES, RegimeName
    from dynamo.times import parse_time, utc_now

    if regime not in REGIMES:
        raise UsageError(f"unknown regime {regime!r}", where="--regime", expected=", ".join(REGIMES))
    first = parse_time(start, where="--start") if start else utc_now().replace(second=0, microsecond=0)
    simulator = NowcastSimulator(cast("RegimeName", regime), parse_size(size), first, count, every, leads, seed)
    paths = []
    with progress() as display:
        task = display.add_task(f"simulating {regime}", total=count)
        for index in range(count):
            paths.append(simulator.write(out, index))
            display.advance(task)
    if as_json:
        print_json([str(path) for path in paths])
    else:
        for path in paths:
            console.print(str(path))


@simulate.command("radar")
def radar(
    radars: int = typer.Option(7, min=1, max=7, help="Radars of the network."),
    sweeps_per_minute: int = typer.Option(3, min=1, max=4, help="Sweeps of each radar in a minute."),
    regime: str = typer.Option("cells", help="The weather: clear, cells (isolated) or wide (widespread rain)."),
    minutes: int = typer.Option(1, min=1, max=10_000, help="How long."),
    speed: float = typer.Option(1.0, min=0, help="1 for the real pace, 10 for ten times as fast, 0 at once."),
    start: str = typer.Option("", help="Time of the first minute, ISO 8601 in UTC.", show_default="this minute"),
    seed: int = typer.Option(1, min=0, help="The same seed gives the same storms."),
    out: Path = typer.Option(Path(), "-o", "--out", help="Folder for the files."),
    as_json: bool = typer.Option(False, "--json", help="Print the paths as JSON."),
) -> None:
    """Write CASA-like sweeps of a network of radars, with hail cores of known place and size.

    The truth about the cores goes to truth.geojson beside the sweeps.

    Example: `dynamo simulate radar --regime wide --minutes 5 --speed 0 -o sweeps/`
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json, progress
    from dynamo.errors import UsageError
    from dynamo.simulate.radar import RadarSimulator, run
    from dynamo.simulate.radar_storms import REGIMES
    from dynamo.times import parse_time, utc_now

    if regime not in REGIMES:
        raise UsageError(f"unknown regime {regime!r}", where="--regime", expected=", ".join(REGIMES))
    first = parse_time(start, where="--start") if start else utc_now().replace(second=0, microsecond=0)
    simulator = RadarSimulator(regime, first, radars, sweeps_per_minute, minutes, seed)
    with progress() as display:
        task = display.add_task(f"simulating {regime}", total=radars * sweeps_per_minute * minutes)

        def told(path: Path) -> None:
            display.advance(task)
            if not as_json:
                console.print(str(path), markup=False)

        paths = run(simulator, out, speed=speed, told=told)
    if as_json:
        print_json([str(path) for path in paths])


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    simulate_fleet.register(simulate)
    app.add_typer(simulate, name="simulate")
