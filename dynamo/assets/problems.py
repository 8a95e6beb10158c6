"""Problems: each opens once and closes once, stored together with the messages to the operators about it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dynamo.assets.freshness import Freshness
from dynamo.assets.watched import States
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.problems import ProblemRecord
from dynamo.times import to_iso

_log = logging.getLogger("dynamo.assets")
#: What messages about problems have in place of a hazard.
HAZARD = "problem"
_EXPIRE = timedelta(hours=24)
_LONGEST_SUBJECT = 400
_LONGEST_PLACE = 200


class ProblemBook:
    """The stored problems.

    Parameters
    ----------
    store
        The store.
    channels
        Names of the operators' channels.
    """

    def __init__(self, store: Store, channels: Sequence[str] = ()) -> None:
        self._store = store
        self._channels = tuple(channels)

    def settle(self, states: States, now: datetime, *, may_open: bool = True) -> int:
        """Open and close problems so that they agree with the states; return how many changed.

        Parameters
        ----------
        states
            Of everything that is watched; a problem of anything else is over.
        now
            The clock.
        may_open
            Whether new problems count; those that are open end in any case.

        Raises
        ------
        StoreUnavailableError
            If the store is unavailable; nothing is lost, because the next call comes to the same result.
        """
        # By the name that is stored: one that was cut must be known again at the next look.
        reasons = {str(subject)[:_LONGEST_SUBJECT]: found for subject, found in states.items()}
        bad = {subject: found for subject, found in reasons.items() if found.is_problem(now)}
        with self._store.reading() as session:
            known = {problem.subject: problem for problem in open_problems(session)}
        changed = 0
        for subject in sorted(bad.keys() - known.keys()) if may_open else ():
            with self._store.transaction() as session:
                changed += self._open(session, subject, bad[subject], now)
        for subject, problem in sorted(known.items()):
            if subject not in bad:
                with self._store.transaction() as session:
                    changed += self._close(session, problem, _ending(reasons, subject), now)
            elif problem.kind != bad[subject].state:
                with self._store.transaction() as session:
                    self._rename(session, problem, bad[subject])
        return changed

    def tidy(self, before: datetime) -> None:
        """Remove problems that closed before a time, and the messages about them."""
        with self._store.transaction() as session:
            old = select(AlertMessage.id).where(AlertMessage.hazard == HAZARD, AlertMessage.created_at < before)
            session.execute(delete(AlertDelivery).where(AlertDelivery.message_id.in_(old)))
            session.execute(delete(AlertMessage).where(AlertMessage.hazard == HAZARD, AlertMessage.created_at < before))
            session.execute(delete(ProblemRecord).where(ProblemRecord.closed_at < before))

    def _open(self, session: Session, subject: str, found: Freshness, now: datetime) -> bool:
        values = {"kind": str(found.state), "reason": found.reason, "told": bool(self._channels)}
        # The index lets one process open it, whoever else looks at the same time.
        if not insert_new(session, ProblemRecord, subject=subject, opened_at=now, closed_at=None, ending="", **values):
            return False
        problem = session.scalars(
            select(ProblemRecord).where(ProblemRecord.subject == subject, ProblemRecord.closed_at.is_(None))
        ).one()
        self._tell(session, problem, "start", f"{subject} is {found.state}: {found.reason}", now)
        _log.warning("problem", extra={"subject": subject, "state": str(found.state), "reason": found.reason})
        return True

    def _close(self, session: Session, problem: ProblemRecord, ending: str, now: datetime) -> bool:
        still_open = ProblemRecord.id == problem.id, ProblemRecord.closed_at.is_(None)
        closed = session.execute(
            update(ProblemRecord).where(*still_open).values(closed_at=now, ending=ending).returning(ProblemRecord.id)
        ).first()
        if closed is None:
            return False
        if problem.told:
            self._tell(session, problem, "over", f"{problem.subject} is no longer {problem.kind}: {ending}", now)
        _log.info("problem over", extra={"subject": problem.subject, "reason": ending})
        return True

    @staticmethod
    def _rename(session: Session, problem: ProblemRecord, found: Freshness) -> None:
        """Note that a problem is another one by now, such as silent after late: it stays the same problem."""
        values = {"kind": str(found.state), "reason": found.reason}
        session.execute(
            update(ProblemRecord)
            .where(ProblemRecord.id == problem.id, ProblemRecord.closed_at.is_(None))
            .values(values)
        )

    def _tell(self, session: Session, problem: ProblemRecord, kind: str, text: str, now: datetime) -> None:
        """Store a message for each operators' channel; a courier sends it."""
        if not self._channels:
            return
        opened = to_iso(problem.opened_at)
        key = hashlib.sha256(f"{problem.id} {problem.subject} {opened} {kind}".encode()).hexdigest()[:32]
        facts = {"id": problem.id, "subject": problem.subject, "state": problem.kind, "opened_at": opened}
        message = AlertMessage(
            key=key,
            place=problem.subject[:_LONGEST_PLACE],
            hazard=HAZARD,
            event=problem.id,
            kind=kind,
            text=text,
            payload={"key": key, "kind": kind, "hazard": HAZARD, "text": text, "created_at": to_iso(now), **facts},
            created_at=now,
            expires_at=now + _EXPIRE,
        )
        session.add(message)
        session.flush()
        common = {"state": "waiting", "attempts": 0, "error": "", "next_at": now, "updated_at": now}
        session.add_all(AlertDelivery(message_id=message.id, channel=name, **common) for name in self._channels)


def open_problems(session: Session) -> Sequence[ProblemRecord]:
    """Return the problems that are open, the oldest first."""
    query = (
        select(ProblemRecord)
        .where(ProblemRecord.closed_at.is_(None))
        .order_by(ProblemRecord.opened_at, ProblemRecord.id)
    )
    return session.scalars(query).all()


def _ending(states: Mapping[str, Freshness], subject: str) -> str:
    found = states.get(subject)
    return "it is no longer watched" if found is None else f"{found.state}, {found.reason}"
