"""What the dashboard asks for first, of a store with a thousand runs and of one with a million, over HTTP.

    python -m benchmarks.dashboard [--runs 1000000] [--postgres] [--folder FOLDER]

Both stores have a thousand runs a day up to now: one has been there for a day, the other for years. Each screen's
requests are sent to both servers in turn; both run in processes of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.progress import track
from sqlalchemy import delete, func, insert, select, update

from benchmarks.assets import LARGE, RADARS, SMALL, databases, fill
from benchmarks.report import console, machine, show, time_in_turn
from dynamo.store.alerts import AlertMessage
from dynamo.store.checks import CheckResult
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival, Run, RunDecision
from dynamo.store.stream import StreamRow
from dynamo.times import to_iso, utc_now

EVERY_MIN = 15
_PRODUCTS = 3
_BATCH = 5000
#: What a day leaves in the stream of events.
_EVENTS = 10_000
GOAL = 1.5
_CONFIG = """
[store]
url = "{url}"

[[feeds]]
name = "radars"
path = "incoming"

[[triggers]]
name = "each"
feed = "radars"
workflow = "hail"
"""
_UNFINISHED = "state=created&state=planned&state=submitted&state=running&state=publishing&state=held"
#: What each screen asks for when it is opened; `{day}` is a day ago, `{run}` the newest run.
SCREENS = {
    "now": (
        *("status", "feeds", "problems?state=open&limit=20", f"runs?limit=10&{_UNFINISHED}", "runs?limit=5"),
        *("load", "alerts?limit=8"),
    ),
    "map": ("map/frames", "map/hail", "map/radars"),
    "timeline": ("timeline?since={day}",),
    "runs": ("runs",),
    "runs, failed": ("runs?state=failed",),
    "run": ("runs/{run}",),
    "assets": ("assets",),
    "feeds": ("feeds",),
    "feed": ("arrivals?feed=radars",),
    "quarantine": ("arrivals?state=quarantined",),
    "decisions": ("decisions?since={day}",),
    "fleets": ("fleets", "costs?by=site"),
}


def run(
    _data: Path | None = None, *, runs: int = LARGE, postgres: bool = False, folder: Path | None = None
) -> list[dict[str, Any]]:
    """Measure each screen on a small and a large store, which are kept in ``folder`` if that is given."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        home = folder or Path(temporary)
        urls = [f"sqlite:///{home}/{count}.sqlite" for count in (SMALL, runs)]
        if postgres:
            urls = stack.enter_context(databases(len(urls)))
        asks: dict[str, dict[str, Callable[[], object]]] = {}
        for url, count in zip(urls, (SMALL, runs), strict=True):
            with contextlib.closing(open_store(url)) as store:
                newest = _newest(store)
                if newest is None:
                    started = time.perf_counter()
                    history(store, count, utc_now())
                    console.print(f"{count} runs stored in {time.perf_counter() - started:.0f} s")
                    newest = _newest(store)
            client = stack.enter_context(_client(url, Path(temporary) / str(count)))
            values = {"day": to_iso(utc_now() - timedelta(days=1)), "run": newest}
            for screen, paths in SCREENS.items():
                asked = [f"/v1/{path.format(**values)}" for path in paths]
                asks.setdefault(screen, {})[str(count)] = partial(_get, client, asked)
        rows = []
        for screen, candidates in asks.items():
            timed = time_in_turn(candidates, rounds=11)
            small, large = (timed[key].wall_ms for key in candidates)
            rows.append((screen, round(small, 1), round(large, 1), round(large / small, 2)))
        kind = "PostgreSQL" if postgres else "SQLite"
        columns = ("screen", f"ms, {SMALL} runs", f"ms, {runs} runs", f"ratio (goal {GOAL:g})")
        return [show(f"first requests of each screen, one after the other, {kind}", columns, rows)]


def _newest(store: Store) -> str | None:
    with store.reading() as session:
        return session.scalar(select(Run.id).order_by(Run.created_at.desc(), Run.id.desc()).limit(1))


def _get(client: httpx.Client, paths: list[str]) -> None:
    for path in paths:
        client.get(path).raise_for_status()


@contextlib.contextmanager
def _client(url: str, folder: Path) -> Iterator[httpx.Client]:
    """Serve a store from a process of its own; yield a client of it."""
    folder.mkdir()
    (folder / "dynamo.toml").write_text(_CONFIG.format(url=url))
    command = [sys.executable, "-m", "dynamo", "serve", "--json", "--listen", "127.0.0.1:0", "--config"]
    with subprocess.Popen(
        [*command, str(folder / "dynamo.toml")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            with httpx.Client(base_url=json.loads(server.stdout.readline())["url"], timeout=600) as client:
                yield client
        finally:
            server.terminate()


def history(store: Store, count: int, end: datetime) -> None:
    """Store ``count`` runs up to ``end`` with the arrivals, decisions, checks and alerts that belong to them."""
    fill(store, count, end=end, every_min=EVERY_MIN, products_each=_PRODUCTS)
    for start in track(range(0, count, _BATCH), description="storing what belongs to them", disable=count < LARGE):
        arrivals, decisions, results, alerts = [], [], [], []
        for number in range(start, min(start + _BATCH, count)):
            run = hashlib.sha256(b"%d" % number).hexdigest()[:12]
            radar = f"KR{number % RADARS:02d}"
            at = end - timedelta(minutes=(count - 1 - number) // RADARS * EVERY_MIN)
            times = {"valid_at": at, "detected_at": at, "recorded_at": at}
            arrivals.append(
                {"feed": "radars", "path": f"/incoming/{run}.nc", "size": 1000, "mtime_ns": 1, "radar": radar, **times}
                | {"sha256": hashlib.sha256(b"in %d" % number).hexdigest(), "reason": "", "facts": {"radar": radar}}
                | {"state": "quarantined" if number % 10 == 7 else "accepted"}
            )
            decisions += [
                {
                    "time": at,
                    "subject": run,
                    "action": action,
                    "reason": "as its trigger says",
                    "data": {"feed": "radars"},
                }
                for action in ("start", "plan")
            ]
            if number % 10 == 0:
                results.append(
                    {"run_id": run, "series": f"radars/{radar}", "file": f"/incoming/{run}.nc", "check": "range"}
                    | {"severity": "warning", "flag": 3, "value": 1.0, "limit": 0.5, "place": "", "time": at}
                )
            if number % 50 == 0:
                alerts.append(
                    {"key": run, "place": f"place {number % 7}", "hazard": "hail", "event": number, "kind": "began"}
                    | {"text": "hail", "payload": {}, "created_at": at, "expires_at": at + timedelta(hours=1)}
                )
        with store.transaction() as session:
            for table, rows in (
                (Arrival, arrivals),
                (RunDecision, decisions),
                (CheckResult, results),
                (AlertMessage, alerts),
            ):
                session.execute(insert(table), rows)
    with store.transaction() as session:
        newest = select(Run.id).order_by(Run.created_at.desc(), Run.id).limit(5)
        session.execute(update(Run).where(Run.id.in_(newest)).values(state="running", published_at=None))
        session.execute(update(Run).where(Run.id.startswith("0")).values(state="failed", reason="a task failed"))
        last = session.scalar(select(func.max(StreamRow.id))) or 0
        session.execute(delete(StreamRow).where(StreamRow.id <= last - _EVENTS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=LARGE, help="runs of the large store")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--folder", type=Path, help="keep the stores of SQLite here, and use those that are here")
    options = parser.parse_args()
    console.print(machine())
    run(runs=options.runs, postgres=options.postgres, folder=options.folder)
