"""Refused files: listed, drawn, handed back once, dropped with the reason kept; a kill in between loses nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from dynamo.cli.main import register_all
from dynamo.errors import NotFoundError, UsageError
from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import look
from dynamo.feeds.quarantine import move_aside, move_back
from dynamo.formats.nowcast import NowcastHeader, write_nowcast
from dynamo.formats.radar.model import Site, make_sweep
from dynamo.inspection.picture import Picture, _from_above
from dynamo.inspection.serving import Question, answer
from dynamo.radar.grid import LatLonGrid
from dynamo.runs.events import RunEvents
from dynamo.store.engine import Store
from dynamo.store.models import Arrival
from dynamo.times import utc_now
from dynamo.watch.arrivals import record
from dynamo.watch.intake import FeedRules, Intake
from dynamo.watch.quarantined import drop, find_refused, finish, refused_files, release, unfinished
from tests.unit.archive.published_runs import START, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "incoming").mkdir()
    return new_store(tmp_path)


def refused(store: Store, path: Path, content: bytes = b"no radar data", *, moved: bool = True) -> Arrival:
    """Do with a file what intake does with a bad one."""
    path.write_bytes(content)
    seen = look(path)
    assert seen is not None
    with store.transaction() as session:
        candidate = Candidate("f", path, "closed", utc_now())
        arrival = record(session, candidate, seen, state="quarantined", reason="not a radar file")
        assert arrival is not None
        if moved:
            arrival.moved_to = str(move_aside(path, path.parent.parent / "quarantine", arrival.reason))
    return arrival


def stored(store: Store, arrival: Arrival) -> Arrival:
    with store.reading() as session:
        return find_refused(session, str(arrival.id))


def test_a_released_file_is_back_as_it_was_and_can_be_released_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "incoming" / "a.nc"
    arrival = refused(store, path)
    item = release(store, str(arrival.id), "the reader was mended")
    assert (item.state, item.at) == ("released", path)
    assert path.read_bytes() == b"no radar data"
    assert path.stat().st_mtime_ns == arrival.mtime_ns
    assert list((tmp_path / "quarantine").iterdir()) == []
    with pytest.raises(UsageError, match="it was released before"):
        release(store, str(arrival.id), "again")


def test_a_file_that_cannot_be_moved_back_holds_up_no_others(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "incoming" / name for name in ("a.nc", "b.nc")]
    stuck, free = (refused(store, path, path.name.encode()) for path in paths)

    def fails(at: Path, path: Path) -> None:
        if path.name == "a.nc":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        move_back(at, path)

    # A stand-in: one bad file of a disk that is otherwise well.
    monkeypatch.setattr("dynamo.watch.quarantined.move_back", fails)
    for arrival in (stuck, free):
        with store.transaction() as session:
            session.get_one(Arrival, arrival.id).state = "released"
    service: Any = SimpleNamespace(store=store, events=RunEvents())
    unused: Any = None
    intake = Intake(service, unused, {"f": FeedRules(0.0, tmp_path / "quarantine")})
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        intake.take_back()
    assert [path.is_file() for path in paths] == [False, True]
    candidate = intake.candidates.take()
    assert candidate is not None
    assert candidate.path == paths[1]


def test_what_is_refused_again_after_its_release_is_in_quarantine_again(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "incoming" / "a.nc"
    release(store, str(refused(store, path).id), "")
    again = refused_at(store, path)
    assert (again.state, again.reason) == ("quarantined", "still not a radar file")
    with store.reading() as session:
        assert [item.id for item in refused_files(session, "quarantined", 9)] == [str(again.id)]
        assert unfinished(session, ["f"]) == []


def refused_at(store: Store, path: Path) -> Arrival:
    seen = look(path)
    assert seen is not None
    with store.transaction() as session:
        candidate = Candidate("f", path, "moved", utc_now())
        arrival = record(session, candidate, seen, state="quarantined", reason="still not a radar file")
    assert arrival is not None
    return arrival


@pytest.mark.parametrize("order", ["released", "dropped"])
def test_an_order_is_carried_out_by_the_next_look_after_a_kill(store: Store, tmp_path: Path, order: str) -> None:
    arrival = refused(store, tmp_path / "incoming" / "a.nc")
    with store.transaction() as session:
        session.get_one(Arrival, arrival.id).state = order
    with store.reading() as session:
        (left,) = unfinished(session, ["f", "g"])
        assert unfinished(session, ["g"]) == []
    finish(store, left)
    finish(store, left)
    assert (tmp_path / "incoming" / "a.nc").exists() == (order == "released")
    assert list((tmp_path / "quarantine").iterdir()) == []
    assert stored(store, arrival).moved_to is None
    with store.reading() as session:
        # A released file waits for intake; of a dropped one nothing is left to do.
        assert len(unfinished(session, ["f"])) == (order == "released")


def test_a_dropped_file_is_gone_and_its_row_says_why(store: Store, tmp_path: Path) -> None:
    for moved in (True, False):
        arrival = refused(store, tmp_path / "incoming" / f"{moved}.nc", moved=moved)
        item = drop(store, str(arrival.id), "a test of the radar's technicians", movable=True)
        assert (item.state, item.at) == ("dropped", None)
        assert item.reason == "not a radar file; dropped: a test of the radar's technicians"
        assert [*(tmp_path / "incoming").iterdir(), *(tmp_path / "quarantine").iterdir()] == []


def test_a_published_product_is_not_deleted(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "incoming" / "product.nc"
    arrival = refused(store, path, moved=False)
    assert drop(store, str(arrival.id), "of no use", movable=False).at == path
    assert stored(store, arrival).state == "dropped"


def test_a_file_is_not_moved_over_another(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "incoming" / "a.nc"
    arrival = refused(store, path)
    path.write_bytes(b"newer")
    with pytest.raises(UsageError, match="a file with its name is there now"):
        release(store, str(arrival.id), "")
    with store.transaction() as session:
        # It came between the order and the move.
        session.get_one(Arrival, arrival.id).state = "released"
    finish(store, stored(store, arrival))
    assert path.read_bytes() == b"newer"
    assert (tmp_path / "quarantine" / "a.nc").read_bytes() == b"no radar data"
    assert (stored(store, arrival).state, stored(store, arrival).moved_to) == ("quarantined", arrival.moved_to)


def test_a_file_that_is_gone_is_not_released(store: Store, tmp_path: Path) -> None:
    arrival = refused(store, tmp_path / "incoming" / "a.nc")
    Path(str(arrival.moved_to)).unlink()
    with pytest.raises(NotFoundError, match="the file is gone"):
        release(store, str(arrival.id), "")
    for name in ("99", "x", "1" * 40):
        with pytest.raises(NotFoundError), store.reading() as session:
            find_refused(session, name)


def test_back_across_file_systems(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "incoming" / "a.nc"
    arrival = refused(store, path)
    rename = Path.rename

    def other_disk(self: Path, target: Path) -> Path:
        if self.parent != path.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    # A stand-in: a test machine need not have a second file system.
    monkeypatch.setattr(Path, "rename", other_disk)
    assert release(store, str(arrival.id), "").at == path
    assert path.stat().st_mtime_ns == arrival.mtime_ns
    assert list((tmp_path / "quarantine").iterdir()) == []


# -- pictures


def picture_of(path: Path) -> Picture | Exception:
    found = answer(Question("picture", None, (path,), (), 60.0, 60.0))
    assert isinstance(found, Picture | Exception)
    return found


def nowcast(path: Path, **changes: Any) -> Path:
    header = NowcastHeader(LatLonGrid(33.5, -98.0, 0.01, 0.01, 30, 40), START, 2)
    field = np.full((30, 40), 20.0)
    field[:10] = 50.0
    write_nowcast(path, header, [field, field])
    return path


def test_a_nowcast_is_drawn(tmp_path: Path) -> None:
    found = picture_of(nowcast(tmp_path / "a.nc"))
    assert isinstance(found, Picture)
    assert found.png.startswith(b"\x89PNG")
    assert found.shows == "reflectivity of the nowcast of 2024-05-20 18:00 UTC, lead 0 min"


def test_a_sweep_is_seen_from_above() -> None:
    azimuth = np.arange(0.5, 360.0, 1.0)
    sweep = make_sweep(
        site=Site("KTLX", 35.3, -97.3, 370.0, "S"),
        azimuth_deg=azimuth,
        elevation_deg=np.full(360, 0.5),
        range_m=np.arange(500.0, 100_000.0, 1000.0),
        time=np.full(360, np.datetime64("2026-05-20T18:00:00", "ns")),
        # A storm to the east.
        moments={"DBZH": np.where(np.abs(azimuth - 90.0) < 20.0, 50.0, 0.0)[:, None] * np.ones((1, 100))},
        fixed_angle_deg=0.5,
        sweep_number=0,
        volume_time=START,
        file_format="test",
    )
    seen = _from_above(sweep)
    middle = seen.shape[0] // 2
    east, west, north = seen[middle, middle + 200], seen[middle, middle - 200], seen[middle + 200, middle]
    assert (east, west, north) == (50.0, 0.0, 0.0)
    assert np.isnan(seen[0, 0]), "beyond the last gate"


def test_a_file_that_is_no_product_is_drawn_in_greys(tmp_path: Path) -> None:
    import netCDF4

    path = nowcast(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as dataset:
        for name in dataset.ncattrs():
            dataset.delncattr(name)
    found = picture_of(path)
    assert isinstance(found, Picture), found
    assert found.png.startswith(b"\x89PNG")
    assert "from 20 (black) to 50 (white)" in found.shows
    assert "cannot be used" in found.shows


def test_what_holds_no_numbers_is_not_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(b"no radar data")
    assert isinstance(picture_of(path), Exception)


# -- commands


def test_the_commands(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dynamo.toml").write_text('[folders]\nstate = "."\n[[feeds]]\nname = "f"\npath = "incoming"\n')
    monkeypatch.setenv("DYNAMO_CONFIG", str(tmp_path / "dynamo.toml"))
    good = nowcast(tmp_path / "good.nc").read_bytes()
    first, second = (refused(store, tmp_path / "incoming" / name, good) for name in ("a.nc", "b.nc"))
    listed = json_of("list")
    assert [item["id"] for item in listed] == [str(second.id), str(first.id)]
    shown = json_of("show", str(first.id))
    assert shown["holds"]["format"] == "casa-nowcast"
    assert shown["reason"] == "not a radar file"
    assert Path(shown["picture"]) == tmp_path / "quarantine" / "a.nc.png"
    assert Path(shown["picture"]).read_bytes().startswith(b"\x89PNG")
    assert json_of("release", str(first.id))["state"] == "released"
    assert json_of("drop", str(second.id), "--reason", "of no use")["at"] is None
    assert json_of("list") == []
    assert [item["reason"] for item in json_of("list", "--state", "dropped")] == [
        "not a radar file; dropped: of no use"
    ]


def json_of(*arguments: str) -> Any:
    result = CliRunner().invoke(register_all(), ["quarantine", *arguments, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    return orjson.loads(result.stdout)
