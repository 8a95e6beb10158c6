"""A run after expansion: logical jobs over logical file names, and their grouping for an engine.

Plain data: a workflow document and a Pegasus abstract workflow both become a `Plan`; every engine takes a `Plan` and
its `Layout`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dynamo.contract import Value
from dynamo.errors import InputError
from dynamo.workflows.branches import Branch


@dataclass(frozen=True)
class Resources:
    """Resources one job needs on a worker; after ``max_seconds`` of wall time it is considered hung."""

    cpus: int = 1
    memory_mb: int = 512
    disk_mb: int = 512
    max_seconds: int = 3600


@dataclass(frozen=True)
class Job:
    """One logical job: a module over logical file names (LFNs)."""

    id: str
    module: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    arguments: Mapping[str, Value]
    resources: Resources = Resources()
    retries: int = 1
    #: Predicted CPU seconds on one core, from the cost model.
    predicted_s: float = 0.0
    #: Features for the cost model (`dynamo.workflows.cost.features`), kept to learn from the run.
    features: Mapping[str, float] = field(default_factory=dict)
    #: The job runs if all of these hold; otherwise it is skipped.
    when: tuple[Branch, ...] = ()
    #: LFN of the file with the numbers that it records, if other jobs' conditions need them.
    numbers: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """All LFNs the job reads, for its module and for its conditions."""
        return (*files_of(self.inputs), *(lfn for branch in self.when for lfn in branch.files))

    @property
    def writes(self) -> tuple[str, ...]:
        """All LFNs the job writes."""
        return (*files_of(self.outputs), *((self.numbers,) if self.numbers else ()))


def files_of(ports: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return all files of a job's inputs or outputs."""
    return tuple(lfn for lfns in ports.values() for lfn in lfns)


@dataclass(frozen=True)
class Plan:
    """The abstract workflow of one run.

    Raises
    ------
    InputError
        If two jobs write the same LFN or share an id, an input has no source, the jobs form a cycle, or a file has
        the name of another file's folder.
    """

    name: str
    version: str
    jobs: tuple[Job, ...]
    #: External inputs: LFN to the absolute path of the file.
    replicas: Mapping[str, Path]
    #: LFNs to be published, in order.
    products: tuple[str, ...]
    #: The output of the document that each product belongs to, as ``JOB.PORT``; an abstract workflow has none.
    outputs: Mapping[str, str] = field(default_factory=dict, compare=False)
    description: str = ""
    deadline_s: float | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if len({job.id for job in self.jobs}) != len(self.jobs):
            raise InputError("two jobs share an id", where=self.name)
        for job in self.jobs:
            for lfn in job.reads:
                if lfn not in self.writers and lfn not in self.replicas:
                    raise InputError(
                        f"nothing provides {lfn}",
                        where=f"{self.name}: job {job.id}",
                        expected="an output of another job or an input of the workflow",
                    )
        for lfn in self.products:
            if lfn not in self.writers:
                raise InputError(f"no job writes the product {lfn}", where=self.name)
        self._check_folders()
        _ = self.ordered

    def _check_folders(self) -> None:
        """Check that no file's folder has the name of another file."""
        for lfn in (*self.writers, *self.replicas):
            end = lfn.find("/")
            while end >= 0:
                if (folder := lfn[:end]) in self.writers or folder in self.replicas:
                    raise InputError(
                        f"{folder} is both a file and the folder of {lfn}",
                        where=self.name,
                        expected="another file name",
                    )
                end = lfn.find("/", end + 1)

    @cached_property
    def writers(self) -> dict[str, str]:
        """The id of the job that writes each LFN."""
        writers: dict[str, str] = {}
        for job in self.jobs:
            for lfn in job.writes:
                if lfn in writers or lfn in self.replicas:
                    raise InputError(f"{lfn} is written twice", where=f"{self.name}: job {job.id}")
                writers[lfn] = job.id
        return writers

    @cached_property
    def by_id(self) -> dict[str, Job]:
        """The jobs by id."""
        return {job.id: job for job in self.jobs}

    @cached_property
    def parents(self) -> dict[str, frozenset[str]]:
        """The ids of the jobs that each job depends on."""
        return {job.id: frozenset(self.writers[lfn] for lfn in job.reads if lfn in self.writers) for job in self.jobs}

    @cached_property
    def ordered(self) -> tuple[Job, ...]:
        """The jobs, parents before children, otherwise in document order."""
        children: dict[str, list[str]] = {job.id: [] for job in self.jobs}
        missing = {name: len(parents) for name, parents in self.parents.items()}
        for name, parents in self.parents.items():
            for parent in parents:
                children[parent].append(name)
        position = {job.id: index for index, job in enumerate(self.jobs)}
        done: list[str] = []
        ready = [job.id for job in self.jobs if not missing[job.id]]
        while ready:
            done += ready
            freed = []
            for name in ready:
                for child in children[name]:
                    missing[child] -= 1
                    if not missing[child]:
                        freed.append(child)
            ready = sorted(freed, key=position.__getitem__)
        if len(done) < len(self.jobs):
            waiting = [name for name in missing if missing[name]]
            raise InputError(f"jobs wait for each other: {', '.join(waiting[:5])}", where=self.name)
        return tuple(self.by_id[name] for name in done)

    @property
    def predicted_s(self) -> float:
        """Predicted CPU seconds of all jobs."""
        return sum(job.predicted_s for job in self.jobs)


