"""Move the products of runs to another tier, or remove them, so that a kill at any point loses or doubles nothing.

Each move is a row in the store before anything happens, and each of its steps can be repeated:

1. ``intended``: the copy is made in the tier, whole or not at all, and checked.
2. ``copied``: in one transaction the run says that its products are there. What is at the source is now surplus.
3. The source is removed, and then the row.

A removal goes from 1 to 3. Whoever works on a run holds its lock, so that no step of a move meets one of an execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dynamo.archive.folder_tier import remove_folder
from dynamo.archive.remaking import why_not
from dynamo.archive.tiers import Tier, TierAwayError, TierFullError, waited_out
from dynamo.errors import DynamoError, InputError, RetryableError, passes
from dynamo.places.opening import open_place
from dynamo.runs.folder import borrowed, leave_none
from dynamo.runs.ledger import decide
from dynamo.runs.publish import SIDECARS, links_to
from dynamo.runs.series import withdraw
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Product, Run
from dynamo.store.retention import COPIED, INTENDED, REFUSED, ProductMove
from dynamo.times import utc_now

To = Literal["warm", "gone"]


@dataclass(frozen=True)
class DueStep:
    """What is to be done with the products of one run.

    Attributes
    ----------
    run, workflow, bytes
        The run, and the size of its products.
    source, frm, to
        Where they are now, and in which tier; to which they go.
    rule, why
        The rule that says so, and in words what it says.
    regardless
        Remove them even if they cannot be made again.
    """

    run: str
    workflow: str
    bytes: int
    source: str
    frm: str
    to: To
    rule: str
    why: str
    regardless: bool = False


class Mover:
    """Carries out moves.

    Parameters
    ----------
    store, products_dir
        The store, and the folder of hot products.
    tier
        The warm tier, if there is one.
    """

    def __init__(self, store: Store, products_dir: Path, tier: Tier | None) -> None:
        self._store = store
        self._products_dir = products_dir
        self._tier = tier

    def move(self, step: DueStep) -> bool:
        """Store a move and carry it out; return whether it was done to its end.

        Raises
        ------
        TierFullError
            If the tier has no room; the move waits for the next time.
        OSError, RetryableError
            If a disk or the store fails; the move waits as well.
        """
        return self._intend(step) and self.go_on(step.run)

    def unfinished(self) -> Sequence[ProductMove]:
        """Return the moves that were cut off or wait for room, the oldest first."""
        with self._store.reading() as session:
            query = select(ProductMove).where(ProductMove.state != REFUSED).order_by(ProductMove.created_at)
            return session.scalars(query).all()

    def needs_room(self, move: ProductMove) -> bool:
        """Return whether a move is to write to the warm tier."""
        return move.tier == "warm" and move.state == INTENDED

    def needs_tier(self, move: ProductMove) -> bool:
        """Return whether a move is to write to the warm tier, or to remove from it."""
        return self.needs_room(move) or not Path(move.source).is_relative_to(self._products_dir)

    def forget_refused(self) -> None:
        """Let moves that were refused be tried again."""
        with self._store.transaction() as session:
            session.execute(delete(ProductMove).where(ProductMove.state == REFUSED))

    def go_on(self, run_id: str) -> bool:
        """Carry out a stored move from where it is; return whether it was done to its end. Raises as `move`."""
        with self._store.reading() as session:
            found = session.get(Run, run_id)
        if found is None:
            self._forget(run_id)
            return False
        with borrowed(Path(found.run_dir)) as free:
            # Somebody works on the run: its products are about to be made again.
            return free and self._take(run_id)

    def _intend(self, step: DueStep) -> bool:
        target = ""
        if step.to == "warm":
            if self._tier is None:
                raise InputError("no warm tier to move to", where="retention.warm")
            target = self._tier.location("/".join(Path(step.source).parts[-3:]))
        now = utc_now()
        with self._store.transaction() as session:
            run = session.get(Run, step.run)
            if run is None or (run.state, run.product_dir, run.tier) != ("succeeded", step.source, step.frm):
                return False
            problem = "" if step.to == "warm" or step.regardless else why_not(session, run)
            return not problem and insert_new(
                session,
                ProductMove,
                run_id=step.run,
                source=step.source,
                target=target,
                tier=step.to,
                state=INTENDED,
                rule=step.rule,
                reason=step.why,
                bytes=step.bytes,
                created_at=now,
                updated_at=now,
            )

    def _take(self, run_id: str) -> bool:
        with self._store.reading() as session:
            move, run = session.get(ProductMove, run_id), session.get_one(Run, run_id)
        if move is None or move.state == REFUSED:
            return False
        if run.state != "succeeded" or run.product_dir != (move.target if move.state == COPIED else move.source):
            self._abandon(move, run)
            return False
        if move.state == INTENDED and links_to(Path(move.source)):
            # Since it was planned; it moves when there is something newer.
            self._forget(run_id)
            return False
        try:
            self._require_ours(move)
            if move.tier == "warm" and move.state == INTENDED:
                self._copy(move)
            self._remove(move.source)
        except TierFullError as error:
            self._say(move, INTENDED, f"waits: {error}")
            raise
        except (DynamoError, OSError) as error:
            if passes(error) or isinstance(error, RetryableError):
                raise
            self._say(move, REFUSED, str(error))
            return False
        # While the row is there, whoever goes on after a kill comes by here again.
        leave_none(Path(run.run_dir))
        self._finish(move)
        return True

    def _require_ours(self, move: ProductMove) -> None:
        """Check that nothing would be lost that is not ours to remove."""
        if move.tier != "gone":
            return
        with self._store.reading() as session:
            lfns = session.scalars(select(Product.lfn).where(Product.run_id == move.run_id)).all()
        with waited_out():
            strange = [name for name in open_place(move.source).names() if name not in {*SIDECARS, *lfns}]
        if strange:
            where = f"{move.source}/{strange[0]}"
            raise InputError("not published by DyNamo", where=where, hint="move it away, or the folder stays")

    def _copy(self, move: ProductMove) -> None:
        if self._tier is None:
            raise TierAwayError("there is no warm tier any more", where="retention.warm")
        target = self._tier.put(Path(move.source), "/".join(Path(move.source).parts[-3:]))
        with self._store.transaction() as session:
            session.execute(
                update(Run)
                .where(Run.id == move.run_id, Run.state == "succeeded", Run.product_dir == move.source)
                .values(product_dir=target, tier="warm")
            )
            for product in session.scalars(select(Product).where(Product.run_id == move.run_id)):
                product.path = f"{target}/{product.lfn}"
            session.execute(
                update(ProductMove)
                .where(ProductMove.run_id == move.run_id)
                .values(state=COPIED, target=target, reason="", updated_at=utc_now())
            )

    def _remove(self, location: str) -> None:
        folder = Path(location)
        if folder.is_relative_to(self._products_dir):
            remove_folder(folder, self._products_dir / ".removed")
        elif self._tier is not None:
            self._tier.remove(location)
        else:
            raise TierAwayError("there is no warm tier any more", where="retention.warm")

    def _finish(self, move: ProductMove) -> None:
        with self._store.transaction() as session:
            if move.tier == "gone":
                run = session.get(Run, move.run_id)
                if run is not None and (run.state, run.product_dir) == ("succeeded", move.source):
                    withdraw(session, run)
                gone = session.execute(
                    update(Run)
                    .where(Run.id == move.run_id, Run.state == "succeeded", Run.product_dir == move.source)
                    .values(product_dir=None, tier="gone", bytes=0)
                    .returning(Run.id)
                ).first()
                if gone is not None:
                    session.execute(delete(Product).where(Product.run_id == move.run_id))
            action, where = ("remove", "") if move.tier == "gone" else ("move", f" to {move.target}")
            reason = f"products{where}: rule {move.rule}"
            decide(session, move.run_id, action, reason, source=move.source, bytes=move.bytes)
            session.execute(delete(ProductMove).where(ProductMove.run_id == move.run_id))

    def _abandon(self, move: ProductMove, run: Run) -> None:
        """Give up a move of products that were made again meanwhile; a copy that no run has is removed."""
        if move.target and run.product_dir != move.target and self._tier is not None:
            self._tier.remove(move.target)
        with self._store.transaction() as session:
            decide(session, move.run_id, "stay", "its products were made again while they were moved", rule=move.rule)
            session.execute(delete(ProductMove).where(ProductMove.run_id == move.run_id))

    def _say(self, move: ProductMove, state: str, reason: str) -> None:
        with self._store.transaction() as session:
            session.execute(
                update(ProductMove)
                .where(ProductMove.run_id == move.run_id)
                .values(state=state, reason=reason, updated_at=utc_now())
            )
            if state == REFUSED:
                decide(session, move.run_id, "stay", reason, rule=move.rule)

    def _forget(self, run_id: str) -> None:
        with self._store.transaction() as session:
            session.execute(delete(ProductMove).where(ProductMove.run_id == run_id))


def moves_of(session: Session) -> Sequence[ProductMove]:
    """Return the moves that are under way, wait, or were refused, the oldest first."""
    return session.scalars(select(ProductMove).order_by(ProductMove.created_at, ProductMove.run_id)).all()
