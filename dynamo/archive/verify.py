"""Compare published files with the store and with their index: missing, changed, extra."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select

from dynamo.archive.listing import ProductFilter
from dynamo.errors import InputError
from dynamo.places.base import FilePlace, PlaceAwayError, PlaceRefusedError
from dynamo.places.opening import open_place
from dynamo.runs.ledger import run_at
from dynamo.runs.publish import INDEX, SIDECARS, Publication, read_publication
from dynamo.store.engine import Store
from dynamo.store.models import Product, Run
from dynamo.store.retention import ProductMove

Wrong = Literal["missing", "changed", "extra"]
#: Runs read at a time.
_BATCH = 200


@dataclass(frozen=True)
class Damage:
    """One file or folder that is not as it was published."""

    run: str
    path: str
    problem: Wrong
    detail: str


@dataclass(frozen=True)
class Verified:
    """One publication that was looked at, its number of files, and what is wrong with it."""

    run: str
    files: int
    findings: tuple[Damage, ...]


def count_publications(store: Store, which: ProductFilter) -> int:
    """Return how many publications `verify` will look at."""
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(Run).where(*which.conditions())) or 0


def verify(store: Store, which: ProductFilter) -> Iterator[Verified]:
    """Read every file of the chosen publications and compare it with the store and the index."""
    last = ""
    while True:
        with store.reading() as session:
            query = select(Run).where(*which.conditions(), Run.id > last).order_by(Run.id).limit(_BATCH)
            runs = session.scalars(query).all()
            rows: dict[str, list[Product]] = {run.id: [] for run in runs}
            for row in session.scalars(select(Product).where(Product.run_id.in_(rows)).order_by(Product.id)):
                rows[row.run_id].append(row)
        for run in runs:
            found = verify_run(run, rows[run.id])
            # Moved or made again while it was read: what the store says now counts.
            yield found if not found.findings else _again(store, run, found)
        if len(runs) < _BATCH:
            return
        last = runs[-1].id


def verify_run(run: Run, rows: list[Product]) -> Verified:
    """Compare the product folder of one run with its rows in the store."""
    stored = {row.lfn: (row.sha256, row.bytes) for row in rows}
    place = open_place(run.product_dir or "")
    try:
        found = [_check_file(run.id, place, lfn, *facts) for lfn, facts in stored.items()]
        found += _check_index(run, place, stored)
        found += [
            Damage(run.id, f"{place.location}/{name}", "extra", "not published by DyNamo")
            for name in place.names()
            if name not in {*stored, *SIDECARS}
        ]
    except (PlaceAwayError, PlaceRefusedError) as error:
        # What cannot be looked at is not as published, as far as anybody knows.
        found = [Damage(run.id, place.location, "missing", f"cannot be read: {error}")]
    return Verified(run.id, len(stored) + 1, tuple(item for item in found if item is not None))


def strays(root: Path, store: Store) -> Iterator[Damage]:
    """Find product folders in ``root`` that are no run's: of a lost store, or left by somebody else."""
    for workflow in sorted(root.glob("[!.]*")):
        for folder in sorted(workflow.glob("[0-9]*/*-*")):
            with store.reading() as session:
                run = run_at(session, folder)
                on_its_way = run is not None and (
                    run.state != "succeeded" or session.get(ProductMove, run.id) is not None
                )
            if folder.is_dir() and not on_its_way and (run is None or run.product_dir != str(folder)):
                yield Damage("" if run is None else run.id, str(folder), "extra", _stray(run))


def files_in(folder: Path) -> list[Path]:
    """Return everything in a folder that is not a folder, at any depth, sorted."""
    return sorted(Path(parent) / name for parent, _, names in os.walk(folder) for name in names)


def _stray(run: Run | None) -> str:
    return "no run in the store published it" if run is None else f"the store says {run.product_dir or 'gone'}"


def _again(store: Store, run: Run, before: Verified) -> Verified:
    with store.reading() as session:
        now = session.get(Run, run.id)
        rows = list(session.scalars(select(Product).where(Product.run_id == run.id).order_by(Product.id)))
    if now is None or now.product_dir is None:
        return Verified(run.id, 0, ())
    same = (now.product_dir, now.published_at) == (run.product_dir, run.published_at)
    return before if same else verify_run(now, rows)


def _check_file(run: str, place: FilePlace, lfn: str, sha256: str, size: int) -> Damage | None:
    path = f"{place.location}/{lfn}"
    try:
        if (found := place.size(lfn)) != size:
            return Damage(run, path, "changed", f"has {found} bytes, not {size}")
        if place.sha256(lfn) != sha256:
            return Damage(run, path, "changed", "its checksum is another")
    except (FileNotFoundError, NotADirectoryError):
        return Damage(run, path, "missing", "")
    except OSError as error:
        return Damage(run, path, "missing", f"cannot be read: {error.strerror}")
    return None


def _check_index(run: Run, place: FilePlace, stored: Mapping[str, tuple[str, int]]) -> list[Damage]:
    path = f"{place.location}/{INDEX}"
    try:
        index: Publication | None = read_publication(place.location, run.key)
    except (InputError, OSError) as error:
        return [Damage(run.id, path, "changed", str(error).removeprefix(f"{path}: "))]
    if index is None:
        return [Damage(run.id, path, "missing", "")]
    listed = {item.lfn: (item.sha256, item.bytes) for item in index.products}
    differ = sorted(lfn for lfn in {*listed, *stored} if listed.get(lfn) != stored.get(lfn))
    return [Damage(run.id, path, "changed", f"disagrees with the store on {', '.join(differ)}")] if differ else []