@dataclass(frozen=True)
class Task:
    """One physical job: logical jobs that one process runs in sequence."""

    id: str
    jobs: tuple[str, ...]
    parents: tuple[str, ...] = ()
    resources: Resources = Resources()
    predicted_s: float = 0.0


@dataclass(frozen=True)
class Layout:
    """The physical plan: how the logical jobs are grouped, and why."""

    kind: Literal["single", "clusters", "jobs"]
    tasks: tuple[Task, ...]
    reason: str


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON data; `plan_from_json` reads it back."""
    return {
        "name": plan.name,
        "version": plan.version,
        "description": plan.description,
        "deadline_s": plan.deadline_s,
        "priority": plan.priority,
        "replicas": {lfn: str(path) for lfn, path in plan.replicas.items()},
        "products": list(plan.products),
        "outputs": dict(plan.outputs),
        "jobs": [job_to_json(job) for job in plan.jobs],
    }


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """Read what `plan_to_json` wrote."""
    return Plan(
        name=data["name"],
        version=data["version"],
        description=data["description"],
        deadline_s=data["deadline_s"],
        priority=data["priority"],
        replicas={lfn: Path(path) for lfn, path in data["replicas"].items()},
        products=tuple(data["products"]),
        outputs=data.get("outputs", {}),
        jobs=tuple(job_from_json(job) for job in data["jobs"]),
    )


def job_to_json(job: Job) -> dict[str, Any]:
    """Return the job as JSON data."""
    return {
        "id": job.id,
        "module": job.module,
        "inputs": {port: list(lfns) for port, lfns in job.inputs.items()},
        "outputs": {port: list(lfns) for port, lfns in job.outputs.items()},
        "arguments": dict(job.arguments),
        "resources": vars(job.resources),
        "retries": job.retries,
        "predicted_s": job.predicted_s,
        "features": dict(job.features),
        "when": [{**vars(branch), "files": list(branch.files)} for branch in job.when],
        "numbers": job.numbers,
    }


def job_from_json(data: Mapping[str, Any]) -> Job:
    """Read what `job_to_json` wrote."""
    return Job(
        id=data["id"],
        module=data["module"],
        inputs={port: tuple(lfns) for port, lfns in data["inputs"].items()},
        outputs={port: tuple(lfns) for port, lfns in data["outputs"].items()},
        arguments=dict(data["arguments"]),
        resources=Resources(**data["resources"]),
        retries=data["retries"],
        predicted_s=data["predicted_s"],
        features=dict(data.get("features", {})),
        when=branches_from_json(data),
        # A plan of an earlier version has no branches.
        numbers=data.get("numbers", ""),
    )


def branches_from_json(data: Mapping[str, Any]) -> tuple[Branch, ...]:
    """Return the conditions of a job from what `job_to_json` wrote."""
    return tuple(Branch(**{**branch, "files": tuple(branch["files"])}) for branch in data.get("when", ()))
