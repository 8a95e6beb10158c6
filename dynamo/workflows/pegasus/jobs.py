"""Reading the jobs of a Pegasus abstract workflow, checking each against its module's contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo.contract import Module
from dynamo.documents.problems import Problems, shown
from dynamo.errors import InputError
from dynamo.workflows.arguments import Files, parse_arguments
from dynamo.workflows.document import MAX_FILES, MAX_RETRIES, InputSpec, ResourceSpec
from dynamo.workflows.model import Job, Resources
from dynamo.workflows.names import check_job_id
from dynamo.workflows.ports import check_count, check_format, check_names, formats_of

_JOB = ("type", "namespace", "name", "version", "id", "nodeLabel", "arguments", "uses", "profiles", "metadata")
_USE = ("lfn", "type", "stageOut", "registerReplica", "metadata", "size", "bypass", "optional", "forPlanning")
_WHY = {
    "hooks": "hooks run commands",
    "stdin": "modules do not read standard input",
    "stdout": "modules write their outputs themselves",
    "stderr": "the engine captures job output",
    "transformationCatalog": "only registered modules can run",
    "siteCatalog": "the engine knows its sites",
}
_DEFAULT = Resources()


class JobReader:
    """Reads jobs one by one; records which files to publish, and in which order."""

    def __init__(self, problems: Problems, contracts: Mapping[str, Module]) -> None:
        self._problems = problems
        self._contracts = contracts
        self._staged: dict[str, int | None] = {}
        self._ids: set[str] = set()

    def job(self, index: int, item: Any) -> Job | None:
        """Return the job, or None after recording its problems."""
        path = f"$.jobs[{index}]"
        if not isinstance(item, dict):
            self._problems.add(path, "not a job", expected="an object {...}")
            return None
        before = len(self._problems)
        only_keys(self._problems, path, item, _JOB)
        if item.get("type", "job") != "job":
            self._problems.add(f"{path}.type", f"is {shown(item.get('type'))}", expected="job (no sub-workflows)")
        identity = item.get("id")
        if not isinstance(identity, str) or not is_job_id(identity):
            self._problems.add(
                f"{path}.id", f"not an id: {shown(identity)}", expected="a letter, then letters, digits, _ -"
            )
        elif identity in self._ids:
            self._problems.add(f"{path}.id", f"duplicate job id {identity}", expected="a unique id")
        else:
            self._ids.add(identity)
        module = self._contracts.get(name) if isinstance(name := item.get("name"), str) else None
        if module is None:
            self._problems.add_unknown(f"{path}.name", "module", str(name), self._contracts)
            return None
        arguments = item.get("arguments")
        if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
            for position, argument in enumerate(arguments if isinstance(arguments, list) else ()):
                if not isinstance(argument, str):
                    self._problems.add(
                        f"{path}.arguments[{position}]", f"{shown(argument)} is not a string", expected="a string"
                    )
            if not isinstance(arguments, list):
                self._problems.add(f"{path}.arguments", "no arguments", expected="a list of strings")
            return None
        try:
            called, inputs, outputs, given = parse_arguments(arguments, self._contracts)
            values = called.complete(given, where="arguments")
        except InputError as error:
            self._problems.add(
                f"{path}.{error.where}", error.what, expected=error.expected or "", nearest=_guess(error)
            )
            return None
        if called.name != module.name:
            self._problems.add(f"{path}.arguments[0]", f"calls {called.name}", expected=module.name)
        check_names(
            self._problems,
            f"{path}.arguments",
            "input",
            given=inputs,
            ports=module.inputs,
            module=module.name,
        )
        check_names(
            self._problems,
            f"{path}.arguments",
            "output",
            given=outputs,
            ports=module.outputs,
            module=module.name,
        )
        for ports, files in ((module.inputs, inputs), (module.outputs, outputs)):
            for port in ports:
                if port.name in files:
                    check_count(self._problems, f"{path}.arguments", port, len(files[port.name]))
        self._uses(path, item.get("uses"), inputs, outputs)
        resources, retries = self._resources(path, item)
        if len(self._problems) > before:
            return None
        return Job(
            id=str(identity),
            module=module.name,
            inputs=inputs,
            outputs=outputs,
            arguments=values,
            resources=resources,
            retries=retries,
        )

    def _uses(self, path: str, uses: Any, inputs: Files, outputs: Files) -> None:
        wanted = {
            **{lfn: "input" for lfns in inputs.values() for lfn in lfns},
            **{lfn: "output" for lfns in outputs.values() for lfn in lfns},
        }
        found: set[str] = set()
        for position, use in enumerate(list_at(self._problems, f"{path}.uses", uses)):
            where = f"{path}.uses[{position}]"
            if not isinstance(use, dict):
                self._problems.add(where, "not a file", expected="an object {lfn, type}")
                continue
            only_keys(self._problems, where, use, _USE)
            lfn, kind = use.get("lfn"), use.get("type")
            if not isinstance(lfn, str) or lfn not in wanted:
                self._problems.add(
                    f"{where}.lfn",
                    f"{shown(lfn)} is not in the arguments",
                    expected="a file named in the arguments",
                    nearest=self._problems.nearest(str(lfn), wanted),
                )
            elif kind != wanted[lfn]:
                self._problems.add(f"{where}.type", f"is {shown(kind)}", expected=wanted[lfn])
            else:
                found.add(lfn)
                if kind == "output" and use.get("stageOut", True):
                    metadata = texts_at(self._problems, f"{where}.metadata", use.get("metadata"))
                    number = number_at(self._problems, f"{where}.metadata", metadata.get("dynamo.product"))
                    self._staged[lfn] = None if number is None else int(number)
        for lfn, kind in wanted.items():
            if lfn not in found:
                self._problems.add(f"{path}.uses", f"missing {lfn}, which the arguments name", expected=f"type {kind}")

    def _resources(self, path: str, item: Mapping[str, Any]) -> tuple[Resources, int]:
        profiles = _object(item, "profiles")
        pegasus, dagman, condor = (_object(profiles, name) for name in ("pegasus", "dagman", "condor"))
        where = f"{path}.profiles"
        metadata = texts_at(self._problems, f"{path}.metadata", item.get("metadata"))

        def number(values: Mapping[str, Any], key: str, place: str, default: int, least: int, most: int) -> int:
            value = number_at(self._problems, f"{place}.{key}", values.get(key))
            if value is not None and (not least <= value <= most or value != int(value)):
                expected = f"a whole number from {least} to {most}"
                self._problems.add(f"{place}.{key}", f"is {value:g}", expected=expected)
                return default
            return default if value is None else int(value)

        limits = {name: _limits(name) for name in ResourceSpec.model_fields}
        # 0 minutes: use the default limit.
        minutes = number(pegasus, "maxwalltime", f"{where}.pegasus", 0, 0, limits["max_seconds"][1] // 60)
        cpus = number(condor, "request_cpus", f"{where}.condor", _DEFAULT.cpus, *limits["cpus"])
        memory_mb = number(condor, "request_memory", f"{where}.condor", _DEFAULT.memory_mb, *limits["memory_mb"])
        seconds = minutes * 60 or _DEFAULT.max_seconds
        retry = "RETRY" if "RETRY" in dagman else "retry"
        resources = Resources(
            cpus=number(pegasus, "cores", f"{where}.pegasus", cpus, *limits["cpus"]),
            memory_mb=number(pegasus, "memory", f"{where}.pegasus", memory_mb, *limits["memory_mb"]),
            disk_mb=number(pegasus, "diskspace", f"{where}.pegasus", _DEFAULT.disk_mb, *limits["disk_mb"]),
            max_seconds=number(metadata, "dynamo.max_seconds", f"{path}.metadata", seconds, *limits["max_seconds"]),
        )
        return resources, number(dagman, retry, f"{where}.dagman", 1, 0, MAX_RETRIES)

    def check_dependencies(self, dependencies: Any, jobs: list[Job]) -> None:
        """Record dependencies without a file, which the plan would lose."""
        writers = {lfn: job.id for job in jobs for lfn in job.writes}
        parents = {job.id: {writers[lfn] for lfn in job.reads if lfn in writers} for job in jobs}
        for index, item in enumerate(list_at(self._problems, "$.jobDependencies", dependencies)):
            path = f"$.jobDependencies[{index}]"
            if not isinstance(item, dict) or not isinstance(item.get("id"), str):
                self._problems.add(path, "not a dependency", expected='{"id": ..., "children": [...]}')
                continue
            if item["id"] not in self._ids:
                self._problems.add_unknown(f"{path}.id", "job", item["id"], self._ids)
                continue
            for position, child in enumerate(list_at(self._problems, f"{path}.children", item.get("children"))):
                where = f"{path}.children[{position}]"
                if child not in parents:
                    self._problems.add_unknown(where, "job", str(child), parents)
                elif item["id"] not in parents[child]:
                    self._problems.add(
                        where,
                        f"{child} reads no file from {item['id']}",
                        expected="dependencies through files",
                    )

    def check_files(self, jobs: list[Job]) -> dict[str, InputSpec]:
        """Record files written twice or in the wrong format; return the external inputs with their formats."""
        formats: dict[str, str] = {}
        count = 0
        for index, job in enumerate(jobs):
            for port in self._contracts[job.module].outputs:
                for lfn in job.outputs.get(port.name, ()):
                    count += 1
                    if lfn in formats:
                        self._problems.add(f"$.jobs[{index}].uses", f"{lfn} is written twice", expected="one writer")
                    formats[lfn] = port.format
        inputs: dict[str, InputSpec] = {}
        for index, job in enumerate(jobs):
            for port in self._contracts[job.module].inputs:
                for lfn in job.inputs.get(port.name, ()):
                    count += 1
                    if lfn in formats:
                        check_format(self._problems, f"$.jobs[{index}].uses", port, lfn, formats[lfn])
                    else:
                        inputs.setdefault(lfn, InputSpec(format="|".join(formats_of(port))))
        if count > MAX_FILES:
            self._problems.add("$.jobs", f"{count} job files", expected=f"at most {MAX_FILES}")
        return inputs

    def products(self, jobs: list[Job]) -> tuple[str, ...]:
        """Return the files to publish: in their recorded order, then in job order."""
        natural = [lfn for job in jobs for lfn in job.writes if lfn in self._staged]
        last = len(natural)
        return tuple(sorted(natural, key=lambda lfn: last if (n := self._staged[lfn]) is None else n))


def only_keys(problems: Problems, path: str, item: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    """Record unsupported keys, and why."""
    for key in item:
        if key not in known and not str(key).startswith("x-"):
            problems.add(
                f"{path}.{str(key)[:40]}",
                f"unsupported{': ' + _WHY[key] if key in _WHY else ''}",
                expected=", ".join(known),
                nearest=problems.nearest(str(key), known),
            )


def list_at(problems: Problems, path: str, value: Any) -> list[Any]:
    """Return the list at a path, empty if None; record anything else as a problem."""
    if value is None:
        return []
    if not isinstance(value, list):
        problems.add(path, f"not a list: {shown(value)}", expected="a list")
        return []
    return value


def _object(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def texts_at(problems: Problems, path: str, value: Any) -> dict[str, str]:
    """Return the object of strings at a path, empty if None; record anything else as a problem."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        problems.add(path, "metadata values are not strings", expected="an object of strings")
        return {}
    return value


def number_at(problems: Problems, path: str, value: Any) -> float | None:
    """Return the number at a path, if any; record anything else as a problem."""
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < float("inf"):
        problems.add(path, f"not a number: {shown(value)}", expected="a number, without a unit")
        return None
    return number


def _limits(resource: str) -> tuple[int, int]:
    """Return the minimum and maximum of a resource, as in our own documents."""
    bounds = ResourceSpec.model_fields[resource].metadata
    least, most = (next(getattr(bound, name) for bound in bounds if hasattr(bound, name)) for name in ("ge", "le"))
    return int(least), int(most)


def is_job_id(text: str) -> bool:
    """Return whether a text is a valid job id."""
    try:
        check_job_id(text)
    except InputError:
        return False
    return True


def _guess(error: InputError) -> str:
    return (error.hint or "").removeprefix("did you mean ").removesuffix("?")
