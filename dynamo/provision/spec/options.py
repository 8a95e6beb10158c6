"""Check the driver-specific `options` of sites and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dynamo.documents.problems import Problems
from dynamo.doors import SITES
from dynamo.plugins import PluginError
from dynamo.provision.sites.registry import option_models
from dynamo.provision.spec.checks import default_driver
from dynamo.provision.spec.errors import add_validation_errors, spec_path


def add_option_errors(document: Mapping[str, Any], problems: Problems) -> None:
    """Record every error in the options of a spec, as far as their driver is known."""
    drivers: dict[str, str] = {}
    sites = document.get("sites")
    for name, site in sites.items() if isinstance(sites, Mapping) else ():
        if not isinstance(site, Mapping):
            continue
        drivers[name] = str(site.get("driver") or default_driver(name.partition(":")[0]))
        _check(("sites", name, "options"), site.get("options"), drivers[name], problems, group=False)
    groups = document.get("compute")
    for position, group in enumerate(groups if isinstance(groups, list | tuple) else ()):
        site = group.get("site") if isinstance(group, Mapping) else None
        if not isinstance(site, str) or (sites and site not in drivers):
            continue
        driver = drivers.get(site) or default_driver(site.partition(":")[0])
        _check(("compute", position, "options"), group.get("options"), driver, problems, group=True)


def _check(place: tuple[str | int, ...], options: object, driver: str, problems: Problems, *, group: bool) -> None:
    if driver not in SITES or not isinstance(options, Mapping):
        return  # reported by the part's model
    try:
        models = option_models(driver, group=group)
    except PluginError as error:
        problems.add(spec_path(place), str(error))
        return
    known = {name for model in models for name in model.model_fields}
    for name in options:
        if name not in known:
            problems.add_unknown(
                spec_path((*place, name)), f"option of {driver} {'groups' if group else 'sites'}", name, known
            )
    for model in models:
        mine = {name: value for name, value in options.items() if name in model.model_fields}
        try:
            model.model_validate(mine)
        except ValidationError as error:
            found = Problems()
            add_validation_errors(found, error, mine, model=model)
            for problem in found.all:
                path = spec_path(place) + (f".{problem.path}" if problem.path else "")
                problems.add(path, problem.what, expected=problem.expected, nearest=problem.nearest)
