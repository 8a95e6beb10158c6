"""Questions about data, asked of a store of a thousand runs and of one of a million runs with ten million products.

    python -m benchmarks.assets [--runs 1000000] [--postgres]

The same questions on both stores, in turn: a store that has grown for years must answer as a new one does.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.progress import track
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from benchmarks.report import console, machine, show, time_in_turn
from dynamo.assets.catalog import assets_of
from dynamo.assets.coverage import cadence_of, gaps_between, series_of, valid_times
from dynamo.assets.history import history_of
from dynamo.assets.lineage import lineage_of
from dynamo.config.file import parse_config
from dynamo.runs.series import CURRENT
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Product, Run, RunInput, Series, SeriesDay, StoredDocument

SMALL, LARGE = 1000, 1_000_000
PRODUCTS = 10
RADARS = 10
GOAL = 2.0
_BATCH = 5000
_END = datetime(2026, 6, 1, tzinfo=UTC)
_FILE = {
    "feeds": [{"name": "radars", "path": "incoming"}],
    "triggers": [{"name": "each", "feed": "radars", "workflow": "hail"}],
}


def run(_data: Path | None = None, *, runs: int = LARGE, postgres: bool = False) -> list[dict[str, Any]]:
    """Measure the questions on a small and a large store."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        urls = [f"sqlite:///{folder}/{count}.sqlite" for count in (SMALL, runs)]
        if postgres:
            urls = stack.enter_context(databases(len(urls)))
        stores = [stack.enter_context(contextlib.closing(open_store(url))) for url in urls]
        questions: dict[str, dict[str, Callable[[], object]]] = {}
        for store, count in zip(stores, (SMALL, runs), strict=True):
            started = time.perf_counter()
            newest = fill(store, count)
            console.print(f"{count} runs, {count * PRODUCTS} products stored in {time.perf_counter() - started:.0f} s")
            for name, ask in _questions(store, Path(folder), newest).items():
                questions.setdefault(name, {})[str(count)] = ask
        rows = []
        for name, candidates in questions.items():
            timed = time_in_turn(candidates, rounds=11)
            small, large = (timed[key].wall_ms for key in candidates)
            rows.append((name, round(small, 2), round(large, 2), round(large / small, 2)))
        kind = "PostgreSQL" if postgres else "SQLite"
        columns = ("question", f"ms, {SMALL} runs", f"ms, {runs} runs", f"ratio (goal {GOAL:g})")
        return [show(f"questions about data, {kind}, {RADARS} radars, {PRODUCTS} products a run", columns, rows)]


