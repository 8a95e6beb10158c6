"""Source `forecast`: the runs that future arrivals will start, predicted from the newest arrivals.

Only the store is queried. Each trigger predicts the runs it will start (`dynamo.triggers.base.Trigger.expects`), from
the rhythm of its feed and the newest files; this module prices them. The accuracy of the predictions is learned by
trigger and lead (`bands`) and kept in the store.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from dynamo.autoscale.demand import outcomes
from dynamo.autoscale.demand.arrived import ArrivalMemory
from dynamo.autoscale.demand.bands import bins_ahead
from dynamo.autoscale.demand.costing import RunCost, RunCosts
from dynamo.autoscale.demand.expected import FORECAST, Expected, as_work, loads_of
from dynamo.autoscale.demand.outlook import OutlookView, RuleOutlook
from dynamo.autoscale.demand.runs import POOL_ENGINES
from dynamo.autoscale.model import Work
from dynamo.inspection.facts import InputFacts
from dynamo.runs import learning
from dynamo.store.engine import Store
from dynamo.triggers.deciding import STORE_TROUBLE
from dynamo.triggers.outlook.base import Start
from dynamo.triggers.pausing import pauses
from dynamo.triggers.rules import Rule

NAME = FORECAST
#: Less likely runs are left out.
_LEAST_CHANCE = 0.02
#: Rows and columns to assume for an input of which no file has been seen yet.
_UNSEEN_SHAPE = (400, 400)
_log = logging.getLogger("dynamo.autoscale")


class ForecastSource:
    """What the triggers of a configuration will start.

    Parameters
    ----------
    store, rules, costs
        Where arrivals are, the triggers, and what runs cost.
    engines
        Runs of other engines need no workers.
    sites
        The site the runs of a workflow are pinned to, by workflow.
    learns
        Whether predictions are kept and judged; one process does that, others only read.
    """

    name = NAME

    def __init__(
        self,
        store: Store,
        rules: Sequence[Rule],
        costs: RunCosts,
        *,
        engines: Collection[str] = POOL_ENGINES,
        sites: Mapping[str, str] | None = None,
        learns: bool = True,
    ) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._costs = costs
        self._engines = frozenset(engines)
        self._sites = dict(sites or {})
        self._learns = learns
        self._memory = ArrivalMemory()
        self._notes: dict[str, str] = {}

    @property
    def notes(self) -> Mapping[str, str]:
        """Remarks on the last answer: silent feeds, triggers that need no pool or are paused."""
        return self._notes

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        """Return the work expected until the horizon; raise `StoreUnavailableError`."""
        self._notes = {}
        rules = [rule for rule in self._rules if rule.engine in self._engines]
        for rule in self._rules:
            if rule.engine not in self._engines:
                self._notes[f"trigger {rule.name}"] = f"runs on engine {rule.engine}, not on the pool"
        if not rules:
            return []
        with self._store.reading() as session:
            self._costs.use(learning.current(session))
            known = {rule.name for rule in self._rules}
            paused = {name: pause for name, pause in pauses(session).items() if name in known}
            self._notes |= {f"trigger {name}": f"{pause}: none expected" for name, pause in paused.items()}
            look = OutlookView(session, self._memory, self._rules, now, horizon_s, self._notes, frozenset(paused))
            look.refresh()
            tracks = outcomes.load(session, [rule.name for rule in rules])
            # What a pause kept from starting says nothing about the predictions made before it.
            changed = False
            for rule in rules:
                if self._learns and rule.name in paused:
                    changed |= tracks[rule.name].drop()
            rules = [rule for rule in rules if rule.name not in paused]
            expected = {rule.name: self._expected(look, rule) for rule in rules}
            loads = {name: loads_of(runs) for name, runs in expected.items()}
            if self._learns:
                for rule in rules:
                    changed |= outcomes.learn(
                        session, tracks[rule.name], rule, loads[rule.name], self._memory, self._costs, now, horizon_s
                    )
        if changed:
            outcomes.save(self._store, tracks, now)
        work: list[Work] = []
        for rule in rules:
            bands = {
                start: tracks[rule.name].band(start - now.timestamp(), loads[rule.name].get(start, 0.0))
                for start in {*loads[rule.name], *bins_ahead(now, horizon_s)}
            }
            site = self._sites.get(rule.workflow.name, "")
            work += as_work(rule, site, expected[rule.name], loads[rule.name], bands)
        return work

    def _expected(self, look: OutlookView, rule: Rule) -> list[Expected]:
        """Return the runs a rule will start, with their cost; empty if its trigger has a bug."""
        try:
            return list(self._priced(rule, rule.trigger.expects(RuleOutlook(look, rule))))
        except STORE_TROUBLE:
            raise
        except Exception as error:  # one trigger must not hold up the forecast of the others
            reason = f"cannot be predicted: {rule.who}: {type(error).__name__}: {error}"
            _log.debug(reason, exc_info=error)
            look.notes[f"trigger {rule.name}"] = reason
            return []

    def _priced(self, rule: Rule, starts: Iterable[Start]) -> Iterable[Expected]:
        for start in starts:
            cost = self._cost(rule, start) if start.chance >= _LEAST_CHANCE else None
            if cost is not None:
                yield Expected(start.at, start.chance, cost)

    def _cost(self, rule: Rule, start: Start) -> RunCost | None:
        facts, known_as = start.facts, start.known_as
        if facts is None or facts.format not in rule.workflow.inputs.get(rule.port, "").split("|"):
            facts, known_as = _unseen(rule, start.at), ("unseen",)
        return self._costs.cost(rule.workflow, rule.parameters, {rule.port: facts}, rule.engine, known_as=known_as)


def _unseen(rule: Rule, time: datetime) -> InputFacts:
    """Return facts for an input of which no file has been seen: its format, a typical size."""
    return InputFacts(rule.workflow.inputs[rule.port].split("|")[0], time, (0,), _UNSEEN_SHAPE, radar="radar")
