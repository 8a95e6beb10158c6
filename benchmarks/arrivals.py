"""Arrival (file closed) to all 62 products published, through the daemon, on each engine."""

from __future__ import annotations

import os
import queue
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import percentile, show
from dynamo.config.file import parse_config
from dynamo.pool import control
from dynamo.runs.events import RunEvent
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.watch.watcher import Watcher

ARRIVALS = 30
_PATIENCE_S = 60.0


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure both engines; the pool is started and stopped here."""
    rows = [_measure("local")]
    with tempfile.TemporaryDirectory() as folder:
        record, _ = control.up(slots=2, state=Path(folder))
        os.environ["CONDOR_CONFIG"] = record.config
        try:
            rows.append(_measure("condor"))
        finally:
            control.down(Path(folder))
    return [
        show(
            f"arrival to 62 products published, 201 x 201 widespread, {ARRIVALS} arrivals, seconds",
            ("engine", "p50", "p95", "worst", "detection p95", "queue p95", "work p95", "publish p95"),
            rows,
            "Goals: local p95 <= 1 s; condor (2-slot pool) p50 <= 3 s, p95 <= 5 s.",
        )
    ]


def _measure(engine: str) -> tuple[object, ...]:
    latencies: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "feed").mkdir()
        config = parse_config(
            {
                "folders": {"state": "state", "products": "products"},
                "runs": {"engine": engine},
                "feeds": [{"name": "nowcasts", "path": "feed"}],
                "triggers": [{"name": "storms", "feed": "nowcasts", "workflow": "nowcast"}],
            },
            base=root,
        )
        events: queue.Queue[RunEvent] = queue.Queue()
        simulator = NowcastSimulator("wide", (201, 201), datetime(2019, 6, 10, tzinfo=UTC), ARRIVALS + 1)
        with Watcher(config) as watcher:
            watcher.events.subscribe(events.put)
            for index in range(ARRIVALS + 1):
                simulator.write(root / "feed", index)
                latencies.append(_published(events))
    # The first warms the engine up.
    counted = latencies[1:]

    def share(name: str, part: float) -> float:
        return round(percentile([one[name] for one in counted], part), 3)

    steps = (share(name, 0.95) for name in ("detection_s", "queue_s", "work_s", "publish_s"))
    return (engine, share("total_s", 0.5), share("total_s", 0.95), share("total_s", 1.0), *steps)


def _published(events: queue.Queue[RunEvent]) -> dict[str, float]:
    while True:
        event = events.get(timeout=_PATIENCE_S)
        if event.kind == "published":
            return {name: value for name, value in event.data.items() if name.endswith("_s")}
        if event.kind == "quarantined" or (event.kind == "run_state" and event.data["state"] == "failed"):
            raise SystemExit(f"arrivals: {event.data}")


if __name__ == "__main__":
    run(None)
