"""The triggers of a configuration, ready to judge arrivals and request runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from dynamo.config.file import Config
from dynamo.config.triggers import TriggerSection
from dynamo.contract import Value
from dynamo.documents.problems import DocumentError
from dynamo.doors import TRIGGERS
from dynamo.errors import DynamoError, InputError
from dynamo.files import sha256_file
from dynamo.plugins import PluginError
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.planning import Planner, Workflow
from dynamo.store.models import Arrival
from dynamo.triggers.base import Trigger

_log = logging.getLogger("dynamo.triggers")
#: Formats whose files come from one radar, however many a run has: the sweeps or chunks of one volume.
_OF_ONE_RADAR = frozenset({"radar-sweep", "radar-volume"})


@dataclass(frozen=True)
class Rule:
    """One trigger with its workflow, checked when the daemon starts."""

    name: str
    kind: str
    trigger: Trigger
    workflow: Workflow
    port: str
    parameters: dict[str, Value]
    levels: frozenset[float]
    engine: str
    priority: int
    deadline_s: float | None
    #: Other inputs, the same for every run, by port.
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """The trigger's name and origin, for reports of its bugs."""
        return f"trigger {self.name}: kind {self.kind} of {TRIGGERS.origin(self.kind)}"

    def request(
        self, arrivals: Sequence[Arrival], now: datetime, offers: Mapping[str, Value] | None = None
    ) -> RunRequest:
        """Return the run this rule requests for an arrival, or for several that belong together.

        Parameters
        ----------
        arrivals
            At least one.
        now
            The caller's clock.
        offers
            What the trigger offers for this run instead of its usual offers; values set in the configuration stay.

        Raises
        ------
        InputError
            If a fixed file is missing and the workflow requires it; see `left_out`.
        """
        deadline = None if not self.deadline_s else now + timedelta(seconds=self.deadline_s)
        arrival = max(arrivals, key=lambda one: one.detected_at)
        inputs = [InputFile(self.port, Path(one.path), one.sha256 or "", one.size, one.mtime_ns) for one in arrivals]
        files = (*inputs, *self._fixed())
        return RunRequest(
            workflow=self.workflow,
            inputs=files,
            parameters={**self.parameters, **self._offered(offers or {})},
            engine=self.engine,
            trigger=self.name,
            priority=self.priority,
            arrival_id=arrival.id,
            radar=radar_of(arrivals, len(files)),
            valid_at=arrival.valid_at,
            deadline_at=deadline,
            closed_at=arrival.closed_at,
            detected_at=arrival.detected_at,
        )

    def left_out(self, request: RunRequest) -> list[str]:
        """Return the fixed files that a request of `request` omits, as ``input: path``."""
        there = {item.port for item in request.inputs}
        return [f"{port}: {path}" for port, path in self.files.items() if port not in there]

    def _offered(self, offers: Mapping[str, Value]) -> dict[str, Value]:
        usual = self.trigger.offers
        return {
            name: value
            for name, value in offers.items()
            if name in self.parameters and self.parameters[name] == usual.get(name)
        }

    def _fixed(self) -> list[InputFile]:
        found = (_fixed(port, path, port in self.workflow.optional) for port, path in self.files.items())
        return [item for item in found if item is not None]


def make_rules(config: Config, planner: Planner) -> tuple[Rule, ...]:
    """Return the rules of a configuration.

    A trigger that needs a broken part of another package starts nothing and is logged: it must not take the others
    down. `rule_mistakes` says everything that is wrong with a trigger.

    Raises
    ------
    InputError, NotFoundError
        If a workflow, its input or a parameter is wrong; the message names the trigger.
    """
    rules = []
    for section in config.triggers:
        # A broken kind of trigger always refuses to start; only what its workflow needs may be broken.
        trigger = make_trigger(section, config)
        try:
            rules.append(make_rule(section, trigger, config, planner))
        except PluginError as error:
            _log.error("trigger %s starts nothing: %s", section.name, error)
    return tuple(rules)


def rule_mistakes(section: TriggerSection, config: Config, planner: Planner) -> list[DynamoError]:
    """Return everything that keeps a trigger from becoming a rule, parts of other packages that are broken included."""
    errors: list[DynamoError] = []
    try:
        trigger = make_trigger(section, config)
    except DynamoError as error:
        errors.append(error)
        trigger = None
    try:
        workflow = _workflow(section, config, planner)
    except DynamoError as error:
        return [*errors, error]
    checks: list[Callable[[], object]] = [lambda: _port(section, workflow, _files(section, config), trigger)]
    if trigger is not None:
        checks.append(lambda: _parameters(section, workflow, trigger, planner))
    for check in checks:
        try:
            check()
        except DynamoError as error:
            errors.append(error)
    return errors


