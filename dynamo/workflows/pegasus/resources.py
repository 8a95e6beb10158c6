"""What a job of a Pegasus workflow asks for in its profiles; what a plan cannot keep is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo.documents.problems import Problems
from dynamo.workflows.document import MAX_PRIORITY, MAX_RETRIES, ResourceSpec
from dynamo.workflows.model import Resources
from dynamo.workflows.pegasus.shapes import object_at, texts_at, whole_at

_DEFAULT = Resources()
#: Profiles that a job keeps. `runtime` and `label` are what we predict and choose anew in every run.
_KEPT: dict[str, tuple[str, ...]] = {
    "pegasus": ("cores", "memory", "diskspace", "maxwalltime", "runtime", "label"),
    "condor": ("request_cpus", "request_memory", "priority"),
    "dagman": ("RETRY",),
}
_WHY = {
    "env": "modules take parameters, and the engine sets their environment",
    "selector": "the engine chooses the site",
    "hints": "the engine chooses the site",
}


class ResourceReader:
    """Reads profiles job by job.

    Parameters
    ----------
    problems
        Receives what is wrong, and what would get lost.
    priority
        The priority of the workflow: a job has no other.
    """

    def __init__(self, problems: Problems, priority: int) -> None:
        self._problems = problems
        self._priority = priority

    def read(self, path: str, item: Mapping[str, Any]) -> tuple[Resources, int]:
        """Return the resources of a job and how often it is repeated."""
        where = f"{path}.profiles"
        profiles = self._namespaces(where, item.get("profiles"), _KEPT)
        pegasus, condor, dagman = (profiles.get(name, {}) for name in ("pegasus", "condor", "dagman"))
        metadata = texts_at(self._problems, f"{path}.metadata", item.get("metadata"))

        def number(values: Mapping[str, Any], key: str, place: str, default: int, least: int, most: int) -> int:
            value = whole_at(self._problems, f"{place}.{key}", values.get(key), least, most)
            return default if value is None else value

        limits = {name: _limits(name) for name in ResourceSpec.model_fields}
        # 0 minutes: use the default limit.
        minutes = number(pegasus, "maxwalltime", f"{where}.pegasus", 0, 0, limits["max_seconds"][1] // 60)
        cpus = number(condor, "request_cpus", f"{where}.condor", _DEFAULT.cpus, *limits["cpus"])
        memory_mb = number(condor, "request_memory", f"{where}.condor", _DEFAULT.memory_mb, *limits["memory_mb"])
        seconds = minutes * 60 or _DEFAULT.max_seconds
        priority = number(condor, "priority", f"{where}.condor", self._priority, -MAX_PRIORITY, MAX_PRIORITY)
        if priority != self._priority:
            self._problems.add(
                f"{where}.condor.priority",
                f"is {priority}, but a job has the priority of its workflow",
                expected=f"{self._priority}, or metadata dynamo.priority of the workflow",
            )
        retry = next((key for key in dagman if key.upper() == "RETRY"), "RETRY")
        resources = Resources(
            cpus=number(pegasus, "cores", f"{where}.pegasus", cpus, *limits["cpus"]),
            memory_mb=number(pegasus, "memory", f"{where}.pegasus", memory_mb, *limits["memory_mb"]),
            disk_mb=number(pegasus, "diskspace", f"{where}.pegasus", _DEFAULT.disk_mb, *limits["disk_mb"]),
            max_seconds=number(metadata, "dynamo.max_seconds", f"{path}.metadata", seconds, *limits["max_seconds"]),
        )
        return resources, number(dagman, retry, f"{where}.dagman", 1, 0, MAX_RETRIES)

    def none_kept(self, path: str, profiles: Any) -> None:
        """Refuse the profiles of a whole workflow: only jobs have resources."""
        self._namespaces(path, profiles, {})

    def _namespaces(
        self, path: str, profiles: Any, kept: Mapping[str, tuple[str, ...]]
    ) -> dict[str, Mapping[str, Any]]:
        """Return profiles by namespace; refuse those that would get lost."""
        found: dict[str, Mapping[str, Any]] = {}
        for name, given in object_at(self._problems, path, profiles).items():
            found[name] = object_at(self._problems, f"{path}.{name[:40]}", given)
            known = kept.get(name, ())
            for key in found[name]:
                # DAGMan's commands may be written in lower case.
                if (key.upper() if name == "dagman" else key) not in known:
                    why = f": {_WHY[name]}" if name in _WHY else ""
                    self._problems.add(
                        f"{path}.{name[:40]}.{key[:40]}",
                        f"would get lost{why}",
                        expected=", ".join(known) or f"no {name[:40]} profile here",
                        nearest=self._problems.nearest(key, known),
                    )
        return found


def _limits(resource: str) -> tuple[int, int]:
    """Return the minimum and maximum of a resource, as in our own documents."""
    bounds = ResourceSpec.model_fields[resource].metadata
    least, most = (next(getattr(bound, name) for bound in bounds if hasattr(bound, name)) for name in ("ge", "le"))
    return int(least), int(most)
