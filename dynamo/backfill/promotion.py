"""Promotion: what a backfill published beside the current products becomes current, one transaction for each batch.

Each publication first gets a second folder among the current products, of links to the same files, or of copies if it
is in a bucket. Then the store is told, and only then is the folder beside removed: whoever reads sees the old products
or the new, each whole. A promotion that was cut off goes on where it was.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from dynamo.backfill.control import find_backfill
from dynamo.backfill.states import ACTIVE
from dynamo.errors import InputError, UsageError
from dynamo.files import sha256_file
from dynamo.places.opening import as_folder
from dynamo.runs.folder import borrowed
from dynamo.runs.keys import run_key
from dynamo.runs.ledger import decide
from dynamo.runs.provenance.prov import prov_json
from dynamo.runs.publish import (
    Publication,
    is_whole,
    line_folder,
    publish,
    read_publication,
    remove_empty,
    repair_latest,
)
from dynamo.runs.series import CURRENT, count_publication, slot_of, withdraw
from dynamo.runs.service import RunService, publication_of
from dynamo.store.backfills import Backfill
from dynamo.store.models import Product, Run, StoredDocument
from dynamo.store.retention import COPIED, ProductMove
from dynamo.times import utc_now

_BATCH = 20
#: In the products folder: copies of products from a bucket, on the file system where they will be.
_FETCHED = ".fetched"


@dataclass(frozen=True)
class Promoted:
    """How many runs became current, and how many could not.

    Attributes
    ----------
    runs
        Current now.
    gone
        Left out because their products are gone, or not as they were published.
    busy
        Left out because another process is at work on them, such as retention; a repetition takes them.
    """

    runs: int
    gone: int
    busy: int


@dataclass(frozen=True)
class _Move:
    """One run on its way: the key and the folder it gets."""

    run: str
    key: str
    publication: Publication


def promote(service: RunService, name: str, progress: Callable[[int], object] = lambda _: None) -> Promoted:
    """Make the products of a backfill current; ``progress`` is told how many are done.

    Raises
    ------
    NotFoundError, UsageError
        If there is no such backfill, it published nothing beside the current products, or it is still at work.
    """
    with service.store.reading() as session:
        row = find_backfill(session, name)
    if not row.variant:
        raise UsageError("its products are the current ones", where=row.id, expected="a backfill started with --as")
    if row.state == ACTIVE:
        raise UsageError("it is still at work", where=row.id, expected="a backfill that is done or paused")
    done = gone = busy = 0
    after: tuple[datetime, str] | None = None
    while True:
        with service.store.reading() as session:
            runs = _runs(session, row, after)
        if not runs:
            break
        last = runs[-1]
        after = (slot_of(last), last.id)
        with contextlib.ExitStack() as held:
            # As long as we hold them, retention moves none of them, and nobody else promotes them.
            free = [run for run in runs if held.enter_context(borrowed(Path(run.run_dir)))]
            moves = [move for run in free if (move := _prepared(service, run)) is not None]
            busy += len(runs) - len(free)
            gone += len(free) - len(moves)
            done += _commit(service, row, moves)
        progress(done)
    _sweep(service, row)
    with service.store.transaction() as session:
        found = session.get_one(Backfill, row.id, with_for_update=True)
        found.promoted_at = found.updated_at = utc_now()
        reason = f"{done} runs made current, {gone} without products, {busy} busy"
        decide(session, f"backfill {row.id}", "promote", reason)
    return Promoted(done, gone, busy)


def _runs(session: Session, row: Backfill, after: tuple[datetime, str] | None) -> Sequence[Run]:
    """Return the next runs to promote, of this line and range: an earlier backfill may have made some of them."""
    query = select(Run).where(
        Run.workflow == row.workflow,
        Run.trigger == row.trigger,
        Run.variant == row.variant,
        Run.standing == CURRENT,
        Run.valid_at >= row.since,
        Run.valid_at < row.until,
    )
    if row.radars:
        query = query.where(or_(Run.radar == "", func.upper(Run.radar).in_(row.radars)))
    if after is not None:
        query = query.where(or_(Run.valid_at > after[0], and_(Run.valid_at == after[0], Run.id > after[1])))
    return session.scalars(query.order_by(Run.valid_at, Run.id).limit(_BATCH)).all()


def _prepared(service: RunService, run: Run) -> _Move | None:
    """Give a run's products their folder among the current ones; None if they are gone or were changed."""
    try:
        found = publication_of(run)
    except InputError:
        return None
    if found is None or not is_whole(found):
        return None
    service.check_disk()
    key = _plain_key(service, run)
    facts = {name: value for name, value in found.index.items() if name not in ("key", "products")}
    lfns, root = [item.lfn for item in found.products], service.settings.products_dir
    with as_folder(found.place, lfns, root / _FETCHED / run.key) as folder:
        if any(sha256_file(folder / item.lfn) != item.sha256 for item in found.products):
            return None
        publication = publish(
            folder,
            lfns,
            root=root,
            workflow=line_folder(run.workflow, ""),
            key=key,
            valid_at=slot_of(run),
            facts=facts,
            fsync=service.settings.fsync,
            old=True,
            describe_origin=prov_json if service.settings.prov else None,
        )
    return _Move(run.id, key, publication)


