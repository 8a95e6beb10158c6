"""How much a store grows a day, before and after pruning, under the load of a CASA network.

    python -m benchmarks.store_growth [--days 10]

Each day is a part of a real one: sweeps of seven radars and a nowcast a minute go through the daemon, each file is
inspected and starts a run, and only the modules are left out. Then the times in the store are moved back to that day,
and retention makes its pass. What a day adds once pruning has begun, scaled to a whole day, is the growth that stays.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.progress import track
from sqlalchemy import text

from benchmarks.report import console, machine, show
from dynamo.archive.caretaker import Caretaker
from dynamo.config.file import Config, parse_config
from dynamo.config.retention import RetentionSection
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.radar import RadarSimulator
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Base, UtcDateTime
from dynamo.times import utc_now
from dynamo.watch.watcher import Watcher
from tests.integration.watch.watch_support import ThreadEngine, factory

GOAL_MB = 10.0
#: Minutes of each day, of its 1,440.
MINUTES = 4
_DAY_MINUTES = 1440
_KEPT_DAYS = 2
_PATIENCE_S = 120.0
#: Times of the data, which are right already.
_DATA_TIMES = frozenset({"valid_at", "oldest_at", "newest_at", "issue_at", "since", "until"})


def run(_data: Path | None = None, *, days: int = 10) -> list[dict[str, Any]]:
    """Measure the size of the store after each day."""
    sizes: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "feed").mkdir()
        config, first = _configuration(root), utc_now() - timedelta(days=days)
        # The daemon's own passes would be of today.
        daemon = config.model_copy(update={"retention": RetentionSection()})
        for number in track(range(days), description="days", console=console):
            day = (first + timedelta(days=number)).replace(hour=18, minute=0, second=0, microsecond=0)
            _live_through(daemon, root, day)
            sizes.append(_size_after_pruning(config, day + timedelta(hours=6)))
    scale = _DAY_MINUTES / MINUTES / 1e6
    # The second day comes on top of the first; nothing is old enough to go yet.
    kept = sizes[1] - sizes[0]
    # From here on, as much leaves as comes.
    steady = sizes[_KEPT_DAYS + 1 :]
    left = (steady[-1] - steady[0]) / (len(steady) - 1)
    rows = [
        ("while all rows are kept", round(kept * scale, 1)),
        (f"with rows kept for {_KEPT_DAYS} days, from then on", round(left * scale, 2)),
    ]
    return [
        show(
            f"growth of the store, CASA network, {MINUTES} of {_DAY_MINUTES} minutes on each of {days} days, SQLite",
            ("growth", "MB a day"),
            rows,
            f"Goal: at most {GOAL_MB:g} MB a day after pruning.",
        )
    ]


def _configuration(root: Path) -> Config:
    return parse_config(
        {
            "folders": {"state": "state", "products": "products"},
            "runs": {"fsync": False, "max_runs": 8, "min_free_mb": 0, "keep_succeeded_h": 0.0},
            "feeds": [
                {"name": "all", "path": "feed", "patterns": ["*.nc", "*.gz"]},
            ],
            "triggers": [
                {
                    "name": "storms",
                    "feed": "all",
                    "pattern": "*.nc",
                    "workflow": "nowcast",
                    "deadline_s": 0.0,
                    "shed": "never",
                },
                {
                    "name": "hail",
                    "feed": "all",
                    "pattern": "*.gz",
                    "workflow": "hail",
                    "deadline_s": 0.0,
                    "shed": "never",
                },
            ],
            "retention": {
                "arrivals_days": _KEPT_DAYS,
                "decisions_days": _KEPT_DAYS,
                "runs_days": _KEPT_DAYS,
                "costs_days": _KEPT_DAYS,
                "rules": [{"name": "all", "gone_days": _KEPT_DAYS - 0.5, "remove": "even if it cannot be made again"}],
            },
        },
        base=root,
    )


def _live_through(config: Config, root: Path, day: datetime) -> None:
    """Let the daemon see the files of a part of a day, then move the times of what it stored to that day."""
    shutil.rmtree(root / "made", ignore_errors=True)
    radars = RadarSimulator("wide", day, minutes=MINUTES)
    files = [radars.write(root / "made", sweep) for sweep in radars.sweeps()]
    nowcasts = NowcastSimulator("wide", (51, 51), day)
    files += [nowcasts.write(root / "made", minute) for minute in range(MINUTES)]
    engine = ThreadEngine()
    with Watcher(config, engine_factory=factory(engine)) as watcher:
        for path in files:
            path.rename(root / "feed" / path.name)
        deadline = time.monotonic() + _PATIENCE_S
        while len(engine.executed) < len(files) and time.monotonic() < deadline:
            watcher.wait_idle(1.0)
        watcher.wait_idle(_PATIENCE_S)
        if len(engine.executed) < len(files):
            console.print(f"{day:%Y-%m-%d}: {len(engine.executed)} runs of {len(files)} files")
        _move_back(watcher.service.store, utc_now() - day)
    for path in (root / "feed").iterdir():
        path.unlink()


def _move_back(store: Store, by: timedelta) -> None:
    """Move back all times that were stored in the last hour, except those of the data."""
    limit = (utc_now() - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.000000")
    with store.transaction() as session:
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                if column.name in _DATA_TIMES or not isinstance(column.type, UtcDateTime):
                    continue
                moved = f"strftime('%Y-%m-%d %H:%M:%f', {column.name}, '-{int(by.total_seconds())} seconds') || '000'"
                session.execute(
                    text(f"UPDATE {table.name} SET {column.name} = {moved} WHERE {column.name} > :limit"),
                    {"limit": limit},
                )


def _size_after_pruning(config: Config, now: datetime) -> int:
    """Let retention make its pass and return the bytes in use."""
    with contextlib.closing(open_store(config.store_url)) as store:
        Caretaker(store, config).tend(now, clock_is_right=True)
        with store.engine.connect() as connection:
            pages, free, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "freelist_count", "page_size")
            )
    return int((pages - free) * size)


def main() -> None:
    """Measure some days."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=10, help=f"days, more than {_KEPT_DAYS + 3}")
    options = parser.parse_args()
    console.print(machine())
    run(days=options.days)


if __name__ == "__main__":
    main()
