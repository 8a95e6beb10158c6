"""`dynamo demo`: the whole system at work, in a minute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dynamo.demo.show import Shown
    from dynamo.demo.sources import NowcastSource, Progress


def demo(
    data: Path | None = typer.Option(
        None, help="Folder with real composites (composites/mrms_20190610/*.grib2). Default: simulated storms."
    ),
    out: Path = typer.Option(Path("demo-output"), "-o", "--out", help="Folder for the feed, products and picture."),
    engine: str = typer.Option("local", help="local, or condor (needs `dynamo pool up`)."),
    size: str = typer.Option("201x201", help="Size of the simulated grids, NLATxNLON."),
    seed: int = typer.Option(1, min=0, help="Random seed."),
    as_json: bool = typer.Option(False, "--json", help="Print the results as JSON."),
) -> None:
    """Show DyNamo at work: write a feed, then contour, draw and publish each file as it arrives.

    Without `--data`, storms are simulated: clear weather, then isolated cells, then widespread convection. Prints a
    table and saves one picture. Each call creates a new folder inside `--out`.
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json
    from dynamo.cli.tables import named, print_table
    from dynamo.demo.show import as_json as to_json
    from dynamo.demo.show import run_demo
    from dynamo.demo.sources import MrmsSource, SimulatedSource
    from dynamo.simulate.nowcast import parse_size
    from dynamo.times import file_stamp, utc_now

    now = utc_now()
    source: NowcastSource
    if data is not None:
        source = MrmsSource(data)
    else:
        source = SimulatedSource(now.replace(second=0, microsecond=0), parse_size(size), seed=seed)
    folder = out.absolute() / file_stamp(now)
    with _Screen(source.title) as screen:
        results, picture = run_demo(source, folder, screen, engine=engine)
    if as_json:
        print_json(to_json(results, picture))
        return
    print_table(
        f"{source.title}, engine {engine}",
        (named("nowcast"), "weather", "latency, s", "polygons", "products"),
        (
            (result.path.name, result.label, round(result.latency_s, 3), result.polygons, result.products)
            for result in results
        ),
    )
    console.print(f"latency: from closing the file to publishing its {results[-1].products} products")
    console.print(f"products: {results[-1].product_dir.parent}")
    console.print(f"picture:  {picture}")


class _Screen:
    """The live display: one bar for the feed, one for the current nowcast."""

    def __init__(self, title: str) -> None:
        from dynamo.cli.console import err, progress

        err.print(f"DyNamo demo: {title}")
        self._bars = progress()
        self._feed = self._bars.add_task("nowcasts published", total=None)
        self._run = self._bars.add_task("starting the daemon", total=None)

    def __enter__(self) -> _Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.update(self._run, visible=False)
        self._bars.stop()

    def making(self, label: str, index: int, count: int) -> Progress:
        self._bars.update(self._feed, total=count, completed=index)

        def follow(stage: str, done: int, total: int) -> None:
            self._bars.update(self._run, description=f"{label}: {stage}", completed=done, total=total)

        return follow

    def working(self, label: str, done: int, total: int) -> None:
        self._bars.update(self._run, description=f"{label}: contours and images", completed=done, total=total)

    def shown(self, result: Shown) -> None:
        self._bars.console.print(
            f"  {result.path.name} ({result.label}): {result.polygons} polygons, {result.products} products "
            f"published {result.latency_s:.2f} s after the file was closed"
        )
        self._bars.advance(self._feed)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("demo")(demo)
