"""Restrict remote specs: they must not use the files or the shell of this machine."""

from __future__ import annotations

from dynamo.documents.problems import Problem, Problems
from dynamo.provision.spec.errors import SpecError, spec_path
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.spec.loading import load_spec

_HINT = "remove it, or start the daemon with --api-local-files"
#: Words in driver options that name files or folders of this machine.
_PATH_WORDS = ("file", "folder", "dir", "path", "root")


def refuse_local(spec: FleetSpec) -> None:
    """Reject a spec that names files of this machine, or runs scripts on it.

    Raises
    ------
    SpecError
        With the location of each.
    """
    problems = Problems()
    for name in ("state", "condor_config"):
        if getattr(spec.pool, name) is not None:
            _add(problems, ("pool", name), "names a file of the server")
    for site_name, site in spec.sites.items():
        for option in site.options:
            if any(word in option.lower().split("_") for word in _PATH_WORDS):
                _add(problems, ("sites", site_name, "options", option), "names a file of the server")
        if site.worker.condor_prefix is not None and site.driver == "local":
            _add(problems, ("sites", site_name, "worker", "condor_prefix"), "names a folder of the server")
    found = (*problems.all, *local_scripts(spec))
    if found:
        raise SpecError(found)


def local_scripts(spec: FleetSpec) -> tuple[Problem, ...]:
    """Return the locations of scripts that would run on this machine: those for workers that are local processes."""
    problems = Problems()
    local = [group for group in spec.compute if spec.sites[group.site].driver == "local"]
    for position, group in enumerate(spec.compute):
        if group in local and group.post_boot_script.strip():
            _add(problems, ("compute", position, "postBootScript"), "would run on the server itself")
    for position in range(len(spec.script) if local else 0):
        _add(problems, ("script", position), "would run on the server itself: the spec has a local site")
    return problems.all


def refuse_mixture(spec: FleetSpec) -> None:
    """Reject a mix of simulated and real sites: no pool can have both, and the whole fleet would stall.

    Raises
    ------
    SpecError
        If so.
    """
    simulated = [name for name, site in spec.sites.items() if site.driver == "simulated"]
    if simulated and len(simulated) < len(spec.sites):
        what = f"{', '.join(simulated)} are simulated, the others are not"
        raise SpecError([Problem("sites", what, "all simulated, or none")])


def refuse_unreadable(spec: FleetSpec) -> None:
    """Reject a spec that could not be read back once stored: its fleet would stall.

    Raises
    ------
    SpecError
        If so: the derived values are invalid.
    """
    load_spec(spec.to_json(), name=spec.name)


def _add(problems: Problems, place: tuple[str | int, ...], what: str) -> None:
    problems.add(spec_path(place), what, expected=_HINT)
