"""Build the run service from a configuration: the one place where its parts are assembled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dynamo.checks.judging import CheckRule
from dynamo.config.file import Config
from dynamo.engines.base import Engine
from dynamo.runs.engines import EngineFactory
from dynamo.runs.events import RunEvents
from dynamo.runs.planning import Planner
from dynamo.runs.service import RunService
from dynamo.runs.settings import RunSettings
from dynamo.runs.workflow_planner import LAYOUTS, DocumentPlanner, LayoutSettings
from dynamo.store.engine import Store, open_store

_HOUR_S = 3600.0


def _engine_options(config: Config) -> dict[str, dict[str, Any]]:
    options = {name: dict(section.options) for name, section in config.engines.items()}
    if config.autoscale.sites:
        # Capacity bought at a site for a workflow must be used by it.
        options.setdefault("condor", {}).setdefault("sites", dict(config.autoscale.sites))
    return options


def run_settings(config: Config) -> RunSettings:
    """Return the settings of the run service."""
    return RunSettings(
        runs_dir=config.runs_dir,
        products_dir=config.products_dir,
        engines=_engine_options(config),
        max_runs=config.runs.max_runs,
        fsync=config.runs.fsync,
        keep_succeeded_s=config.runs.keep_succeeded_h * _HOUR_S,
        keep_failed_s=config.runs.keep_failed_h * _HOUR_S,
        min_free_mb=config.runs.min_free_mb,
        refit_runs=config.runs.refit_runs,
        prov=config.provenance.prov,
        tells_steps=config.provenance.openlineage is not None,
        checks=check_rules(config),
        spared_triggers=frozenset(trigger.name for trigger in config.triggers if trigger.shed == "never"),
    )


def check_rules(config: Config) -> dict[str, CheckRule]:
    """Return what the configuration says about checks, by name."""
    return {
        name: CheckRule(section.severity, section.suspect, section.fail, section.enabled, tuple(section.series))
        for name, section in config.checks.items()
    }


def make_planner(config: Config) -> DocumentPlanner:
    """Return the planner with the configured layouts."""
    return DocumentPlanner(make_layouts(config))


def make_layouts(config: Config) -> dict[str, LayoutSettings]:
    """Return how the configured engines group jobs."""
    layouts: dict[str, LayoutSettings] = {}
    for name, section in config.engines.items():
        base = LAYOUTS.get(name, LayoutSettings())
        workers = section.options.get("workers")
        if isinstance(workers, int) and workers > 0:
            base = replace(base, slots=workers)
        given: dict[str, Any] = {
            key: value
            for key in ("slots", "job_overhead_s", "single_threshold_s")
            if (value := getattr(section, key)) is not None
        }
        layouts[name] = replace(base, **given)
    return layouts


def make_service(
    config: Config,
    *,
    store: Store | None = None,
    planner: Planner | None = None,
    engine_factory: EngineFactory | None = None,
    events: RunEvents | None = None,
) -> RunService:
    """Return the run service of a configuration; given parts replace the defaults."""
    return RunService(
        store or open_store(config.store_url),
        run_settings(config),
        planner=planner or make_planner(config),
        engine_factory=engine_factory or registered_engine,
        events=events,
    )


def registered_engine(name: str, options: Mapping[str, Any]) -> Engine:
    """Return a new engine from the registry."""
    from dynamo.engines.registry import create_engine

    return create_engine(name, **options)