def levels_of(rules: tuple[Rule, ...], feed: str) -> tuple[float, ...]:
    """Return the levels, dBZ, at which areas in a feed's files must be measured, ascending."""
    return tuple(sorted({level for rule in rules if rule.trigger.feed == feed for level in rule.levels}))


def make_rule(section: TriggerSection, trigger: Trigger, config: Config, planner: Planner) -> Rule:
    """Return the rule of a trigger; raise `InputError` or `NotFoundError` as `make_rules` does."""
    workflow = _workflow(section, config, planner)
    files = _files(section, config)
    port = _port(section, workflow, files, trigger)
    parameters = _parameters(section, workflow, trigger, planner)
    with TRIGGERS.blamed(section.kind):
        looked_at = set(trigger.levels)
    return Rule(
        name=section.name,
        kind=section.kind,
        trigger=trigger,
        workflow=workflow,
        port=port,
        parameters=parameters,
        levels=frozenset(looked_at | set(planner.levels(workflow, parameters))),
        engine=section.engine or config.runs.engine,
        priority=workflow.priority if section.priority is None else section.priority,
        deadline_s=workflow.deadline_s if section.deadline_s is None else section.deadline_s,
        files=files,
    )


def _workflow(section: TriggerSection, config: Config, planner: Planner) -> Workflow:
    local = config.path(section.workflow)
    return planner.load(str(local) if local.is_file() else section.workflow)


def _files(section: TriggerSection, config: Config) -> dict[str, Path]:
    return {name: config.path(text) for name, text in section.files.items()}


def _parameters(section: TriggerSection, workflow: Workflow, trigger: Trigger, planner: Planner) -> dict[str, Value]:
    with TRIGGERS.blamed(section.kind):
        offers = dict(trigger.offers)
    offered = {name: value for name, value in offers.items() if name in workflow.body.get("parameters", {})}
    try:
        return planner.parameters(workflow, {**offered, **section.parameters})
    except DocumentError as error:
        raise DocumentError(error.problems, where=f"trigger {section.name}: {error.where}") from error
    except InputError as error:
        raise InputError(f"trigger {section.name}: {error.what}", where=error.where, expected=error.expected) from error


def make_trigger(section: TriggerSection, config: Config) -> Trigger:
    """Return the trigger of a section; raise `PluginError` if its kind fails."""
    with TRIGGERS.blamed(section.kind):
        trigger = TRIGGERS.load(section.kind).make(section, config)
        if not isinstance(trigger, Trigger):
            raise TypeError(f"makes a {type(trigger).__name__}, not a dynamo.triggers.base.Trigger")
        return trigger


def _port(section: TriggerSection, workflow: Workflow, files: Mapping[str, Path], trigger: Trigger | None) -> str:
    """Return the workflow input that gets the arrivals."""
    where = f"trigger {section.name}"
    port = _free_port(section, workflow, files, where)
    if trigger is not None:
        with TRIGGERS.blamed(section.kind):
            many = trigger.takes_many
        if many and port not in workflow.many:
            raise InputError(
                f"input {port} of {workflow.name} takes one file", where=where, expected="an input that takes many"
            )
    return port


def _free_port(section: TriggerSection, workflow: Workflow, files: Mapping[str, Path], where: str) -> str:
    unknown = sorted(set(files) - set(workflow.inputs))
    if unknown:
        raise InputError(
            f"workflow {workflow.name} has no input {', '.join(unknown)}",
            where=f"{where}: files",
            expected=", ".join(workflow.inputs),
        )
    free = [name for name in workflow.inputs if name not in files and name not in workflow.optional]
    port = section.input
    if port is None:
        if len(free) != 1:
            raise InputError(
                f"workflow {workflow.name} has {len(free)} inputs that are not in files",
                where=where,
                expected=f"input = one of {', '.join(workflow.inputs)}",
            )
        return free[0]
    if port not in workflow.inputs or set(free) - {port}:
        raise InputError(
            f"one file cannot fill the inputs of {workflow.name}: {', '.join(workflow.inputs)}",
            where=f"{where}: input {port}",
            expected="a workflow with just this input, or the others in files",
        )
    return port


def radar_of(arrivals: Sequence[Arrival], files: int) -> str:
    """Return the radar of a run's data; empty for several, or if other files come with a product of one radar."""
    radars = {one.radar for one in arrivals}
    alone = files == 1 or {(one.facts or {}).get("format") for one in arrivals} <= _OF_ONE_RADAR
    return radars.pop() if alone and len(radars) == 1 else ""


def _fixed(port: str, path: Path, optional: bool) -> InputFile | None:
    """Return a fixed file; None if it is missing and optional."""
    try:
        known = path.stat()
        return InputFile(port, path, sha256_file(path), known.st_size, known.st_mtime_ns)
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise InputError(
            f"cannot be read: {error.strerror}", where=path, expected=f"a file for input {port}"
        ) from error
