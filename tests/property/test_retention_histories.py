"""Random histories of publishing, aging, losing inputs, moving and removing, killed anywhere, against a small model.

Whatever happens, products are lost only as a rule allows, are in one place, and nothing is left that nobody owns.

A kill is an exception that no handler survives: once it was raised, every later commit or change of a file raises it
again, so that no cleanup runs, as after SIGKILL. ``DYNAMO_HISTORIES=10000`` runs more histories.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, update

from dynamo.archive import folder_tier
from dynamo.archive.caretaker import Caretaker
from dynamo.archive.verify import verify_run
from dynamo.config.file import Config, parse_config
from dynamo.runs.ledger import reopen
from dynamo.runs.service import has_products
from dynamo.store import engine as opening
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Product, Run
from dynamo.store.retention import ProductMove
from tests.unit.archive.published_runs import START, add_run, described, new_store, publish_again

HISTORIES = int(os.environ.get("DYNAMO_HISTORIES", "10"))
HOT_DAYS, GONE_DAYS, ROWS_DAYS = 10.0, 30.0, 60.0
#: The workflow whose old products may be removed, and the one whose are only moved.
REMOVED, MOVED = "removed", "moved"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose stores are all opened with one engine: statements are compiled once, not in every history.

    An engine keeps no more than that of a process that died: closing its store closes its connections.
    """
    monkeypatch.setattr(opening, "_sqlite", functools.cache(opening._sqlite))
    return tmp_path / "world"


class Killed(BaseException):
    """The process is gone."""


