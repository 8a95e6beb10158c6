"""Turn what the triggers decide into stored decisions and runs, then pass them to the dispatcher and to followers.

A decision and the run it starts are stored together; only then are followers notified and the run started.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from dynamo.errors import RetryableError
from dynamo.inspection.facts import InputFacts
from dynamo.runs.dispatcher import RunDispatcher
from dynamo.runs.ledger import create_run, decide
from dynamo.runs.service import RunService, lost_products
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now
from dynamo.triggers.deciding import Wish, on_arrival, on_time
from dynamo.triggers.pausing import pause_of
from dynamo.triggers.rules import Rule
from dynamo.watch.defects import Defects

_log = logging.getLogger("dynamo.intake")


@dataclass(frozen=True)
class Decided:
    """A stored decision, with its run if it created a new one."""

    subject: str
    action: str
    reason: str
    data: dict[str, Any]
    run: Run | None = None


class Decider:
    """Asks the triggers, stores their decisions, and starts their runs.

    Parameters
    ----------
    service, dispatcher
        Where runs are created and queued.
    rules
        The triggers.
    defects
        Receives the failures of triggers.
    """

    def __init__(self, service: RunService, dispatcher: RunDispatcher, rules: Sequence[Rule], defects: Defects) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._rules = tuple(rules)
        self._defects = defects

    def judge(self, session: Session, arrival: Arrival, facts: InputFacts) -> list[Decided]:
        """Have every rule judge an arrival, in the transaction that stores it."""
        decided = []
        for rule in self._rules:
            wish = on_arrival(session, rule, arrival, facts, utc_now())
            if wish is not None:
                if wish.defect is not None:
                    self._defects.tell(f"{rule.who}, judge", wish.defect)
                decided.append(self._store(session, wish))
        return decided

    def put(self, decided: Sequence[Decided]) -> None:
        """Queue the runs of stored decisions."""
        for one in decided:
            if one.run is not None:
                self._dispatcher.put(one.run)

    def tell(self, decided: Sequence[Decided]) -> None:
        """Announce decisions, then their runs."""
        for one in decided:
            _log.info("trigger: %s", one.action, extra={"subject": one.subject, "reason": one.reason})
            self._service.events.emit("decision", one.subject, action=one.action, reason=one.reason, **one.data)
        for one in decided:
            if one.run is not None:
                self._service.announce(one.run)

    def follow(self, feed: str, path: Path) -> None:
        """Ask what is due of the rules for which an arrival may have completed something."""
        for rule in self._rules:
            if rule.trigger.ask_s is None:
                continue
            try:
                concerned = rule.trigger.concerns(feed, path)
            except Exception as error:  # it is asked again when next due
                self._defects.tell(f"{rule.who}, concerns", error)
                continue
            if concerned:
                self.ask(rule)

    def ask(self, rule: Rule) -> None:
        """Ask a rule what is due, and start it.

        Raises
        ------
        RetryableError, OSError
            If the store fails.
        """
        try:
            with self._service.store.transaction() as session:
                decided = [self._store(session, wish) for wish in on_time(session, rule, utc_now())]
        except (RetryableError, OSError):
            raise
        except Exception as error:  # nothing was stored; it is asked again
            self._defects.tell(f"{rule.who}, due", error, retry_s=rule.trigger.ask_s or 0.0)
            return
        self._defects.well(f"{rule.who}, due")
        self.put(decided)
        self.tell(decided)

    def _store(self, session: Session, wish: Wish) -> Decided:
        run, action, reason, data = None, wish.action, wish.reason, dict(wish.data)
        if wish.request is not None and (pause := pause_of(session, wish.request.trigger)) is not None:
            action, reason = "paused", f"{pause}; {reason}"
        elif wish.request is not None:
            run, new = create_run(session, wish.request, runs_dir=self._service.settings.runs_dir)
            data["run"] = run.id
            if not new:
                action, reason, run = "have", _covered(run), None
        decide(session, wish.subject, action, reason, **data)
        return Decided(wish.subject, action, reason, data, run)


def _covered(run: Run) -> str:
    """Return in words that a run covers a request, and whether its products are still what they were."""
    lost = lost_products(run)
    return f"run {run.id} already covers this{f', but its products are {lost}' if lost else ''}"