def fill(store: Store, count: int, *, end: datetime = _END, every_min: int = 1, products_each: int = PRODUCTS) -> Path:
    """Store ``count`` published runs of a radar network, the newest last; return the path of its last product.

    Each radar has one run every ``every_min`` minutes, the last one at ``end``.
    """
    body = DocumentPlanner().load("hail")
    with store.transaction() as session:
        session.add(
            StoredDocument(
                sha256=body.sha256, name=body.name, version=body.version, body=dict(body.body), recorded_at=end
            )
        )
    path = ""
    days: dict[tuple[int, str], int] = {}
    for start in track(range(0, count, _BATCH), description=f"storing {count} runs", disable=count < LARGE):
        runs, products, reads = [], [], []
        for number in range(start, min(start + _BATCH, count)):
            key = hashlib.sha256(b"%d" % number).hexdigest()
            name, radar = key[:12], number % RADARS
            at = end - timedelta(minutes=(count - 1 - number) // RADARS * every_min)
            days[radar, f"{at:%Y%m%d}"] = days.get((radar, f"{at:%Y%m%d}"), 0) + 1
            folder = f"/products/hail/{at:%Y%m%d}/{at:%H%M%S}-{name}"
            given = hashlib.sha256(b"in %d" % number).hexdigest()
            runs.append(_run(name, key, body.sha256, f"KR{radar:02d}", at, folder, given))
            reads.append({"sha": given[:16], "run_id": name})
            for lead in range(products_each):
                path = f"{folder}/KR{radar:02d}-{lead}.geojson"
                digest = hashlib.sha256(b"out %d %d" % (number, lead)).hexdigest()
                products.append(
                    {"run_id": name, "lfn": path.rpartition("/")[2], "output": "contour.geojson", "path": path}
                    | {"sha256": digest, "bytes": 1000, "lead_min": lead, "valid_at": at}
                )
        with store.transaction() as session:
            for table, rows in ((Run, runs), (RunInput, reads)):
                session.execute(insert(table), rows)
            _insert_products(session, products)
    with store.transaction() as session:
        for radar in range(RADARS):
            mine = {day: slots for (of, day), slots in days.items() if of == radar}
            total = sum(mine.values())
            series = Series(kind="workflow", name="hail", trigger="each", radar=f"KR{radar:02d}", variant="")
            series.slots, series.made, series.bytes = total, total, total * products_each * 1000
            series.oldest_at, series.newest_at = end - timedelta(minutes=(total - 1) * every_min), end
            series.live_at = series.heard_at = end
            session.add(series)
            session.flush()
            session.add_all(
                SeriesDay(series_id=series.id, day=day, slots=slots, made=slots, bytes=slots * products_each * 1000)
                for day, slots in mine.items()
            )
    return Path(path)


def _insert_products(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store products; on PostgreSQL by COPY, which takes a tenth of the time of as many inserts."""
    if session.get_bind().dialect.name != "postgresql":
        session.execute(insert(Product), rows)
        return
    columns = list(rows[0])
    cursor = session.connection().connection.cursor()
    with cursor.copy(f"COPY {Product.__tablename__} ({', '.join(columns)}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row([row[column] for column in columns])


def _run(name: str, key: str, document: str, radar: str, at: datetime, folder: str, given: str) -> dict[str, Any]:
    times = ("valid_at", "created_at", "published_at", "updated_at")
    item = {"port": "volume", "path": f"/incoming/{name}.nc", "sha256": given, "bytes": 1000, "mtime_ns": 1}
    return {
        "id": name,
        "key": key,
        "workflow": "hail",
        "version": "1",
        "document": document,
        "trigger": "each",
        "radar": radar,
        "standing": CURRENT,
        "engine": "local",
        "state": "succeeded",
        "inputs": [item],
        "parameters": {},
        "run_dir": f"/runs/{name}",
        "product_dir": folder,
        "software": "dynamo",
        **dict.fromkeys(times, at),
    }


def _questions(store: Store, base: Path, product: Path) -> dict[str, Callable[[], object]]:
    """Return what the commands ask, without starting Python and printing, which take the same time on both."""
    config, planner = parse_config(_FILE, base=base), DocumentPlanner()
    planner.load("hail")

    def listed() -> object:
        with store.reading() as session:
            return [(asset, series_of(session, asset)) for asset in assets_of(config, planner, session)]

    def shown() -> object:
        with store.reading() as session:
            asset = assets_of(config, planner, session)[-1]
            return history_of(session, series_of(session, asset), limit=20)

    def missing() -> object:
        with store.reading() as session:
            asset = assets_of(config, planner, session)[-1]
            begin = _END - timedelta(minutes=60)
            return [
                gaps_between(valid_times(session, one, begin, _END), cadence_of(session, one) or 60.0, begin, _END)
                for one in series_of(session, asset)
            ]

    def page() -> object:
        with store.reading() as session:
            return session.scalars(select(Run).order_by(Run.created_at.desc(), Run.id).limit(20)).all()

    def traced() -> object:
        with store.reading() as session:
            return lineage_of(session, product)

    return {
        "assets list": listed,
        "assets show": shown,
        "assets gaps, one hour": missing,
        "runs list": page,
        "assets lineage": traced,
    }


@contextlib.contextmanager
def databases(count: int) -> Iterator[list[str]]:
    """Run a PostgreSQL server with empty databases."""
    import psycopg

    from tests.postgres_server import postgres_server

    with postgres_server() as server:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            for number in range(count):
                connection.execute(f"CREATE DATABASE assets{number}")
        yield [f"{server}/assets{number}" for number in range(count)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=LARGE, help="runs of the large store")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    options = parser.parse_args()
    console.print(machine())
    run(runs=options.runs, postgres=options.postgres)