class Points:
    """Counts commits and changes of files, and kills at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self._left = kill_at
        self.dead = False

    def reached(self, half: Callable[[], object] = lambda: None) -> None:
        """Pass a point, or die there after ``half`` of what comes next."""
        if not self.dead and self._left is not None:
            self._left -= 1
            if self._left == 0:
                half()
                self.dead = True
        if self.dead:
            raise Killed


@contextlib.contextmanager
def deadly(points: Points, store: Store) -> Iterator[None]:
    """Make every commit and change of a file a point."""

    def commit(_connection: Any) -> None:
        points.reached()

    rmtree, copy = shutil.rmtree, folder_tier.copy_file  # type: ignore[attr-defined]

    def remove(path: Any, **options: Any) -> None:
        def half() -> None:
            for file in sorted(Path(path).rglob("*.nc"))[:1]:
                file.unlink()

        points.reached(half)
        rmtree(path, **options)

    def copied(source: Path, goal: Path) -> None:
        points.reached(lambda: goal.write_bytes(source.read_bytes()[:1]))
        copy(source, goal)

    def pointed(call: Callable[..., Any]) -> Callable[..., Any]:
        def both(*arguments: Any, **options: Any) -> Any:
            points.reached()
            return call(*arguments, **options)

        return both

    with contextlib.ExitStack() as patched:
        for name in ("rename", "replace", "rmdir", "mkdir", "chmod"):
            patched.enter_context(mock.patch.object(Path, name, pointed(getattr(Path, name))))
        patched.enter_context(mock.patch.object(shutil, "rmtree", remove))
        patched.enter_context(mock.patch.object(folder_tier, "copy_file", copied))
        event.listen(store.engine, "commit", commit)
        patched.callback(event.remove, store.engine, "commit", commit)
        yield


@dataclass
class World:
    """A store and its folders, and the model: which runs there are, and which may be gone."""

    folder: Path
    now: float = 0.0
    room: bool = True
    #: Run, workflow, input, and the day on which it was published (again).
    runs: dict[str, tuple[str, Path, float]] = field(default_factory=dict)
    may_be_gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "warm").mkdir(parents=True)
        new_store(self.folder).close()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Store]:
        store = open_store(self.folder / "store.sqlite")
        try:
            yield store
        finally:
            store.close()

    def config(self) -> Config:
        rules = [
            {"name": "a", "workflows": [REMOVED], "hot_days": HOT_DAYS, "gone_days": GONE_DAYS},
            {"name": "b", "hot_days": HOT_DAYS},
        ]
        warm = {"kind": "folder", "path": "warm", "min_free_mb": 0 if self.room else 10**12}
        retention = {"rules": rules, "warm": warm, "runs_days": ROWS_DAYS}
        return parse_config(
            {"folders": {"state": "."}, "runs": {"fsync": False}, "retention": retention}, base=self.folder
        )

    # -- what may happen

    def publish(self, workflow: str) -> None:
        number = len(self.runs)
        path = self.folder / f"input{number}"
        path.write_bytes(b"%d" % number)
        at = START + timedelta(days=self.now, seconds=number)
        with self.opened() as store:
            run = add_run(
                store,
                self.folder,
                number,
                workflow=workflow,
                inputs=(path,),
                valid_at=at,
                published_at=at,
                updated_at=at,
            )
        self.runs[run.id] = workflow, path, self.now

    def pass_days(self, days: float) -> None:
        self.now += days

    def lose_input(self, number: int) -> None:
        if self.runs:
            _, path, _ = list(self.runs.values())[number % len(self.runs)]
            path.unlink(missing_ok=True)

    def fill_or_empty(self) -> None:
        self.room = not self.room

    def tend(self, kill_at: int | None) -> None:
        """Do a pass of retention, killed at a point, and what the next process does then."""
        at = self.now + 1 / 24
        self.may_be_gone |= {
            run
            for run, (workflow, path, day) in self.runs.items()
            if workflow == REMOVED and at - day > GONE_DAYS and path.exists()
        }
        last = Points(None)
        for points in (Points(kill_at), last):
            with self.opened() as store:
                with contextlib.suppress(Killed), deadly(points, store):
                    Caretaker(store, self.config()).tend(START + timedelta(days=at), clock_is_right=True)
                points.dead = False
                self.nothing_is_lost(store)
                if points is last:
                    self.nothing_is_left(store)

    def make_again(self, number: int) -> None:
        """Do what a retry of a run whose products are gone does."""
        if not self.runs:
            return
        run_id = list(self.runs)[number % len(self.runs)]
        workflow, path, _ = self.runs[run_id]
        with self.opened() as store:
            with store.reading() as session:
                run = session.get(Run, run_id)
            if run is None or has_products(run) or not path.exists():
                return
            with store.transaction() as session:
                assert reopen(session, run_id)
                session.execute(update(Run).where(Run.id == run_id).values(inputs=[described(path)]))
            publish_again(store, self.folder, run, START + timedelta(days=self.now))
        self.runs[run_id] = workflow, path, self.now
        self.may_be_gone.discard(run_id)

    # -- what must always be so

    def nothing_is_lost(self, store: Store) -> None:
        with store.reading() as session:
            there = {run.id: run for run in session.scalars(select(Run))}
            going = set(session.scalars(select(ProductMove.run_id).where(ProductMove.tier == "gone")))
            rows: dict[str, list[Product]] = {run: [] for run in there}
            for row in session.scalars(select(Product)):
                rows[row.run_id].append(row)
        for run_id in self.runs:
            run = there.get(run_id)
            if run is None or run.tier == "gone" or run_id in going:
                assert run_id in self.may_be_gone, f"{run_id} was removed, and no rule allows it"
                continue
            assert verify_run(run, rows[run_id]).findings == ()
            assert {row.path for row in rows[run_id]} == {f"{run.product_dir}/{row.lfn}" for row in rows[run_id]}

    def nothing_is_left(self, store: Store) -> None:
        with store.reading() as session:
            runs = session.scalars(select(Run)).all()
            moves = session.scalars(select(ProductMove)).all()
            orphans = session.scalars(select(Product.id).where(Product.run_id.not_in(select(Run.id)))).all()
        left = [(step, why) for step, why in Caretaker(store, self.config()).plan(START + timedelta(days=self.now))]
        found = {path.parent for top in ("products", "warm") for path in (self.folder / top).rglob("index.json")}
        assert found == {Path(run.product_dir) for run in runs if run.product_dir}
        assert orphans == []
        waits = not self.room
        assert [move.reason for move in moves if not (waits and move.tier == "warm")] == []
        assert [step for step, why in left if not why and not (waits and step.to == "warm")] == []
        hidden = [
            path
            for top in ("products", "warm")
            for name in (".staging", ".removed")
            for path in (self.folder / top).rglob(f"{name}/*")
        ]
        assert hidden == []
        assert list((self.folder / "runs").glob("*")) == []
        for run in runs:
            assert (run.tier == "gone") == (run.product_dir is None) == (not has_products(run))


STEPS = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from([REMOVED, MOVED])),
    st.tuples(st.just("pass_days"), st.sampled_from([3.0, 12.0, 25.0, 70.0])),
    st.tuples(st.just("tend"), st.one_of(st.none(), st.integers(1, 60))),
    st.tuples(st.just("lose_input"), st.integers(0, 5)),
    st.tuples(st.just("make_again"), st.integers(0, 5)),
    st.tuples(st.just("fill_or_empty")),
)


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_products_are_lost_only_as_rules_allow_whatever_is_killed(folder: Path, history: list[tuple[Any, ...]]) -> None:
    world = World(folder)
    # Enough for every history to have something to do.
    for step in [("publish", REMOVED), ("publish", MOVED), ("publish", REMOVED), *history, ("tend", None)]:
        name, *arguments = step
        getattr(world, name)(*arguments)


@pytest.mark.slow
def test_killed_at_the_points_of_a_move_and_of_a_removal_in_order(folder: Path) -> None:
    """The histories above are random: this one goes through the points in order."""
    for days in (12.0, 35.0):
        # With more histories every point, otherwise one in four.
        for point in range(1, 200, 1 if HISTORIES > 100 else 4):
            world = World(folder)
            for workflow in (REMOVED, REMOVED):
                world.publish(workflow)
            world.pass_days(days)
            points = Points(point)
            with world.opened() as store, contextlib.suppress(Killed), deadly(points, store):
                Caretaker(store, world.config()).tend(START + timedelta(days=world.now), clock_is_right=True)
            died = points.dead
            world.tend(None)
            if not died:
                break
        assert point > 10
