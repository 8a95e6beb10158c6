"""`dynamo simulate`: synthetic data to try things out."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

from dynamo.cli import simulate_fleet

simulate = typer.Typer(help="Write simulated data, to try DyNamo without a radar.", no_args_is_help=True)


@simulate.command("nowcast")
def nowcast(
    regime: str = typer.Option("cells", help="Weather: clear, cells (isolated) or wide (widespread convection)."),
    size: str = typer.Option("201x201", help="Grid size, NLATxNLON."),
    start: str = typer.Option("", help="Issue time of the first file, ISO 8601 UTC.", show_default="this minute"),
    count: int = typer.Option(1, min=1, max=100_000, help="Number of files."),
    every: float = typer.Option(1.0, min=0.1, help="Minutes between issue times."),
    leads: int = typer.Option(31, min=1, max=181, help="Grids per file, one minute apart."),
    seed: int = typer.Option(1, min=0, help="Random seed."),
    out: Path = typer.Option(Path(), "-o", "--out", help="Output folder."),
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
    radars: int = typer.Option(7, min=1, max=7, help="Number of radars."),
    sweeps_per_minute: int = typer.Option(
        3, min=1, max=8, help="Sweeps per radar per minute, one elevation each; MESH needs 5."
    ),
    regime: str = typer.Option("cells", help="Weather: clear, cells (isolated) or wide (widespread rain)."),
    minutes: int = typer.Option(1, min=1, max=10_000, help="Minutes to simulate."),
    speed: float = typer.Option(1.0, min=0, help="Playback speed: 1 real time, 10 ten times faster, 0 no waiting."),
    start: str = typer.Option("", help="First minute, ISO 8601 UTC.", show_default="this minute"),
    seed: int = typer.Option(1, min=0, help="Random seed."),
    file_format: str = typer.Option("casa", "--format", help="casa, nexrad, nexrad-chunks, odim, cfradial or gamic."),
    volumes: bool = typer.Option(
        False, "--volumes", help="Write one file per minute: odim, cfradial, gamic (nexrad always does)."
    ),
    out: Path = typer.Option(Path(), "-o", "--out", help="Output folder."),
    as_json: bool = typer.Option(False, "--json", help="Print the paths as JSON."),
) -> None:
    """Write the files of a radar network, with hail cores of known location and size.

    Radar locations and storms are the same in every format. The true cores go to truth.geojson next to the files.

    Examples: `dynamo simulate radar --regime wide --minutes 5 --speed 0 -o sweeps/`,
    `dynamo simulate radar --format nexrad --radars 1 --sweeps-per-minute 6 --speed 0 -o volumes/`
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json, progress
    from dynamo.errors import UsageError
    from dynamo.simulate.formats.radar import FormatName
    from dynamo.simulate.radar import RadarSimulator, run
    from dynamo.simulate.radar_storms import REGIMES
    from dynamo.times import parse_time, utc_now

    if regime not in REGIMES:
        raise UsageError(f"unknown regime {regime!r}", where="--regime", expected=", ".join(REGIMES))
    first = parse_time(start, where="--start") if start else utc_now().replace(second=0, microsecond=0)
    simulator = RadarSimulator(
        regime,
        first,
        radars,
        sweeps_per_minute,
        minutes,
        seed,
        file_format=cast("FormatName", file_format),
        volumes=volumes,
    )
    with progress() as display:
        # The number of chunks is unknown until they are written.
        total = None if file_format == "nexrad-chunks" else sum(1 for _ in simulator.files())
        task = display.add_task(f"simulating {regime}", total=total)

        def told(path: Path) -> None:
            display.advance(task)
            if not as_json:
                console.print(str(path), markup=False)

        paths = run(simulator, out, speed=speed, told=told)
    if as_json:
        print_json([str(path) for path in paths])


@simulate.command("composites")
def composites(
    service: str = typer.Option("mrms", "--format", help="mrms, meteoswiss or bom."),
    regime: str = typer.Option("cells", help="Weather: clear, cells (isolated) or wide (widespread convection)."),
    count: int = typer.Option(6, min=1, max=10_000, help="Number of files."),
    start: str = typer.Option("", help="Time of the first file, ISO 8601 UTC.", show_default="this minute"),
    seed: int = typer.Option(1, min=0, help="Random seed."),
    out: Path = typer.Option(Path(), "-o", "--out", help="Output folder."),
    as_json: bool = typer.Option(False, "--json", help="Print the paths as JSON."),
) -> None:
    """Write radar composites of a weather service with moving storms, as input for `dynamo nowcast`.

    mrms: GRIB2, North Texas, every 2 min. meteoswiss: GIF, Switzerland, every 5 min. bom: NetCDF, Melbourne, every
    6 min.

    Example: `dynamo simulate composites --regime wide -o composites/`, then
    `dynamo nowcast composites/*.grib2 -o nowcast.nc`
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json, progress
    from dynamo.errors import UsageError
    from dynamo.simulate.composites import CompositeName, CompositeSimulator
    from dynamo.simulate.storms import REGIMES, RegimeName
    from dynamo.times import parse_time, utc_now

    if regime not in REGIMES:
        raise UsageError(f"unknown regime {regime!r}", where="--regime", expected=", ".join(REGIMES))
    first = parse_time(start, where="--start") if start else utc_now().replace(second=0, microsecond=0)
    simulator = CompositeSimulator(cast("CompositeName", service), cast("RegimeName", regime), first, count, seed)
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
            console.print(str(path), markup=False)


@simulate.command("sounding")
def sounding(
    zero_c_height: float = typer.Option(4200.0, help="Height of the 0 C level, meters above sea level."),
    minus_20_c_height: float = typer.Option(7200.0, help="Height of the -20 C level, meters above sea level."),
    ground: float = typer.Option(171.0, help="Station height, meters above sea level."),
    layout: str = typer.Option(
        "page", help="page (web page, with its time), table (with header lines) or bare (levels only)."
    ),
    time: str = typer.Option("", help="Time of the sounding, ISO 8601 UTC.", show_default="this hour"),
    out: Path = typer.Option(Path("sounding.txt"), "-o", "--out", help="Output file."),
) -> None:
    """Write a University of Wyoming sounding, as input for hail products.

    Example: `dynamo simulate sounding --zero-c-height 3800 --minus-20-c-height 6500 -o sounding.txt`
    """
    from dynamo.cli.console import out as console
    from dynamo.errors import UsageError
    from dynamo.files import write_text
    from dynamo.simulate.formats.sounding import LAYOUTS, encode
    from dynamo.times import parse_time, utc_now

    if layout not in LAYOUTS:
        raise UsageError(f"unknown layout {layout!r}", where="--layout", expected=", ".join(LAYOUTS))
    when = parse_time(time, where="--time") if time else utc_now().replace(minute=0, second=0, microsecond=0)
    text = encode(
        time=when,
        zero_c_m=zero_c_height,
        minus_20_c_m=minus_20_c_height,
        ground_m=ground,
        layout=layout,
    )
    write_text(out, text)
    console.print(str(out), markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    simulate_fleet.register(simulate)
    app.add_typer(simulate, name="simulate")
