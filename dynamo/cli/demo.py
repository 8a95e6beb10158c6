"""`dynamo demo`: the whole system at work, in a minute."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamo.demo.live import LiveSource
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
    serve: bool = typer.Option(
        False, "--serve", help="Go on as a live system, with radars and a dashboard, until Ctrl-C."
    ),
    listen: str = typer.Option("127.0.0.1:8080", "--listen", metavar="HOST:PORT", help="Address of the dashboard."),
    as_json: bool = typer.Option(False, "--json", help="Print the results as JSON."),
) -> None:
    """Show DyNamo at work: write a feed, then contour, draw and publish each file as it arrives.

    Without `--data`, storms are simulated: clear weather, then isolated cells, then widespread convection. Prints a
    table and saves one picture. Each call creates a new folder inside `--out`.

    With `--serve`, storms move on at the pace of the weather: three radars and a nowcast each minute, watched by the
    daemon, shown in the dashboard.
    """
    from dynamo.cli.console import out as console
    from dynamo.cli.console import print_json
    from dynamo.config.project import CONFIG_FILE
    from dynamo.demo.live import LiveSource
    from dynamo.demo.show import as_json as to_json
    from dynamo.demo.show import run_demo
    from dynamo.demo.sources import MrmsSource, SimulatedSource
    from dynamo.errors import UsageError
    from dynamo.simulate.nowcast import parse_size
    from dynamo.times import file_stamp, utc_now

    now = utc_now()
    source: NowcastSource
    if data is not None and serve:
        raise UsageError("real data do not go on", where="--serve", expected="no --data")
    live = None
    if data is not None:
        source = MrmsSource(data)
    elif serve:
        _check_server(listen)
        source = live = LiveSource(now, parse_size(size), seed)
    else:
        source = SimulatedSource(now, parse_size(size), seed=seed)
    folder = out.absolute() / file_stamp(now)
    with _Screen(source.title) as screen:
        results, picture = run_demo(source, folder, screen, engine=engine, radars=() if live is None else live.radars)
    if as_json:
        print_json(to_json(results, picture))
    else:
        _print_results(source.title, results, picture, engine)
    if live is not None:
        _go_live(live, folder, listen)
    elif not as_json:
        console.print(f"dashboard: dynamo serve -c {_shown(folder / CONFIG_FILE)}")
        console.print("with storms moving: make demo DEMO_ARGS=--serve")


def _print_results(title: str, results: Sequence[Shown], picture: Path, engine: str) -> None:
    from dynamo.cli.console import out as console
    from dynamo.cli.tables import named, print_table

    print_table(
        f"{title}, engine {engine}",
        (named("nowcast"), "weather", "latency, s", "polygons", "products"),
        (
            (result.path.name, result.label, round(result.latency_s, 3), result.polygons, result.products)
            for result in results
        ),
    )
    console.print(f"latency: from closing the file to publishing its {results[-1].products} products")
    console.print(f"products: {results[-1].product_dir.parent}")
    console.print(f"picture:  {picture}")


def _check_server(address: str) -> None:
    """Refuse at once what would fail only after the demo."""
    from dynamo.api.access.neighbors import is_loopback
    from dynamo.api.server import check_address
    from dynamo.errors import UsageError

    host, _ = check_address(address)
    if not is_loopback(host):
        raise UsageError("not of this machine alone", where=address, expected="a loopback address")


def _go_live(source: LiveSource, folder: Path, address: str) -> None:
    from dynamo.demo.live import go_live
    from dynamo.watch.logs import set_up_logging

    set_up_logging("logfmt", "error")
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    go_live(source, folder, address, stop, _tell_address)


def _tell_address(url: str) -> None:
    from dynamo.cli.console import err

    err.print(f"dashboard: {url} (Ctrl-C ends it)", markup=False)
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        import webbrowser

        webbrowser.open(f"{url}/map")


def _shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


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