def _plain_key(service: RunService, run: Run) -> str:
    """Return the key the run would have without its variant, so that it is found as the same work; else its own."""
    with service.store.reading() as session:
        workflow = service.planner.from_body(session.get_one(StoredDocument, run.document).body)
        sums: dict[str, list[str]] = {}
        for item in run.inputs:
            sums.setdefault(item["port"], []).append(item["sha256"])

        def key(variant: str) -> str:
            return run_key(
                run.workflow,
                run.version,
                run.document,
                sums,
                run.parameters,
                modules=workflow.modules,
                variant=variant,
            )

        # With other modules installed since then, it is not what a run would make now.
        plain = key("")
        taken = session.scalar(select(Run.id).where(Run.key == plain)) is not None
        return run.key if taken or key(run.variant) != run.key else plain


def _commit(service: RunService, row: Backfill, moves: Sequence[_Move]) -> int:
    """Make prepared runs current in one transaction, then remove their folders beside; return how many."""
    left: list[Path] = []
    promoted = 0
    with service.store.transaction() as session:
        for move in moves:
            run = session.get_one(Run, move.run, with_for_update=True)
            taken = move.key != run.key and session.scalar(select(Run.id).where(Run.key == move.key)) is not None
            if run.variant != row.variant or run.standing != CURRENT or taken:
                continue
            folder, now = move.publication.folder, utc_now()
            if run.tier == "warm":
                # In place of a move that waits. What one to the warm tier has not removed yet is swept up.
                session.merge(_leaving(run, str(folder), now))
            elif run.product_dir is not None:
                left.append(Path(run.product_dir))
            withdraw(session, run)
            promoted += 1
            run.key, run.variant, run.product_dir, run.published_at = move.key, "", str(folder), now
            run.tier = "hot"
            session.flush()
            products = session.scalars(select(Product).where(Product.run_id == run.id)).all()
            for product in products:
                product.path = str(folder / product.lfn)
            count_publication(session, run, sum(product.bytes for product in products))
            decide(session, run.id, "promote", f"backfill {row.id}: no longer published as {row.variant}")
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return promoted


def _leaving(run: Run, target: str, now: datetime) -> ProductMove:
    """Return a move from the warm tier that lacks only its last step: retention removes what is there."""
    return ProductMove(
        run_id=run.id,
        source=run.product_dir or "",
        target=target,
        tier="hot",
        state=COPIED,
        rule="promotion",
        bytes=run.bytes,
        created_at=now,
        updated_at=now,
    )


def _sweep(service: RunService, row: Backfill) -> None:
    """Remove the folders beside that a killed promotion left."""
    base = service.settings.products_dir / line_folder(row.workflow, row.variant)
    if not base.is_dir():
        return
    for path in base.glob("[0-9]*/*-*"):
        try:
            found = read_publication(path)
        except (InputError, OSError):
            continue
        if found is None:
            continue
        with service.store.reading() as session:
            run = session.get(Run, str(found.index.get("run")))
        if run is not None and run.variant != row.variant and run.product_dir != str(path):
            shutil.rmtree(path, ignore_errors=True)
    repair_latest(base)
    remove_empty(base)
