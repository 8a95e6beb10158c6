"""The triggers of a configuration, ready to judge arrivals and to ask for runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dynamo.config import Config, TriggerSection
from dynamo.contract import Value
from dynamo.errors import InputError
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.planning import Planner, Workflow
from dynamo.store.models import Arrival
from dynamo.triggers.arrival import ArrivalTrigger
from dynamo.triggers.condition import Condition
from dynamo.triggers.schedule import ScheduleTrigger


@dataclass(frozen=True)
class Rule:
    """One trigger with its workflow, checked when the daemon starts."""

    name: str
    trigger: ArrivalTrigger | ScheduleTrigger
    workflow: Workflow
    port: str
    parameters: dict[str, Value]
    levels: frozenset[float]
    engine: str
    priority: int
    deadline_s: float | None

    def request(self, arrival: Arrival, now: datetime) -> RunRequest:
        """Return the run that this rule wants for an arrival."""
        deadline = None if not self.deadline_s else now + timedelta(seconds=self.deadline_s)
        return RunRequest(
            workflow=self.workflow,
            inputs=(InputFile(self.port, Path(arrival.path), arrival.sha256 or "", arrival.size, arrival.mtime_ns),),
            parameters=self.parameters,
            engine=self.engine,
            trigger=self.name,
            priority=self.priority,
            arrival_id=arrival.id,
            valid_at=arrival.valid_at,
            deadline_at=deadline,
            closed_at=arrival.closed_at,
            detected_at=arrival.detected_at,
        )


def make_rules(config: Config, planner: Planner) -> tuple[Rule, ...]:
    """Return the rules of a configuration.

    Raises
    ------
    InputError, NotFoundError
        If a workflow, its input or a parameter is not right; the message names the trigger.
    """
    return tuple(_rule(section, config, planner) for section in config.triggers)


def levels_of(rules: tuple[Rule, ...], feed: str) -> tuple[float, ...]:
    """Return the levels in dBZ at which the files of a feed must be looked at, ascending."""
    return tuple(sorted({level for rule in rules if rule.trigger.feed == feed for level in rule.levels}))


def _rule(section: TriggerSection, config: Config, planner: Planner) -> Rule:
    where = f"trigger {section.name}"
    local = config.path(section.workflow)
    workflow = planner.load(str(local) if local.is_file() else section.workflow)
    port = section.input
    if port is None:
        if len(workflow.inputs) != 1:
            raise InputError(
                f"the workflow {workflow.name} has {len(workflow.inputs)} inputs",
                where=where,
                expected=f"input = one of {', '.join(workflow.inputs)}",
            )
        port = next(iter(workflow.inputs))
    elif port not in workflow.inputs or len(workflow.inputs) != 1:
        raise InputError(
            f"the file alone cannot be the inputs of {workflow.name}: {', '.join(workflow.inputs)}",
            where=f"{where}: input {port}",
            expected="a workflow with this one input",
        )
    try:
        parameters = planner.parameters(workflow, section.parameters)
    except InputError as error:
        raise InputError(f"{where}: {error.what}", where=error.where, expected=error.expected) from error
    condition = None
    if section.condition is not None:
        leads = section.condition.leads
        condition = Condition(
            section.condition.area_km2,
            section.condition.level_dbz,
            tuple(leads) if isinstance(leads, list) else leads,
        )
    trigger: ArrivalTrigger | ScheduleTrigger
    if section.kind == "schedule":
        trigger = ScheduleTrigger(section.feed, section.every_min, tuple(section.at_minutes), condition)
    else:
        trigger = ArrivalTrigger(section.feed, section.pattern, condition)
    levels = set(planner.levels(workflow, parameters))
    if condition is not None:
        levels.add(condition.level_dbz)
    return Rule(
        name=section.name,
        trigger=trigger,
        workflow=workflow,
        port=port,
        parameters=parameters,
        levels=frozenset(levels),
        engine=section.engine or config.runs.engine,
        priority=workflow.priority if section.priority is None else section.priority,
        deadline_s=workflow.deadline_s if section.deadline_s is None else section.deadline_s,
    )
