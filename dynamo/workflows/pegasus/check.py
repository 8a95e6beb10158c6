"""Checks for mistakes that ``pegasus-plan`` silently accepts and that fail later.

Bogus profile keys, wrong versions, non-string arguments, memory with a unit, undefined sites, and (for completeness)
what the planner refuses too: missing replicas and transformations, duplicate ids, cycles, undefined containers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from Pegasus.api import Properties

from dynamo.documents.problems import Problem, Problems, json_path, shown
from dynamo.workflows.pegasus.profiles import FREE, NAMESPACES, SCHEMA_VERSION, expectation
from dynamo.workflows.pegasus.shapes import list_at, object_at

_DATA_CONFIGURATIONS = ("condorio", "sharedfs", "nonsharedfs")


def check(
    workflow: Any,
    sites: Any,
    transformations: Any,
    replicas: Any,
    properties: Mapping[str, str],
    *,
    site: str,
) -> tuple[Problem, ...]:
    """Return every problem in a set of Pegasus documents given as plain data."""
    problems = Problems()
    for name, data in (
        ("workflow.yml", workflow),
        ("sites.yml", sites),
        ("transformations.yml", transformations),
        ("replicas.yml", replicas),
    ):
        check_version(problems, name, data)
    names = {str(item.get("name")) for item in _items(sites, "sites")}
    _check_sites(problems, sites, names, site)
    known = _check_transformations(problems, transformations, names, site)
    provided = {str(item.get("lfn")) for item in _items(replicas, "replicas")}
    for index, item in enumerate(_items(replicas, "replicas")):
        for position, pfn in enumerate(_items(item, "pfns")):
            # The planner always has `local`; other names must be sites.
            if str(pfn.get("site")) not in names | {"local"}:
                problems.add_unknown(
                    f"replicas.yml$.replicas[{index}].pfns[{position}].site",
                    "site",
                    str(pfn.get("site")),
                    names,
                )
    _check_jobs(problems, workflow, known, provided)
    _check_properties(problems, properties)
    return problems.all


def check_version(problems: Problems, name: str, data: Any) -> None:
    """Record a schema version that is not Pegasus 5."""
    version = data.get("pegasus") if isinstance(data, dict) else None
    if not isinstance(version, str) or not SCHEMA_VERSION.match(version):
        problems.add(f"{name}$.pegasus", f"version {shown(version)}", expected='a string such as "5.0.4"')


def check_profiles(problems: Problems, path: str, profiles: Any) -> None:
    """Record profiles unknown to Pegasus and invalid values."""
    if profiles is None:
        return
    if not isinstance(profiles, dict):
        problems.add(path, "profiles are not an object", expected="{namespace: {key: value}}")
        return
    for namespace, values in profiles.items():
        where = f"{path}.{namespace}"
        if namespace in FREE or namespace.startswith("x-"):
            continue
        if namespace not in NAMESPACES:
            problems.add_unknown(where, "profile namespace", namespace, {*NAMESPACES, *FREE})
            continue
        known = NAMESPACES[namespace]
        for key, value in object_at(problems, where, values).items():
            name = key.upper() if namespace == "dagman" else key
            if namespace == "condor" and (key.startswith("+") or key.lower().startswith("my.")):
                continue
            if namespace == "dagman" and name.endswith(".MAXJOBS"):
                continue
            if name not in known:
                problems.add_unknown(f"{where}.{key}", f"{namespace} profile", key, known)
            elif isinstance(value, bool | list | dict) or value is None or not known[name].match(str(value)):
                problems.add(f"{where}.{key}", f"value {shown(value)}", expected=expectation(known[name]))


def _check_sites(problems: Problems, sites: Any, names: set[str], site: str) -> None:
    for wanted in ("local", site):
        if wanted not in names:
            problems.add("sites.yml$.sites", f"missing site {wanted}", expected=f"the sites local and {site}")
    for index, item in enumerate(_items(sites, "sites")):
        path = f"sites.yml$.sites[{index}]"
        check_profiles(problems, f"{path}.profiles", item.get("profiles"))
        kinds = {str(folder.get("type")) for folder in _items(item, "directories") if folder.get("fileServers")}
        if item.get("name") == "local":
            for kind in ("sharedScratch", "localStorage"):
                if kind not in kinds:
                    problems.add(f"{path}.directories", f"site local has no {kind} with a file server", expected=kind)
        if item.get("name") == site:
            profiles = _object(item, "profiles")
            for namespace, key, value in (("pegasus", "style", "condor"), ("condor", "universe", "vanilla")):
                given = _object(profiles, namespace).get(key)
                if given != value:
                    problems.add(f"{path}.profiles.{namespace}.{key}", f"is {shown(given)}", expected=value)


def _check_transformations(problems: Problems, data: Any, sites: set[str], site: str) -> set[str]:
    containers = {str(item.get("name")) for item in _items(data, "containers")}
    known: set[str] = set()
    for index, item in enumerate(_items(data, "transformations")):
        path = f"transformations.yml$.transformations[{index}]"
        check_profiles(problems, f"{path}.profiles", item.get("profiles"))
        places: set[str] = set()
        for position, place in enumerate(_items(item, "sites")):
            where = f"{path}.sites[{position}]"
            places.add(str(place.get("name")))
            check_profiles(problems, f"{where}.profiles", place.get("profiles"))
            if str(place.get("name")) not in sites:
                problems.add_unknown(f"{where}.name", "site", str(place.get("name")), sites)
            if place.get("type") not in ("installed", "stageable"):
                problems.add(f"{where}.type", f"is {shown(place.get('type'))}", expected="installed or stageable")
            container = place.get("container")
            if container is not None and str(container) not in containers:
                problems.add_unknown(f"{where}.container", "container", str(container), containers)
        if site not in places:
            problems.add(f"{path}.sites", f"not available on the execution site {site}", expected=site)
        known.add(_full_name(item))
    return known


def _check_jobs(problems: Problems, workflow: Any, known: set[str], provided: set[str]) -> None:
    jobs = _items(workflow, "jobs")
    written = {
        str(use.get("lfn")): index
        for index, job in enumerate(jobs)
        for use in _items(job, "uses")
        if use.get("type") == "output"
    }
    check_profiles(problems, "workflow.yml$.profiles", workflow.get("profiles") if isinstance(workflow, dict) else None)
    ids: set[str] = set()
    for index, job in enumerate(jobs):
        path = f"workflow.yml$.jobs[{index}]"
        check_profiles(problems, f"{path}.profiles", job.get("profiles"))
        identity = str(job.get("id"))
        if identity in ids:
            problems.add(f"{path}.id", f"duplicate job id {identity}", expected="a unique id")
        ids.add(identity)
        if _full_name(job) not in known:
            problems.add_unknown(f"{path}.name", "transformation", _full_name(job), known)
        arguments = job.get("arguments")
        for position, argument in enumerate(arguments if isinstance(arguments, list) else ()):
            if not isinstance(argument, str):
                problems.add(f"{path}.arguments[{position}]", f"{shown(argument)} is not a string", expected="a string")
        for position, use in enumerate(_items(job, "uses")):
            lfn = str(use.get("lfn"))
            if use.get("type") == "input" and lfn not in provided and lfn not in written:
                problems.add(
                    f"{path}.uses[{position}].lfn",
                    f"nothing provides {lfn}",
                    expected="a replica or an output",
                )
    check_dependencies(problems, "workflow.yml", workflow, ids)


def check_dependencies(problems: Problems, name: str, workflow: Any, ids: set[str]) -> None:
    """Record dependencies on unknown jobs, and cycles."""
    children: dict[str, set[str]] = {}
    for index, item in enumerate(_items(workflow, "jobDependencies")):
        path = f"{name}$.jobDependencies[{index}]"
        listed = list_at(problems, f"{path}.children", item.get("children"))
        named = [("id", item.get("id"))]
        named += [(f"children[{position}]", child) for position, child in enumerate(listed)]
        for key, job in named:
            if str(job) not in ids:
                problems.add_unknown(f"{path}.{key}", "job", str(job), ids)
        children.setdefault(str(item.get("id")), set()).update(str(child) for child in listed)
    waiting = dict.fromkeys(ids, 0)
    for named_children in children.values():
        for child in named_children:
            if child in waiting:
                waiting[child] += 1
    ready = [job for job, count in waiting.items() if not count]
    done = 0
    while ready:
        done += 1
        for child in children.get(ready.pop(), ()):
            if child in waiting:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
    if done < len(waiting):
        cycle = sorted(job for job, count in waiting.items() if count)
        problems.add(
            f"{name}$.jobDependencies",
            f"circular dependency: {', '.join(cycle[:5])}",
            expected="no cycle",
        )


def _check_properties(problems: Problems, properties: Mapping[str, str]) -> None:
    for key, value in properties.items():
        path = f"pegasus.properties{json_path([key])}"
        # The API exposes this list only as a private method; it warns on writing but never on reading.
        if not Properties._check_key(key):
            problems.add(path, "unknown property", expected="a property of Pegasus 5.1")
        if key == "pegasus.data.configuration" and value not in _DATA_CONFIGURATIONS:
            problems.add(path, f"value {shown(value)}", expected=", ".join(_DATA_CONFIGURATIONS))


def _items(data: Any, key: str) -> list[dict[str, Any]]:
    found: Iterable[Any] = (data.get(key) if isinstance(data, dict) else None) or ()
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _full_name(item: Mapping[str, Any]) -> str:
    namespace, version = item.get("namespace"), item.get("version")
    text = f"{namespace}::{item.get('name')}" if namespace else str(item.get("name"))
    return f"{text}:{version}" if version else text
