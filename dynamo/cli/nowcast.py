"""`dynamo nowcast`: make a CASA nowcast file from a sequence of radar composites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.errors import UsageError

if TYPE_CHECKING:
    from dynamo.processing.nowcast import MadeNowcast, Progress


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("nowcast")(nowcast)


def nowcast(
    files: list[Path] = typer.Argument(
        ..., metavar="FILES...", help="Composites in any order: MRMS GRIB2, MeteoSwiss GIF, BoM NetCDF."
    ),
    *,
    output: Path = typer.Option(..., "--output", "-o", metavar="OUT.nc", help="Nowcast file to write."),
    leads: int = typer.Option(30, "--leads", min=1, max=180, help="Minutes to forecast, one grid per minute."),
    bbox: str = typer.Option(
        "",
        "--bbox",
        metavar="S,W,N,E",
        help="Restrict to this area: south,west,north,east in degrees, e.g. 28,-102,36,-92.",
    ),
    method: str = typer.Option(
        "lk", "--method", help="lk (advection by Lucas-Kanade optical flow) or persistence (no motion)."
    ),
    zr: str = typer.Option(
        "", "--zr", metavar="A,B", help="Convert rain rate to dBZ by Z = A R^B. Default: the producer's relation."
    ),
    compress: bool = typer.Option(False, "--compress/--no-compress", help="Compress the file (NetCDF-4 deflate)."),
    as_json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Make a nowcast from a sequence of composites.

    The newest composite is lead 0; motion is estimated from the 15 minutes before it. `--zr` converts rain rate to
    dBZ. No rain is written as -10 dBZ, no data as the file's missing value.
    """
    from dynamo.cli.console import out, print_json, progress
    from dynamo.processing.nowcast import METHODS, make_nowcast
    from dynamo.radar.zr import ZRelation

    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}", where="--method", expected=" or ".join(METHODS))
    box = _numbers(bbox, 4, "--bbox", "four numbers: south,west,north,east") if bbox else None
    pair = _numbers(zr, 2, "--zr", "two numbers: a,b") if zr else None
    with progress() as display:
        tasks = {
            stage: display.add_task(stage, total=None, start=False)
            for stage in ("reading frames", "motion", "leads")
            if stage != "motion" or method == "lk"
        }

        def tell(stage: str, done: int, total: int) -> None:
            display.start_task(tasks[stage])
            display.update(tasks[stage], completed=done, total=total)

        report: Progress = tell
        made = make_nowcast(
            files,
            output,
            leads=leads,
            bbox=(box[0], box[1], box[2], box[3]) if box else None,
            relation=ZRelation(pair[0], pair[1]) if pair else None,
            method="lk" if method == "lk" else "persistence",
            compress=compress,
            progress=report,
        )
    summary = _summary(made, output)
    if as_json:
        print_json(summary)
    else:
        out.print(
            f"{output}: {leads} min from {summary['issue_time']}, {made.grid.nlat} x {made.grid.nlon} nodes,"
            f" {len(made.frame_times)} {made.source} frames, {made.relation};"
            f" motion {made.speed_km_h:.0f} km/h toward {made.towards_deg:.0f} degrees,"
            f" {made.vectors} vectors"
            + (f"; {made.implausible} impossible values left out" if made.implausible else ""),
            markup=False,
        )


def _numbers(text: str, count: int, where: str, expected: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise UsageError(f"cannot read {text!r}", where=where, expected=expected)
    return values


def _summary(made: MadeNowcast, output: Path) -> dict[str, object]:
    from dynamo.radar.zr import NO_ECHO_DBZ
    from dynamo.times import to_iso

    grid = made.grid
    return {
        "output": str(output),
        "source": made.source,
        "issue_time": to_iso(made.issue_time),
        "leads_min": made.leads - 1,
        "grids": made.leads,
        "grid": {
            "nlat": grid.nlat,
            "nlon": grid.nlon,
            "south_deg": round(float(grid.latitudes[0]), 9),
            "west_deg": grid.west_deg,
            "north_deg": grid.north_deg,
            "east_deg": round(float(grid.longitudes[-1]), 9),
            "dlat_deg": grid.dlat_deg,
            "dlon_deg": grid.dlon_deg,
        },
        "frames": [to_iso(time) for time in made.frame_times],
        "method": made.method,
        "zr": None if made.relation is None else {"a": made.relation.a, "b": made.relation.b},
        "no_echo_dbz": NO_ECHO_DBZ,
        "implausible_values": made.implausible,
        "motion": {
            "vectors": made.vectors,
            "speed_km_h": round(made.speed_km_h, 1),
            "towards_deg": round(made.towards_deg, 1),
        },
    }
