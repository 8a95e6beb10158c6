"""The demand sources of a configuration, by name: a new kind is a new module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dynamo.autoscale.demand import forecast, queue, runs
from dynamo.autoscale.demand.base import DemandSource
from dynamo.autoscale.demand.costing import RunCosts
from dynamo.autoscale.demand.forecast import ForecastSource
from dynamo.autoscale.demand.queue import QueueSource, pool_tools
from dynamo.autoscale.demand.runs import POOL_ENGINES, RunsSource
from dynamo.config.file import Config
from dynamo.documents.problems import near_hint
from dynamo.errors import InputError
from dynamo.runs.planning import Planner
from dynamo.runs.setup import make_layouts, make_planner, run_settings
from dynamo.store.engine import Store
from dynamo.triggers.rules import make_rules


@dataclass(frozen=True)
class Parts:
    """What sources are built from.

    Parameters
    ----------
    config, store, pool
        The configuration, its store, and the folder of the fleet's pool (``DYNAMO_POOL_DIR``).
    engines
        The engines whose runs use the fleet.
    sites
        The site, as ``Cloud:Region``, the runs of a workflow are pinned to, by workflow.
    learns
        Whether predictions are kept and judged: only in the one process that decides, not in those that read.
    """

    config: Config
    store: Store
    pool: Path
    engines: frozenset[str] = POOL_ENGINES
    sites: Mapping[str, str] = field(default_factory=dict)
    learns: bool = True


@dataclass(frozen=True)
class _Made:
    parts: Parts
    planner: Planner
    costs: RunCosts
    names: tuple[str, ...]


def _queue(made: _Made) -> DemandSource:
    # With the queue as the only source, it includes our own runs' jobs.
    return QueueSource(
        pool_tools(made.parts.pool),
        without_own=runs.NAME in made.names,
        run_folders=made.parts.config.runs_dir,
    )


def _runs(made: _Made) -> DemandSource:
    parts = made.parts
    return RunsSource(
        parts.store,
        made.planner,
        made.costs,
        engines=parts.engines,
        sites=parts.sites,
        spared=run_settings(parts.config).spared_triggers,
    )


def _forecast(made: _Made) -> DemandSource:
    parts = made.parts
    rules = make_rules(parts.config, made.planner)
    return ForecastSource(parts.store, rules, made.costs, engines=parts.engines, sites=parts.sites, learns=parts.learns)


_SOURCES: Mapping[str, Callable[[_Made], DemandSource]] = {
    queue.NAME: _queue,
    runs.NAME: _runs,
    forecast.NAME: _forecast,
}
#: All sources, in the order they are queried.
SOURCES = tuple(_SOURCES)


def make_sources(parts: Parts, names: Sequence[str] = SOURCES) -> tuple[DemandSource, ...]:
    """Return the sources with these names.

    Raises
    ------
    InputError
        If one does not exist or is named twice, or a trigger's workflow is wrong.
    NotFoundError
        If a trigger's workflow does not exist.
    """
    for name in names:
        if name not in _SOURCES:
            raise InputError(
                f"no demand source {name!r}",
                expected=f"one of {', '.join(SOURCES)}",
                hint=near_hint(name, SOURCES),
            )
    if len(set(names)) < len(names):
        raise InputError("a demand source is named twice", expected="each once: they add up")
    planner = make_planner(parts.config)
    made = _Made(parts, planner, RunCosts(planner, make_layouts(parts.config)), tuple(names))
    return tuple(_SOURCES[name](made) for name in names)
