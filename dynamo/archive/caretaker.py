"""One pass of retention: finish moves that were cut off, carry out the rules, prune rows, free space."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import update

from dynamo.archive.moving import DueStep, Mover
from dynamo.archive.pruning import prune
from dynamo.archive.remaking import why_not
from dynamo.archive.rules import beyond, due
from dynamo.archive.tiers import TierAwayError, TierFullError, make_tier
from dynamo.config.file import Config
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Cursor, Run
from dynamo.store.space import free_space
from dynamo.times import CLOCK_TOLERANCE, in_words, parse_time, to_iso, utc_now

_log = logging.getLogger("dynamo.retention")
_CURSOR = "retention clock"
#: Moves that a file system fails in one pass, before it is taken to fail them all.
_MOST_FAULTS = 10
#: A clock that is further from that of the last pass may have jumped, and is believed after as long again.
_JUMP, _PROOF = timedelta(days=2), timedelta(days=1)


@dataclass
class Tended:
    """What a pass did.

    Attributes
    ----------
    moved, removed, bytes
        Publications moved to the warm tier and removed, and the bytes that left the place where they were.
    kept
        Publications that are due for removal but cannot be made again, or have a move that was refused.
    rows
        Rows removed, by table.
    freed
        Bytes of the store given back to the file system.
    waits
        Why the rest waits for the next pass; empty if nothing does.
    """

    moved: int = 0
    removed: int = 0
    bytes: int = 0
    kept: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    freed: int = 0
    waits: str = ""


class Caretaker:
    """Carries out `[retention]`.

    Parameters
    ----------
    store, config
        The store and the configuration.
    stopped
        Whether to end soon; the next pass goes on.
    """

    def __init__(self, store: Store, config: Config, stopped: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._config = config
        self._stopped = stopped
        self.mover = Mover(store, config.products_dir, make_tier(config))

    def plan(self, now: datetime) -> Iterator[tuple[DueStep, str]]:
        """Return what a pass would do, and of each step why it cannot be done, if it cannot."""
        section, seen = self._config.retention, set[str]()
        leaving = {"hot": 0, "warm": 0}
        for step in due(self._store, section, now):
            if step.run in seen:
                continue
            seen.add(step.run)
            problem = self._problem(step)
            if not problem:
                leaving[step.frm] += step.bytes
                leaving["warm"] -= step.bytes if step.to == "warm" else 0
            yield step, problem
        by_age, kept = set(seen), seen
        for step in beyond(self._store, section, now, leaving, kept):
            if step.run in by_age:
                continue
            problem = self._problem(step)
            if problem:
                kept.add(step.run)
            yield step, problem

    def _problem(self, step: DueStep) -> str:
        with self._store.reading() as session:
            run = session.get(Run, step.run)
            checked = run is not None and step.to == "gone" and not step.regardless
            return why_not(session, run) if run is not None and checked else ""

    def tend(self, now: datetime, *, clock_is_right: bool = False) -> Tended:
        """Do one pass.

        Parameters
        ----------
        now
            The time that ages count to.
        clock_is_right
            Believe ``now`` even if it is far from the time of the last pass.

        Raises
        ------
        OSError, RetryableError
            If a disk or the store fails; the next pass goes on. A fault of single products is raised at the end.
        """
        done = Tended()
        faults: list[OSError] = []
        away = False
        doubt = self._doubt(now, clock_is_right)
        for move in self.mover.unfinished():
            if self._stopped():
                return done
            # What waits for the tier holds up nothing that does without it.
            if done.waits and (self.mover.needs_tier(move) if away else self.mover.needs_room(move)):
                continue
            try:
                self.mover.go_on(move.run_id)
            except TierFullError as error:
                done.waits, away = str(error), isinstance(error, TierAwayError)
            except OSError as error:
                _note(faults, error)
        kept = set[str]()
        section = self._config.retention
        for steps in (due(self._store, section, now), beyond(self._store, section, now, {}, kept)):
            for step in steps:
                if self._stopped():
                    return done
                if (step.to == "gone" and doubt) or (step.to == "warm" and done.waits):
                    done.waits = done.waits or doubt
                    continue
                if away and step.frm == "warm":
                    # One that does not respond takes long to say so.
                    kept.add(step.run)
                    continue
                try:
                    taken = self._take(step, done)
                except TierFullError as error:
                    done.waits, away = str(error), isinstance(error, TierAwayError)
                    taken = False
                except OSError as error:
                    _note(faults, error)
                    taken = False
                if not taken:
                    kept.add(step.run)
        if not doubt:
            done.rows = prune(self._store, self._config, now, self._stopped)
        done.freed = free_space(self._store, self._stopped)
        if done.moved or done.removed or any(done.rows.values()):
            counts = {
                "moved": done.moved,
                "removed": done.removed,
                "bytes": done.bytes,
                "rows": sum(done.rows.values()),
            }
            _log.info("tidied", extra=counts)
        if faults:
            raise faults[0]
        return done

    def _take(self, step: DueStep, done: Tended) -> bool:
        taken = self.mover.move(step)
        if taken:
            done.moved += step.to == "warm"
            done.removed += step.to == "gone"
            done.bytes += step.bytes
        else:
            done.kept += 1
        return taken

    def _doubt(self, now: datetime, clock_is_right: bool) -> str:
        """Return why the clock is not believed; empty if it is. Rules remove nothing on the word of a wrong one."""
        with self._store.reading() as session:
            cursor = session.get(Cursor, _CURSOR)
        jumped: datetime | None = None
        if cursor is not None and not clock_is_right:
            last, since = parse_time(cursor.data["last"]), cursor.data["jumped"]
            jumped = None if since is None else parse_time(since)
            if not last - CLOCK_TOLERANCE <= now <= last + _JUMP:
                jumped = now
            elif jumped is not None and now - jumped >= _PROOF:
                jumped = None
        data = {"last": to_iso(now), "jumped": None if jumped is None else to_iso(jumped)}
        with self._store.transaction() as session:
            insert_new(session, Cursor, name=_CURSOR, data=data, updated_at=utc_now())
            session.execute(update(Cursor).where(Cursor.name == _CURSOR).values(data=data, updated_at=utc_now()))
        if jumped is None:
            return ""
        left = in_words(max(jumped + _PROOF - now, timedelta(0)))
        return f"the clock jumped: nothing is removed for {left} (if it is right: dynamo retention run)"


def _note(faults: list[OSError], error: OSError) -> None:
    """Note what failed one move, so that the others are not held up; raise it if nothing seems to work."""
    faults.append(error)
    if len(faults) >= _MOST_FAULTS:
        raise error
