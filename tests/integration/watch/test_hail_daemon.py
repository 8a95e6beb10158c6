"""The hail chain inside the daemon: precursor, hail per sweep, one composite a minute for the network."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from sqlalchemy import select, update

from dynamo.config.file import Config, parse_config
from dynamo.feeds.base import Candidate
from dynamo.feeds.products import ProductFeed
from dynamo.runs.events import RunEvent
from dynamo.simulate.radar import RadarSimulator
from dynamo.simulate.radar_storms import RegimeName
from dynamo.store.models import Arrival, Cursor, Run, RunDecision
from dynamo.times import utc_now
from dynamo.watch.watcher import Watcher

START = datetime(2019, 6, 9, 22, 0, tzinfo=UTC)
RADARS = ("addison.tx", "midlothian.tx", "arlington.tx")


def configuration(
    root: Path,
    *,
    radars: tuple[str, ...] = RADARS,
    deadline_s: float = 60.0,
    sweeps: str | None = None,
    files: dict[str, str] | None = None,
) -> Config:
    (root / "sweeps").mkdir(exist_ok=True)
    return parse_config(
        {
            "folders": {"state": "state", "products": "products"},
            "feeds": [
                {"name": "sweeps", "path": "sweeps", "patterns": ["*.netcdf.gz"]},
                {"name": "grids", "kind": "products", "workflow": "hail", "patterns": ["*.hc.cart.netcdf"]},
            ],
            "triggers": [
                {
                    "name": "hail",
                    "kind": "precursor",
                    "feed": "sweeps",
                    "workflow": "hail",
                    "precursor": {"low_area_km2": 1.0},
                    "files": files or {},
                },
                {
                    "name": "network",
                    "kind": "gather",
                    "feed": "grids",
                    "workflow": "hail_composite",
                    "gather": {"radars": list(radars), "deadline_s": deadline_s, "sweeps": sweeps},
                },
            ],
        },
        base=root,
    )


def write(root: Path, regime: RegimeName, radars: int = 3) -> int:
    simulator = RadarSimulator(regime, START, radars, 1, 1, seed=2)
    return len([simulator.write(root / "sweeps", sweep) for sweep in simulator.sweeps()])


def decisions(watcher: Watcher, trigger: str) -> list[RunDecision]:
    with watcher.service.store.reading() as session:
        found = session.scalars(select(RunDecision).order_by(RunDecision.id)).all()
    return [one for one in found if one.data.get("trigger") == trigger]


def composites(watcher: Watcher) -> list[Run]:
    with watcher.service.store.reading() as session:
        return list(session.scalars(select(Run).where(Run.workflow == "hail_composite")))


def test_a_storm_is_found_by_every_radar_and_composed_once(tmp_path: Path) -> None:
    count = write(tmp_path, "wide")
    with Watcher(configuration(tmp_path)) as watcher:
        assert watcher.wait_idle(300)
        begun = decisions(watcher, "hail")
        assert [one.action for one in begun] == ["begin"] * count
        assert {one.data["radar"] for one in begun} == set(RADARS)
        assert all(one.data["area_km2"] >= one.data["needed_km2"] for one in begun)
        (run,) = composites(watcher)
        assert run.state == "succeeded", run.reason
        (decision,) = decisions(watcher, "network")
        assert (decision.action, decision.data["missing"]) == ("start", [])
    products = Path(str(run.product_dir))
    found = orjson.loads(next(products.glob("*.geojson")).read_bytes())
    assert found["features"], "no hail in a scene that has hail cores"
    assert sorted({radar for one in found["features"] for radar in one["properties"]["radars"]}) <= sorted(RADARS)


def test_a_radar_that_is_missing_is_named_at_the_deadline(tmp_path: Path) -> None:
    write(tmp_path, "wide", radars=2)
    composed = threading.Event()
    with Watcher(configuration(tmp_path, deadline_s=3600.0)) as watcher:
        watcher.events.subscribe(lambda event: composed.set() if _is_composite(event) else None)
        assert watcher.wait_idle(300)
        # Both are here, however slow the machine is. The deadline passes, and is looked at by the daemon's own timer.
        with watcher.service.store.transaction() as session:
            session.execute(update(Arrival).values(detected_at=utc_now() - timedelta(seconds=4000)))
        assert composed.wait(300)
        assert watcher.wait_idle(300)
        (run,) = composites(watcher)
        assert run.state == "succeeded", run.reason
        (decision,) = decisions(watcher, "network")
        assert decision.data["missing"] == ["arlington.tx"]
        assert "arlington.tx" in decision.reason


def test_a_quiet_radar_is_told_as_quiet_and_nobody_waits_for_it(tmp_path: Path) -> None:
    radars = RADARS[:2]
    # A sounding that has not come stops no hail work either.
    settings = configuration(
        tmp_path, radars=radars, deadline_s=3600.0, sweeps="sweeps", files={"sounding": "none.txt"}
    )
    write(tmp_path, "wide", radars=2)
    for path in (tmp_path / "sweeps").glob(f"{radars[1]}*"):
        path.unlink()
    clear = RadarSimulator("clear", START, 2, 1, 1, seed=2)
    for sweep in clear.sweeps():
        if sweep.radar.radar == radars[1]:
            clear.write(tmp_path / "sweeps", sweep)
    with Watcher(settings) as watcher:
        assert watcher.wait_idle(300)
        begun = decisions(watcher, "hail")
        assert sorted(one.action for one in begun) == ["begin", "refuse"]
        (left_out,) = [one.data["left_out"] for one in begun if one.action == "begin"]
        assert left_out == [f"sounding: {tmp_path / 'none.txt'}"]
        (run,) = composites(watcher)
        assert run.state == "succeeded", run.reason
        (decision,) = decisions(watcher, "network")
        assert (decision.action, decision.data["quiet"], decision.data["missing"]) == ("start", [radars[1]], [])
    found = orjson.loads(next(Path(str(run.product_dir)).glob("*.geojson")).read_bytes())
    assert found["missing_radars"] == []


def test_files_of_the_future_are_refused_and_touch_nothing(tmp_path: Path) -> None:
    settings = configuration(tmp_path, radars=RADARS[:1], sweeps="sweeps")
    ahead = RadarSimulator("wide", utc_now() + timedelta(minutes=40), 1, 1, 1, seed=2)
    for sweep in ahead.sweeps():
        ahead.write(tmp_path / "sweeps", sweep)
    with Watcher(settings) as watcher:
        assert watcher.wait_idle(300)
        (refused,) = decisions(watcher, "hail")
        assert refused.action == "refuse"
        assert "its clock is ahead" in refused.reason
        with watcher.service.store.reading() as session:
            # The row of the radar is locked while the file is judged; no state is in it.
            rows = session.scalars(select(Cursor).where(Cursor.name.startswith("precursor"))).all()
            assert [row.data for row in rows] in ([], [{}])
            assert session.scalars(select(Run)).all() == []


def test_products_by_hand_feed_nothing_and_bad_products_stay(tmp_path: Path) -> None:
    with Watcher(configuration(tmp_path)) as watcher:
        folder = tmp_path / "products" / "hail"
        folder.mkdir(parents=True)
        bad = folder / "bad.hc.cart.netcdf"
        bad.write_bytes(b"no grid")
        watcher.events.emit("published", "run", workflow="hail", trigger="submit", product_dir=str(folder))
        assert watcher.wait_idle(300)
        assert arrivals(watcher) == []
        quarantined = threading.Event()
        watcher.events.subscribe(lambda event: quarantined.set() if event.kind == "quarantined" else None)
        watcher.events.emit("published", "run", workflow="hail", trigger="hail", product_dir=str(folder))
        assert quarantined.wait(300)
        (arrival,) = arrivals(watcher)
        assert (arrival.state, arrival.moved_to) == ("quarantined", None)
        assert bad.exists()


def test_a_scan_finds_the_products_of_the_daemon_only(tmp_path: Path) -> None:
    write(tmp_path, "wide", radars=1)
    found: list[Candidate] = []
    with Watcher(configuration(tmp_path, radars=RADARS[:1])) as watcher:
        assert watcher.wait_idle(300)
        store = watcher.service.store
        feed = ProductFeed("g", workflow="hail", patterns=["*.cart.netcdf"], store=store, events=watcher.events)
        assert feed.scan(found.append) == len(found) == 1
        with store.transaction() as session:
            session.execute(update(Run).values(trigger="submit"))
        assert feed.scan(found.append) == 0


def arrivals(watcher: Watcher) -> list[Arrival]:
    with watcher.service.store.reading() as session:
        return list(session.scalars(select(Arrival)))


def test_clear_air_starts_nothing_and_says_why(tmp_path: Path) -> None:
    count = write(tmp_path, "clear")
    with Watcher(configuration(tmp_path)) as watcher:
        assert watcher.wait_idle(300)
        refused = decisions(watcher, "hail")
        assert [one.action for one in refused] == ["refuse"] * count
        assert all("km2 at or above" in one.reason for one in refused)
        with watcher.service.store.reading() as session:
            assert session.scalars(select(Run)).all() == []


def _is_composite(event: RunEvent) -> bool:
    return event.kind == "published" and event.data["workflow"] == "hail_composite"
