"""Everything that `dynamo watch` would refuse about a configuration, at once, without starting or changing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dynamo.config.file import Config, ConfigError
from dynamo.config.problems import named
from dynamo.documents.problems import mistakes_in
from dynamo.doors import FEEDS
from dynamo.engines.registry import option_mistakes
from dynamo.errors import DynamoError
from dynamo.runs.setup import make_planner
from dynamo.store.engine import check_store
from dynamo.triggers.rules import rule_mistakes
from dynamo.workflows.workflow import find_workflow


def config_mistakes(config: Config) -> list[str]:
    """Return what `dynamo watch` would refuse about a configuration that was read, one line each."""
    found = [] if config.feeds else ["no feed to watch; expected a [[feeds]] section (dynamo config example)"]
    return [*found, *_mistakes(config)]


def file_mistakes(error: ConfigError) -> list[str]:
    """Return what is wrong with a configuration that could not be read, and with the sections that are right."""
    rest = [] if error.rest is None else _mistakes(error.rest)
    return [*error.mistakes, *_unknown_workflows(error), *rest]


def _mistakes(config: Config) -> Iterator[str]:
    for folder in (config.state_dir, config.runs_dir, config.products_dir, config.quarantine_dir):
        if problem := _unwritable(folder):
            yield problem
    try:
        check_store(config.store_url)
    except DynamoError as error:
        yield f"store: {error}"
    for feed in config.feeds:
        try:
            with FEEDS.blamed(feed.kind):
                problem = FEEDS.load(feed.kind).problem(feed, config)
        except DynamoError as error:
            problem = str(error)
        if problem:
            yield f"feed {feed.name}: {problem}"
    planner = make_planner(config)
    for section in config.triggers:
        for mistake in rule_mistakes(section, config, planner):
            for line in mistakes_in(mistake):
                yield line if line.startswith(f"trigger {section.name}") else f"trigger {section.name}: {line}"
    for name, engine in config.engines.items():
        try:
            yield from option_mistakes(name, engine.options)
        except DynamoError as error:
            yield f"engines.{name}: {error}"
    yield from _alerts(config)


def _alerts(config: Config) -> Iterator[str]:
    """Check places and channels, which are used only where there are places."""
    if config.alerts.places is None:
        return
    # Its geometry takes a third of a second to import: only if there is someone to alert.
    from dynamo.alerts.channels.registry import make_channels
    from dynamo.alerts.places import read_places

    try:
        read_places(config.path(config.alerts.places), config.alerts)
    except DynamoError as error:
        yield from (f"alerts.places: {line}" for line in mistakes_in(error))
    for section in config.alerts.channels:
        try:
            make_channels([section], config.base)
        except DynamoError as error:
            yield str(error)


def _unknown_workflows(error: ConfigError) -> Iterator[str]:
    """Check the workflows of triggers that are wrong in something else."""
    triggers: Any = error.data.get("triggers")
    sound = {section.name for section in error.rest.triggers} if error.rest else set()
    for item, name in zip(triggers if isinstance(triggers, list) else (), named(triggers), strict=False):
        workflow = item.get("workflow") if isinstance(item, Mapping) else None
        if isinstance(workflow, str) and name not in sound:
            try:
                find_workflow(workflow)
            except DynamoError as problem:
                yield f"trigger {name}: {problem}"


def _unwritable(folder: Path) -> str:
    """Return why a folder cannot be written or created; empty if it can."""
    there = next(path for path in (folder, *folder.parents) if path.exists() or path == path.parent)
    if not there.is_dir():
        return f"{there}: is not a folder; expected the folder {folder}"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there}: may not be written; expected a place for {folder}"
    return ""
