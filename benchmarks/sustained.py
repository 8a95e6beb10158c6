"""The whole network for five minutes on HTCondor, then how many times that network this machine carries.

The load of one network, a minute: 7 radars with 3 sweeps each, one nowcast of 31 x 201 x 201 in widespread rain, and a
whole NEXRAD volume every five minutes (KFWS, where the data is there). Everything goes through the daemon: feeds,
triggers without a condition (each sweep is examined), runs on a pool of two slots, published products.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.htcondor import ensure_htcondor
from benchmarks.report import console, percentile, show
from dynamo.config.file import Config, parse_config
from dynamo.pool import control
from dynamo.runs.events import RunEvent
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.radar import RadarSimulator
from dynamo.times import utc_now
from dynamo.watch.watcher import Watcher

RADARS, SWEEPS_PER_MINUTE = 7, 3
PACE_GOAL_S, LIMIT_S = 10.0, 60.0
_DRAIN_S = 300.0
#: How long each multiple of the network is kept up: more than capacity shows as a growing queue by then.
_SEARCH_MIN = 3.0


@dataclass
class Tally:
    """What became of the arrivals, by run."""

    arrivals: int = 0
    latencies_s: list[float] = field(default_factory=list)
    by_workflow: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0
    skipped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: RunEvent) -> None:
        """Take an event of the daemon."""
        with self._lock:
            if event.kind == "arrival":
                self.arrivals += 1
            elif event.kind == "published":
                seconds = float(event.data["total_s"])
                self.latencies_s.append(seconds)
                self.by_workflow.setdefault(event.data["workflow"], []).append(seconds)
            elif event.kind == "run_state" and event.data["state"] in ("failed", "cancelled"):
                self.failed += 1
            elif event.kind == "run_state" and event.data["state"] == "skipped":
                self.skipped += 1

    @property
    def done(self) -> int:
        """Runs that are over."""
        with self._lock:
            return len(self.latencies_s) + self.failed + self.skipped


@dataclass(frozen=True)
class Load:
    """Files of one minute for one network, made before the clock runs."""

    sweeps: tuple[Path, ...]
    nowcast: Path
    volume: Path | None

    def files(self, minute: int) -> Iterator[tuple[float, Path]]:
        """Give the files of a minute with the second at which each is written."""
        step = 60.0 / len(self.sweeps)
        for index, path in enumerate(self.sweeps):
            yield index * step, path
        yield 5.0, self.nowcast
        if self.volume is not None and minute % 5 == 0:
            yield 20.0, self.volume


def run(data: Path | None, minutes: float = 5.0, *, search: bool = True) -> list[dict[str, Any]]:
    """Measure the network at its real pace, then larger multiples of it for a minute each until p95 passes 60 s."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        record, _ = control.up(slots=2, state=root / "pool")
        os.environ["CONDOR_CONFIG"] = record.config
        try:
            load = make_load(root / "load", data)
            rows = [_row("1 network", _measure(root / "one", load, 1, minutes))]
            carried = 1
            multiple = 4
            while search and multiple <= 64:
                tally = _measure(root / f"x{multiple}", load, multiple, _SEARCH_MIN)
                rows.append(_row(f"{multiple} networks, {_SEARCH_MIN:g} min", tally))
                if not _carries(tally):
                    break
                carried, multiple = multiple, multiple * 2
            while search and multiple - carried > max(1, carried // 4):
                middle = (carried + multiple) // 2
                tally = _measure(root / f"x{middle}", load, middle, _SEARCH_MIN)
                rows.append(_row(f"{middle} networks, {_SEARCH_MIN:g} min", tally))
                if _carries(tally):
                    carried = middle
                else:
                    multiple = middle
        finally:
            control.down(root / "pool")
    return [
        show(
            f"CASA network ({RADARS} radars x {SWEEPS_PER_MINUTE} sweeps, a nowcast a minute, KFWS volumes), condor, "
            f"2 slots, {minutes:g} min",
            ("load", "arrivals", "published", "skipped", "failed", "p50 s", "p95 s", "worst s"),
            rows,
            f"Goals: nothing skipped, p95 <= {PACE_GOAL_S:g} s."
            + (f" This machine carries {carried} such networks before p95 passes {LIMIT_S:g} s." if search else ""),
        )
    ]


def _carries(tally: Tally) -> bool:
    return not tally.failed and not tally.skipped and percentile(tally.latencies_s or [1e9], 0.95) <= LIMIT_S


def _row(name: str, tally: Tally) -> tuple[object, ...]:
    shares = [round(percentile(tally.latencies_s, share), 2) if tally.latencies_s else "-" for share in (0.5, 0.95, 1)]
    return (name, tally.arrivals, len(tally.latencies_s), tally.skipped, tally.failed, *shares)


def make_load(folder: Path, data: Path | None) -> Load:
    """Make the files of one minute of a network, with a real volume if there is data."""
    start = utc_now().replace(second=0, microsecond=0)
    console.print("sustained: making a minute of the network ...")
    simulator = RadarSimulator("wide", start, RADARS, SWEEPS_PER_MINUTE, 1)
    sweeps = tuple(simulator.write(folder, sweep) for sweep in simulator.sweeps())
    nowcast = NowcastSimulator("wide", (201, 201), start).write(folder, 0)
    volume = data / "radar" / "nexrad" / "KFWS20190609_222523.bin" if data else None
    return Load(sweeps, nowcast, volume)


def configuration(root: Path, engine: str = "condor") -> Config:
    """Return the configuration of a daemon that starts a run for each file."""
    (root / "feed").mkdir(parents=True)
    return parse_config(
        {
            "folders": {"state": "state", "products": "products"},
            "runs": {"engine": engine, "max_runs": 8, "keep_succeeded_h": 0.0},
            "feeds": [{"name": "all", "path": "feed", "patterns": ["*.nc", "*.netcdf.gz", "*.bin"]}],
            "triggers": [
                {
                    "name": "storms",
                    "feed": "all",
                    "pattern": "MERGE_DARTS_*.nc",
                    "workflow": "nowcast",
                    "deadline_s": 0.0,
                },
                {"name": "sweeps", "feed": "all", "pattern": "*.gz", "workflow": "hail", "deadline_s": 0.0},
                {"name": "volumes", "feed": "all", "pattern": "*.bin", "workflow": "hail", "deadline_s": 0.0},
            ],
        },
        base=root,
    )


def _measure(root: Path, load: Load, networks: int, minutes: float) -> Tally:
    tally = Tally()
    with Watcher(configuration(root)) as watcher:
        watcher.events.subscribe(tally)
        written = feed_files(root / "feed", load, networks, minutes)
        deadline = time.monotonic() + _DRAIN_S
        while tally.done < written and time.monotonic() < deadline:
            watcher.wait_idle(1.0)
    shutil.rmtree(root, ignore_errors=True)
    return tally


def feed_files(feed: Path, load: Load, networks: int, minutes: float, *, first: int = 0) -> int:
    """Write the load at its real pace, as copies from number ``first`` on; return how many files.

    Each copy differs in its last bytes, or it would be the same arrival.
    """
    begin = time.monotonic()
    schedule: list[tuple[float, Path, int]] = []
    for minute in range(max(1, round(minutes))):
        for network in range(networks):
            shift = 60.0 / networks / len(load.sweeps) * network
            schedule += [
                (60.0 * minute + second + shift, path, first + minute * networks + network)
                for second, path in load.files(minute)
                if 60.0 * minute + second + shift < 60.0 * minutes
            ]
    for due, path, copy in sorted(schedule, key=lambda item: item[0]):
        time.sleep(max(0.0, begin + due - time.monotonic()))
        _copy(path, feed, copy)
    return len(schedule)


def _copy(path: Path, feed: Path, copy: int) -> None:
    name = f"{path.name.split('.', 1)[0]}-{copy:05d}.{path.name.split('.', 1)[1]}"
    hidden = feed / f".{name}.part"
    # A comment after the data: readers pass over it, the checksum does not.
    hidden.write_bytes(path.read_bytes() + _trailer(path, f"{copy} {time.time()}"))
    hidden.replace(feed / name)


def _trailer(path: Path, text: str) -> bytes:
    import gzip

    return gzip.compress(b"", mtime=abs(hash(text)) % 2**32) if path.suffix == ".gz" else text.encode()


def main() -> None:
    """Measure for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--no-search", action="store_true", help="only one network")
    options = parser.parse_args()
    ensure_htcondor()
    run(options.data, options.minutes, search=not options.no_search)


if __name__ == "__main__":
    main()
