"""What live work notices of a backfill: the network at its pace, in turn alone and with a backfill that never ends.

    python -m benchmarks.backfill [--engine condor] [--rounds 3] [--seconds 60]

The load is that of `benchmarks.sustained`: sweeps of radars and nowcasts that arrive at a real pace. The backfill makes
contours of older nowcasts, as many as it gets done.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.htcondor import ensure_htcondor
from benchmarks.report import console, machine, percentile, show
from benchmarks.sustained import Load, configuration, feed_files, make_load
from dynamo.backfill import control
from dynamo.backfill.order import compose, start
from dynamo.pool import control as pool
from dynamo.runs.events import RunEvent
from dynamo.runs.service import RunService
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.times import utc_now
from dynamo.watch.watcher import Watcher

GOAL = 1.1
#: Networks at once: enough arrivals for a 95th percentile, and less than the machine carries.
NETWORKS = 2
_OLD_FILES = 120
_DRAIN_S = 120.0
_LAST_RUN_S = 5.0


@dataclass
class _Share:
    """Latencies of live runs, and how many runs the backfill made, in the phases of one kind."""

    latencies_s: list[float] = field(default_factory=list)
    made: int = 0


class _Listener:
    """Sorts what is published into live work and the backfill's."""

    def __init__(self, runs: RunService) -> None:
        self.share = _Share()
        self.done = 0
        self._runs = runs
        self._lock = threading.Lock()

    def __call__(self, event: RunEvent) -> None:
        """Take an event of the daemon."""
        over = event.kind == "run_state" and event.data["state"] in ("failed", "cancelled", "skipped")
        if over and self._runs.get(event.subject).origin != "backfill":
            with self._lock:
                self.done += 1
        if event.kind != "published":
            return
        with self._lock:
            if event.data["origin"] == "backfill":
                self.share.made += 1
            else:
                self.share.latencies_s.append(float(event.data["total_s"]))
                self.done += 1


def run(data: Path | None, *, engine: str = "local", rounds: int = 3, seconds: float = 60.0) -> list[dict[str, Any]]:
    """Measure live latency without and with a backfill, in turn."""
    shares = {"alone": _Share(), "with a backfill": _Share()}
    with tempfile.TemporaryDirectory() as folder, _engine(engine, Path(folder)):
        root = Path(folder)
        load = make_load(root / "load", data)
        old = _old_nowcasts(root / "old")
        config = configuration(root / "daemon", engine)
        with Watcher(config) as watcher:
            listener = _Listener(watcher.service)
            watcher.events.subscribe(listener)
            _phase(watcher, listener, root, load, seconds / 4)
            for number in range(rounds):
                for name, share in shares.items():
                    listener.share = share
                    busy = name != "alone"
                    with _backfill(watcher, config, old, number) if busy else _nothing():
                        _phase(watcher, listener, root, load, seconds)
    rows = []
    for name, share in shares.items():
        shown = (round(percentile(share.latencies_s, part), 2) for part in (0.5, 0.95, 1))
        rows.append((name, len(share.latencies_s), *shown, share.made))
    alone, busy_p95 = (percentile(share.latencies_s, 0.95) for share in shares.values())
    return [
        show(
            f"live runs beside a backfill, {engine}, {NETWORKS} networks, {rounds} x {seconds:g} s each",
            ("live work", "runs", "p50 s", "p95 s", "worst s", "runs of the backfill"),
            rows,
            f"p95 with the backfill is {busy_p95 / alone:.2f} times that without (goal {GOAL:g}).",
        )
    ]


@contextmanager
def _engine(name: str, root: Path) -> Iterator[None]:
    if name != "condor":
        yield
        return
    ensure_htcondor()
    record, _ = pool.up(slots=2, state=root / "pool")
    os.environ["CONDOR_CONFIG"] = record.config
    try:
        yield
    finally:
        pool.down(root / "pool")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _backfill(watcher: Watcher, config: Any, old: Path, number: int) -> Iterator[None]:
    """Have the daemon make old nowcasts again, beside those of the rounds before, until the phase is over."""
    now = utc_now()
    order = compose(
        config,
        watcher.service.planner,
        "storms",
        since=now - timedelta(days=30),
        until=now - timedelta(days=1),
        folder=old,
        variant=f"round{number}",
    )
    with watcher.service.store.transaction() as session:
        name = start(session, order).id
    try:
        yield
    finally:
        control.cancel(watcher.service, name, "the phase is over")
        # Its last run ends; the daemon does not count runs of backfills among those that keep it busy.
        time.sleep(_LAST_RUN_S)


def _phase(watcher: Watcher, listener: _Listener, root: Path, load: Load, seconds: float) -> None:
    """Feed the network's files at their pace and wait for their runs."""
    goal = listener.done + feed_files(
        root / "daemon" / "feed", load, NETWORKS, seconds / 60.0, first=time.monotonic_ns()
    )
    deadline = time.monotonic() + _DRAIN_S
    while listener.done < goal and time.monotonic() < deadline:
        watcher.wait_idle(1.0)


def _old_nowcasts(folder: Path) -> Path:
    console.print(f"backfill: making {_OLD_FILES} old nowcasts ...")
    begin = (utc_now() - timedelta(days=10)).replace(second=0, microsecond=0)
    simulator = NowcastSimulator("wide", (201, 201), begin)
    for index in range(_OLD_FILES):
        simulator.write(folder, index)
    return folder


def main() -> None:
    """Measure one engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("local", "condor"), default="local")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    console.print(machine())
    run(None, engine=options.engine, rounds=options.rounds, seconds=options.seconds)


if __name__ == "__main__":
    main()
