"""Rules of retention on real folders and a real store: what moves, what is removed, what stays and why."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.archive.caretaker import Caretaker, Tended
from dynamo.archive.listing import ProductFilter, list_products
from dynamo.archive.verify import strays, verify
from dynamo.config.file import Config, parse_config
from dynamo.files import copy_file
from dynamo.runs.publish import publish, repair_latest
from dynamo.runs.results import JobResult, hail_in
from dynamo.runs.service import has_products, publication_of
from dynamo.store.engine import Store
from dynamo.store.models import RunDecision
from dynamo.store.retention import ProductMove, note_day
from tests.unit.archive.published_runs import START, add_run, get_run, new_store

DAY = timedelta(days=1)
NOW = START + 400 * DAY


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "warm").mkdir()
    return new_store(tmp_path)


def config(folder: Path, *rules: dict[str, Any], warm: bool = True, min_free_mb: int = 0, **options: Any) -> Config:
    tier = {"warm": {"kind": "folder", "path": "warm", "min_free_mb": min_free_mb}} if warm else {}
    named = [{"name": f"rule{number}", **rule} for number, rule in enumerate(rules)]
    return parse_config(
        {"folders": {"state": "."}, "runs": {"fsync": False}, "retention": {**tier, "rules": named, **options}},
        base=folder,
    )


def tend(store: Store, settings: Config) -> Tended:
    return Caretaker(store, settings).tend(NOW)


def is_as_published(store: Store, folder: Path) -> bool:
    """Whether every product is there and whole, and no folder without a run."""
    wrong = [item for found in verify(store, ProductFilter()) for item in found.findings]
    return [*wrong, *strays(folder / "products", store), *strays(folder / "warm", store)] == []


def days(number: float) -> int:
    """The number, in minutes after `START`, of a run that is so many days old at `NOW`."""
    return round((400 - number) * 1440)


def test_old_products_move_to_the_warm_tier_and_are_found_there(store: Store, tmp_path: Path) -> None:
    old, young = (add_run(store, tmp_path, days(age)) for age in (31, 29))
    done = tend(store, config(tmp_path, {"hot_days": 30}))
    assert (done.moved, done.removed, done.waits) == (1, 0, "")
    old, young = get_run(store, old.id), get_run(store, young.id)
    assert (old.tier, young.tier) == ("warm", "hot")
    assert Path(str(old.product_dir)).is_relative_to(tmp_path / "warm" / "nowcast")
    assert has_products(old)
    assert has_products(young)
    with store.reading() as session:
        listed = list_products(session, ProductFilter(), 9)
    assert all(Path(product.path).is_file() for product, _ in listed)
    assert len(listed) == 4
    assert is_as_published(store, tmp_path)
    days_left = {path.name for path in (tmp_path / "products" / "nowcast").glob("2*")}
    assert days_left == {f"{NOW - 29 * DAY:%Y%m%d}"}
    assert tend(store, config(tmp_path, {"hot_days": 30})) == Tended()


def test_products_are_removed_only_if_they_can_be_made_again(store: Store, tmp_path: Path) -> None:
    held, lost = tmp_path / "held.nc", tmp_path / "lost.nc"
    for path in (held, lost):
        path.write_bytes(b"radar data")
    can = add_run(store, tmp_path, days(99), inputs=(held,))
    cannot = add_run(store, tmp_path, days(98), inputs=(held, lost))
    add_run(store, tmp_path, days(1))
    lost.unlink()
    settings = config(tmp_path, {"gone_days": 90})
    planned = [(step.run, why) for step, why in Caretaker(store, settings).plan(NOW)]
    assert planned == [(can.id, ""), (cannot.id, "its input is gone: lost.nc")]
    done = tend(store, settings)
    assert (done.removed, done.kept) == (1, 1)
    can, cannot = get_run(store, can.id), get_run(store, cannot.id)
    assert (can.state, can.tier, can.product_dir, can.bytes) == ("succeeded", "gone", None, 0)
    assert not has_products(can)
    assert has_products(cannot)
    assert is_as_published(store, tmp_path)
    done = tend(store, config(tmp_path, {"gone_days": 90, "remove": "even if it cannot be made again"}))
    assert done.removed == 1
    assert get_run(store, cannot.id).tier == "gone"
    with store.reading() as session:
        reasons = session.scalars(select(RunDecision.reason).where(RunDecision.action == "remove")).all()
    assert reasons == ["products: rule rule0"] * 2


def test_an_input_that_was_overwritten_is_not_held(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "input.nc"
    path.write_bytes(b"radar data")
    run = add_run(store, tmp_path, days(99), inputs=(path,))
    add_run(store, tmp_path, days(1))
    path.write_bytes(b"radar dat2")
    assert tend(store, config(tmp_path, {"gone_days": 90})).removed == 0
    assert has_products(get_run(store, run.id))


def test_what_is_removed_from_the_warm_tier(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "input.nc"
    path.write_bytes(b"radar data")
    run = add_run(store, tmp_path, days(50), inputs=(path,))
    add_run(store, tmp_path, days(1))
    assert tend(store, config(tmp_path, {"hot_days": 30})).moved == 1
    assert tend(store, config(tmp_path, {"hot_days": 30, "gone_days": 40})).removed == 1
    assert get_run(store, run.id).tier == "gone"
    assert [*(tmp_path / "warm" / "nowcast").iterdir()] == []
    assert is_as_published(store, tmp_path)


def test_days_with_hail_are_kept_longer(store: Store, tmp_path: Path) -> None:
    quiet, hail, hail_elsewhere = (
        add_run(store, tmp_path, days(age), workflow=name)
        for age, name in ((100, "nowcast"), (99, "nowcast"), (99, "other"))
    )
    for name in ("nowcast", "other"):
        add_run(store, tmp_path, days(1), workflow=name)
    with store.transaction() as session:
        assert note_day(session, START + (400 - 99) * DAY, "hail of 40 mm")
        assert not note_day(session, START + (400 - 99) * DAY, "alerts")
    important = {"important": True, "workflows": ["now*"], "hot_days": 365}
    assert tend(store, config(tmp_path, important, {"hot_days": 30})).moved == 2
    assert [get_run(store, run.id).tier for run in (quiet, hail, hail_elsewhere)] == ["warm", "hot", "warm"]


def test_hail_makes_a_day_important() -> None:
    def found(**metrics: float) -> str:
        return hail_in({"a": JobResult("a", "hail", True, metrics=metrics), "b": JobResult("b", "plot", True)})

    assert found(mesh_max_mm=31.4) == "hail of 31 mm"
    assert found(mesh_max_mm=12.0, hail_km2=7.0) == "hail on 7 km2"
    assert found(mesh_max_mm=12.0) == found() == ""


def test_too_much_moves_on_early_the_oldest_of_unimportant_days_first(store: Store, tmp_path: Path) -> None:
    runs = [add_run(store, tmp_path, days(age), files={"a": bytes(1000)}) for age in (9, 8, 7, 6, 5)]
    with store.transaction() as session:
        note_day(session, START + (400 - 9) * DAY, "alerts")
    rules: tuple[dict[str, Any], ...] = ({"important": True}, {})
    settings = config(tmp_path, *rules, hot_gb=3e-6)
    assert [step.run for step, _ in Caretaker(store, settings).plan(NOW)] == [runs[1].id, runs[2].id]
    assert tend(store, settings).moved == 2
    assert [get_run(store, run.id).tier for run in runs] == ["hot", "warm", "warm", "hot", "hot"]
    done = tend(store, config(tmp_path, *rules, hot_gb=3e-6, warm_gb=1e-6))
    assert (done.removed, done.kept) == (0, 2), "they cannot be made again"
    regardless = ({"important": True}, {"remove": "even if it cannot be made again"})
    assert tend(store, config(tmp_path, *regardless, hot_gb=3e-6, warm_gb=1e-6)).removed == 1
    assert get_run(store, runs[1].id).tier == "gone"
    assert is_as_published(store, tmp_path)


def test_without_rules_nothing_happens(store: Store, tmp_path: Path) -> None:
    add_run(store, tmp_path, days(399))
    add_run(store, tmp_path, days(1))
    assert tend(store, config(tmp_path, hot_gb=1e-9)) == Tended()


def test_what_latest_points_to_stays_until_there_is_something_newer(store: Store, tmp_path: Path) -> None:
    run = add_run(store, tmp_path, days(99))
    settings = config(tmp_path, {"hot_days": 30})
    assert tend(store, settings).moved == 0
    add_run(store, tmp_path, days(98))
    assert tend(store, settings).moved == 1
    assert get_run(store, run.id).tier == "warm"
    assert repair_latest(tmp_path / "products" / "nowcast", dry=True).after != ""


def test_products_made_again_of_old_data_are_not_old(store: Store, tmp_path: Path) -> None:
    add_run(store, tmp_path, days(99), published_at=NOW - DAY)
    add_run(store, tmp_path, days(1))
    assert tend(store, config(tmp_path, {"hot_days": 30})).moved == 0


def test_a_move_that_waits_for_room_holds_up_no_removal_that_was_cut_off(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "input.nc"
    path.write_bytes(b"radar data")
    moved = add_run(store, tmp_path, days(99), workflow="moved")
    for name in ("moved", "removed"):
        add_run(store, tmp_path, days(1), workflow=name)
    rules = {"workflows": ["moved"], "hot_days": 30}, {"gone_days": 30}
    settings = config(tmp_path, *rules, min_free_mb=10**12)
    assert tend(store, settings).waits
    removed = add_run(store, tmp_path, days(98), workflow="removed", inputs=(path,))
    caretaker = Caretaker(store, settings)
    assert [caretaker.mover._intend(step) for step, _ in caretaker.plan(NOW)] == [True]
    # The process ended here.
    done = tend(store, settings)
    assert "less than" in done.waits
    assert [get_run(store, run.id).tier for run in (moved, removed)] == ["hot", "gone"]
    with store.reading() as session:
        assert session.scalars(select(ProductMove.run_id)).all() == [moved.id]


def test_products_on_a_bad_sector_hold_up_no_others(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (add_run(store, tmp_path, days(age)) for age in (99, 98))
    add_run(store, tmp_path, days(1))
    settings = config(tmp_path, {"hot_days": 30})

    def fails(source: Path, goal: Path) -> None:
        if str(source).startswith(str(bad.product_dir)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        copy_file(source, goal)

    # A stand-in: a bad sector needs a device of the test's own.
    monkeypatch.setattr("dynamo.archive.folder_tier.copy_file", fails)
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            tend(store, settings)
    assert [get_run(store, run.id).tier for run in (bad, good)] == ["hot", "warm"]
    assert is_as_published(store, tmp_path)


def test_a_disk_that_fails_everything_is_left_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in range(31, 36):
        add_run(store, tmp_path, days(age))
    add_run(store, tmp_path, days(1))
    tried: list[Path] = []

    def fails(source: Path, _goal: Path) -> None:
        tried.append(source)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("dynamo.archive.folder_tier.copy_file", fails)
    monkeypatch.setattr("dynamo.archive.caretaker._MOST_FAULTS", 3)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        tend(store, config(tmp_path, {"hot_days": 30}))
    assert len(tried) == 3


def test_a_tier_without_room_is_waited_out(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [add_run(store, tmp_path, days(age)) for age in (99, 98)]
    add_run(store, tmp_path, days(1))
    settings = config(tmp_path, {"hot_days": 30})

    def full(source: Path, goal: Path) -> None:
        goal.write_bytes(source.read_bytes()[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # A stand-in: a full disk needs a file system of the test's own.
    monkeypatch.setattr("dynamo.archive.folder_tier.copy_file", full)
    done = tend(store, settings)
    assert done.moved == 0
    assert done.waits == f"{tmp_path / 'warm'}: the tier is full"
    (tmp_path / "warm").rename(tmp_path / "unmounted")
    assert "the folder is not there" in tend(store, settings).waits
    assert is_as_published(store, tmp_path)
    with store.reading() as session:
        (move,) = session.scalars(select(ProductMove)).all()
    assert move.reason.startswith("waits: ")
    monkeypatch.undo()
    (tmp_path / "unmounted").rename(tmp_path / "warm")
    assert tend(store, settings).waits == ""
    assert {get_run(store, run.id).tier for run in runs} == {"warm"}
    assert is_as_published(store, tmp_path)


def test_changed_products_are_not_moved_and_said_once(store: Store, tmp_path: Path) -> None:
    run = add_run(store, tmp_path, days(99))
    add_run(store, tmp_path, days(1))
    changed = Path(str(run.product_dir)) / "b.nc"
    changed.chmod(0o644)
    changed.write_bytes(b"gr1d")
    settings = config(tmp_path, {"hot_days": 30})
    for _ in range(2):
        assert tend(store, settings).moved == 0
    with store.reading() as session:
        reasons = session.scalars(select(RunDecision.reason).where(RunDecision.action == "stay")).all()
    assert [reason.partition(";")[0] for reason in reasons] == [f"{changed}: changed since it was published"]
    assert [*(tmp_path / "warm").rglob("*.nc")] == []


def test_what_somebody_put_beside_products_moves_along_and_is_never_removed(store: Store, tmp_path: Path) -> None:
    run = add_run(store, tmp_path, days(99))
    add_run(store, tmp_path, days(1))
    (Path(str(run.product_dir)) / "note.txt").write_text("the Fort Worth storm")
    regardless = {"gone_days": 90, "remove": "even if it cannot be made again"}
    assert tend(store, config(tmp_path, regardless)).removed == 0
    with store.transaction() as session:
        session.delete(session.get_one(ProductMove, run.id))
    assert tend(store, config(tmp_path, {"hot_days": 30})).moved == 1
    assert (Path(str(get_run(store, run.id).product_dir)) / "note.txt").read_text() == "the Fort Worth storm"
    assert tend(store, config(tmp_path, regardless)).removed == 0


def test_a_clock_that_jumps_removes_nothing_for_a_day(store: Store, tmp_path: Path) -> None:
    run = add_run(store, tmp_path, days(1))
    add_run(store, tmp_path, days(0.9))
    settings = config(tmp_path, {"gone_days": 90, "remove": "even if it cannot be made again"})
    caretaker = Caretaker(store, settings)
    assert caretaker.tend(NOW) == Tended()
    ahead = NOW + 1000 * DAY
    done = caretaker.tend(ahead)
    assert (done.removed, done.waits.partition(" (")[0]) == (0, "the clock jumped: nothing is removed for 24 h")
    assert caretaker.tend(ahead + DAY / 2).removed == 0
    # Back to what is right, which is a jump, too; nothing is due then.
    assert caretaker.tend(NOW + DAY) == Tended()
    assert has_products(get_run(store, run.id))
    assert caretaker.tend(ahead).removed == 0
    assert caretaker.tend(ahead + DAY).removed == 1, "it has gone on for a day"


def test_a_person_may_say_that_the_clock_is_right(store: Store, tmp_path: Path) -> None:
    add_run(store, tmp_path, days(1))
    add_run(store, tmp_path, days(0.9))
    caretaker = Caretaker(store, config(tmp_path, {"gone_days": 90, "remove": "even if it cannot be made again"}))
    caretaker.tend(NOW)
    assert caretaker.tend(NOW + 1000 * DAY, clock_is_right=True).removed == 1


def test_a_run_that_is_made_again_meanwhile_keeps_its_new_products(store: Store, tmp_path: Path) -> None:
    run = add_run(store, tmp_path, days(99))
    add_run(store, tmp_path, days(1))
    caretaker = Caretaker(store, config(tmp_path, {"hot_days": 30}))
    (step,) = (step for step, _ in caretaker.plan(NOW))
    assert caretaker.mover._intend(step)
    with store.transaction() as session:
        # What `reopen` does.
        again = session.get_one(type(run), run.id)
        again.state, again.product_dir, again.tier = "created", None, ""
    assert not caretaker.mover.go_on(run.id)
    with store.reading() as session:
        assert session.scalars(select(ProductMove)).all() == []
    assert publication_of(run) is not None


def test_publishing_into_a_day_that_retention_empties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a").write_bytes(b"a")
    rename: Callable[[Path, Path], Path] = Path.rename
    removed: list[Path] = []

    def meanwhile(self: Path, target: Path) -> Path:
        if not removed:
            removed.append(target.parent)
            target.parent.rmdir()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", meanwhile)
    found = publish(work, ["a"], root=tmp_path / "p", workflow="w", key="0" * 64, valid_at=START, facts={})
    assert (found.folder / "a").read_bytes() == b"a"
    assert removed
