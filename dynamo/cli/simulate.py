"""`dynamo simulate`: data for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

simulate = typer.Typer(help="Write simulated data: a feed to try DyNamo without a radar.", no_args_is_help=True)


@simulate.callback()
def _group() -> None:
    """Keep `nowcast` a sub-command while it is the only one."""


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
    from dynamo.radar.storms import REGIMES, RegimeName
    from dynamo.simulate.nowcast import NowcastSimulator, parse_size
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


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(simulate, name="simulate")
