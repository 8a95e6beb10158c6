"""Running the demo: one nowcast after another through the daemon, in this process."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from dynamo.demo.setup import set_up
from dynamo.demo.sources import NowcastSource, Progress
from dynamo.errors import DynamoError, RunFailedError
from dynamo.processing.picture import draw_storms
from dynamo.runs.events import RunEvent
from dynamo.watch.watcher import Watcher

#: Time limit for one nowcast, in seconds.
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Shown:
    """The result for one nowcast."""

    label: str
    path: Path
    latency_s: float
    polygons: int
    products: int
    product_dir: Path


class DemoDisplay(Protocol):
    """Display for the demo's progress."""

    def making(self, label: str, index: int, count: int) -> Progress:
        """Show that nowcast ``index`` is being made; return a progress callback."""
        ...

    def working(self, label: str, done: int, total: int) -> None:
        """Show how many of the run's jobs are done."""
        ...

    def shown(self, result: Shown) -> None:
        """Show that a nowcast's products are published."""
        ...


def run_demo(
    source: NowcastSource,
    folder: Path,
    display: DemoDisplay,
    *,
    engine: str = "local",
    radars: Sequence[str] = (),
) -> tuple[list[Shown], Path]:
    """Feed ``source`` to a daemon and draw the last nowcast.

    Parameters
    ----------
    source
        Source of the nowcasts.
    folder
        A new folder for feed, state, products and the picture.
    display
        Receives all progress.
    engine
        Engine for the runs.
    radars
        Radars that deliver once the demo goes on as a live system.

    Returns
    -------
    list of Shown, pathlib.Path
        The result for each nowcast, and the picture.

    Raises
    ------
    RunFailedError
        If a run fails or nothing is published within two minutes.
    """
    config = set_up(folder, engine=engine, radars=radars)
    feed = folder / "nowcasts"
    results: list[Shown] = []
    with Watcher(config) as watcher:
        follower = _Follower()
        watcher.events.subscribe(follower)
        labels = source.labels
        for index, label in enumerate(labels):
            follower.begin()
            path = source.write(index, feed, display.making(label, index, len(labels)))
            published = follower.follow(functools.partial(display.working, label))
            products = Path(published["product_dir"])
            result = Shown(
                label, path, published["total_s"], _count_polygons(products), published["products"], products
            )
            results.append(result)
            display.shown(result)
    last = results[-1]
    contours = {_lead(file): file for file in last.product_dir.glob("mrt_STORM_CASA_*.geojson")}
    picture = folder / "storms.png"
    draw_storms(last.path, contours, picture)
    return results, picture


class _Follower:
    """Turns the daemon's events into a call that waits for publication."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[RunEvent] = []

    def __call__(self, event: RunEvent) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def begin(self) -> None:
        with self._changed:
            self._events.clear()

    def follow(self, working: Callable[[int, int], None]) -> dict[str, Any]:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._events), _PATIENCE_S):
                    raise RunFailedError(f"nothing happened for {_PATIENCE_S:g} s", where="demo")
                events, self._events = self._events, []
            for event in events:
                if event.kind == "job_progress":
                    working(event.data["done"], event.data["total"])
                elif event.kind == "published":
                    return dict(event.data)
                elif event.kind == "quarantined" or (
                    event.kind == "run_state" and event.data["state"] in ("failed", "cancelled", "skipped")
                ):
                    raise RunFailedError(str(event.data.get("reason")), where=event.subject)


def _count_polygons(folder: Path) -> int:
    return sum(len(orjson.loads(path.read_bytes())["features"]) for path in folder.glob("*.geojson"))


def _lead(path: Path) -> int:
    try:
        return int(path.name.split("_")[3])
    except (IndexError, ValueError):
        raise DynamoError("not the name of a contour file", where=path) from None


def as_json(results: Sequence[Shown], picture: Path) -> dict[str, Any]:
    """Return the results as JSON data."""
    return {
        "arrivals": [
            {
                "label": result.label,
                "path": str(result.path),
                "latency_s": result.latency_s,
                "polygons": result.polygons,
                "products": result.products,
                "product_dir": str(result.product_dir),
            }
            for result in results
        ],
        "picture": str(picture),
    }
