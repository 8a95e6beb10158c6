"""Everything that `dynamo watch` would refuse about a configuration, at once, without starting or changing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dynamo.archive.tiers import tier_problem
from dynamo.config.file import Config, ConfigError
from dynamo.config.problems import named
from dynamo.documents.problems import mistakes_in
from dynamo.doors import FEEDS
from dynamo.engines.registry import option_mistakes
from dynamo.errors import DynamoError, InputError
from dynamo.runs.setup import make_planner
from dynamo.store.engine import check_store
from dynamo.triggers.rules import rule_mistakes
from dynamo.workflows.workflow import find_workflow


class Mistake(NamedTuple):
    """One mistake as a line, and the exit code of a command that stumbles over it."""

    text: str
    exit_code: int = InputError.exit_code


def config_mistakes(config: Config) -> list[Mistake]:
    """Return what `dynamo watch` would refuse about a configuration that was read."""
    found = [] if config.feeds else [Mistake("no feed to watch; expected a [[feeds]] section (dynamo config example)")]
    return [*found, *_mistakes(config)]


def config_remarks(config: Config) -> list[str]:
    """Return what is allowed in a sound configuration, but probably not meant."""
    found = []
    for feed in config.feeds:
        with FEEDS.blamed(feed.kind):
            remark = FEEDS.load(feed.kind).remark(feed, config)
        found += [f"feed {feed.name}: {remark}"] if remark else []
    return found


def file_mistakes(error: ConfigError) -> list[Mistake]:
    """Return what is wrong with a configuration that could not be read, and with the sections that are right."""
    rest = [] if error.rest is None else _mistakes(error.rest)
    return [*map(Mistake, error.mistakes), *_unknown_workflows(error), *rest]


def _mistakes(config: Config) -> Iterator[Mistake]:
    for option in ("state_dir", "runs_dir", "products_dir", "quarantine_dir"):
        try:
            problem = _unwritable(getattr(config, option))
        except DynamoError as error:
            problem = f"folders.{option.removesuffix('_dir')}: {error}"
        if problem:
            yield Mistake(problem)
    try:
        check_store(config.store_url)
    except DynamoError as error:
        yield from _of(error, "store")
    for feed in config.feeds:
        try:
            with FEEDS.blamed(feed.kind):
                problem = FEEDS.load(feed.kind).problem(feed, config)
        except DynamoError as error:
            yield from _of(error, f"feed {feed.name}")
        else:
            if problem:
                yield Mistake(f"feed {feed.name}: {problem}")
    planner = make_planner(config)
    for section in config.triggers:
        for mistake in rule_mistakes(section, config, planner):
            yield from _of(mistake, f"trigger {section.name}")
    for name, engine in config.engines.items():
        try:
            yield from map(Mistake, option_mistakes(name, engine.options))
        except DynamoError as error:
            yield from _of(error, f"engines.{name}")
    try:
        problem = tier_problem(config)
    except DynamoError as error:
        yield from _of(error, "retention.warm")
    else:
        if problem:
            yield Mistake(f"retention.warm: {problem}")
    yield from _alerts(config)
    if config.pulse.wanted:
        from dynamo.assets.pulse import pulse_address

        try:
            pulse_address(config.pulse, config.base)
        except DynamoError as error:
            yield from _of(error, "pulse")


def _of(error: DynamoError, where: str) -> Iterator[Mistake]:
    """Give the mistakes in an error, each with where it is."""
    for line in mistakes_in(error):
        yield Mistake(line if line.startswith(where) else f"{where}: {line}", error.exit_code)


def _alerts(config: Config) -> Iterator[Mistake]:
    """Check places, and the channels that are used: those of places only where there are places."""
    if config.alerts.places is not None:
        # Its geometry takes a third of a second to import: only if there is someone to alert.
        from dynamo.alerts.places import read_places

        try:
            read_places(config.path(config.alerts.places), config.alerts)
        except DynamoError as error:
            yield from _of(error, "alerts.places")
    used = config.alerts.channels_for("operators") if config.alerts.places is None else config.alerts.channels
    for section in used:
        from dynamo.alerts.channels.registry import make_channels

        try:
            make_channels([section], config.base)
        except DynamoError as error:
            yield from _of(error, "alerts.channels")


def _unknown_workflows(error: ConfigError) -> Iterator[Mistake]:
    """Check the workflows of triggers that are wrong in something else."""
    triggers: Any = error.data.get("triggers")
    sound = {section.name for section in error.rest.triggers} if error.rest else set()
    for item, name in zip(triggers if isinstance(triggers, list) else (), named(triggers), strict=False):
        workflow = item.get("workflow") if isinstance(item, Mapping) else None
        if isinstance(workflow, str) and name not in sound:
            try:
                find_workflow(workflow)
            except DynamoError as problem:
                yield from _of(problem, f"trigger {name}")


def _unwritable(folder: Path) -> str:
    """Return why a folder cannot be written or created; empty if it can."""
    there = next(path for path in (folder, *folder.parents) if path.exists() or path == path.parent)
    if not there.is_dir():
        return f"{there}: is not a folder; expected the folder {folder}"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there}: may not be written; expected a place for {folder}"
    return ""
