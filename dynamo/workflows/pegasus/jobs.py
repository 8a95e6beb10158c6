"""Reading the jobs of a Pegasus abstract workflow, checking each against its module's contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dynamo.contract import Module
from dynamo.documents.problems import Problems, shown
from dynamo.errors import InputError
from dynamo.workflows.arguments import Arguments, read_arguments
from dynamo.workflows.document import MAX_FILES, InputSpec
from dynamo.workflows.model import Job, files_of
from dynamo.workflows.names import check_job_id
from dynamo.workflows.pegasus.resources import ResourceReader
from dynamo.workflows.pegasus.shapes import flag_at, list_at, only_keys, texts_at, whole_at
from dynamo.workflows.ports import check_count, check_format, check_names, formats_of

_JOB = ("type", "namespace", "name", "version", "id", "nodeLabel", "arguments", "uses", "profiles", "metadata")
_DEPENDENCY = ("id", "children")
_USE = ("lfn", "type", "stageOut", "registerReplica", "metadata", "size", "bypass", "optional", "forPlanning")


class JobReader:
    """Reads jobs one by one; records which files to publish, and in which order."""

    def __init__(self, problems: Problems, contracts: Mapping[str, Module], priority: int = 0) -> None:
        self._problems = problems
        self._contracts = contracts
        self._resources = ResourceReader(problems, priority)
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
        resources, retries = self._resources.read(path, item)
        called = self._call(path, item)
        self._uses(path, item.get("uses"), None if called is None else _uses_of(called))
        if called is None or len(self._problems) > before:
            return None
        return Job(
            id=str(identity),
            module=called.checked().name,
            inputs=called.inputs,
            outputs=called.outputs,
            arguments=called.parameters,
            resources=resources,
            retries=retries,
            when=called.when,
            numbers=called.numbers,
        )

    def _call(self, path: str, item: Mapping[str, Any]) -> Arguments | None:
        """Return the arguments of a job with all parameters, or None after recording problems."""
        module = self._contracts.get(name) if isinstance(name := item.get("name"), str) else None
        if module is None:
            self._problems.add_unknown(f"{path}.name", "module", str(name), self._contracts)
            return None
        arguments = item.get("arguments")
        if not isinstance(arguments, list):
            self._problems.add(f"{path}.arguments", "no arguments", expected="a list of strings")
            return None
        wrong = [position for position, argument in enumerate(arguments) if not isinstance(argument, str)]
        for position in wrong:
            self._problems.add(
                f"{path}.arguments[{position}]", f"{shown(arguments[position])} is not a string", expected="a string"
            )
        if wrong:
            return None
        call = read_arguments(arguments, self._contracts)
        for error in call.errors:
            self._problems.add(
                f"{path}.{error.where}", error.what, expected=error.expected or "", nearest=_guess(error)
            )
        if call.module is None or call.errors:
            return None
        if call.module.name != module.name:
            self._problems.add(f"{path}.arguments[0]", f"calls {call.module.name}", expected=module.name)
            return None
        for kind, ports, files in (("input", module.inputs, call.inputs), ("output", module.outputs, call.outputs)):
            check_names(self._problems, f"{path}.arguments", kind, given=files, ports=ports, module=module.name)
            for port in ports:
                if port.name in files:
                    check_count(self._problems, f"{path}.arguments", port, len(files[port.name]))
        try:
            return replace(call, parameters=module.complete(call.parameters, where="arguments"))
        except InputError as error:
            self._problems.add(f"{path}.{error.where}", error.what, expected=error.expected or "")
            return None

    def _uses(self, path: str, uses: Any, wanted: Mapping[str, str] | None) -> None:
        """Check the files of a job; against its arguments, if these could be read."""
        found: set[str] = set()
        for position, use in enumerate(list_at(self._problems, f"{path}.uses", uses)):
            where = f"{path}.uses[{position}]"
            if not isinstance(use, dict):
                self._problems.add(where, "not a file", expected="an object {lfn, type}")
                continue
            only_keys(self._problems, where, use, _USE)
            lfn, kind = use.get("lfn"), use.get("type")
            metadata = texts_at(self._problems, f"{where}.metadata", use.get("metadata"))
            number = whole_at(
                self._problems, f"{where}.metadata.dynamo.product", metadata.get("dynamo.product"), 0, MAX_FILES
            )
            staged = flag_at(self._problems, f"{where}.stageOut", use.get("stageOut"), True)
            if not isinstance(lfn, str):
                self._problems.add(f"{where}.lfn", f"not a name: {shown(lfn)}", expected="a logical file name")
            elif kind not in ("input", "output"):
                self._problems.add(f"{where}.type", f"is {shown(kind)}", expected="input or output")
            elif wanted is None:
                continue
            elif lfn not in wanted:
                self._problems.add(
                    f"{where}.lfn",
                    f"{shown(lfn)} is not in the arguments",
                    expected="a file named in the arguments",
                    nearest=self._problems.nearest(lfn, wanted),
                )
            elif kind != wanted[lfn]:
                self._problems.add(f"{where}.type", f"is {shown(kind)}", expected=wanted[lfn])
            else:
                found.add(lfn)
                if kind == "output" and staged:
                    self._staged[lfn] = number
        for lfn, kind in (wanted or {}).items():
            if lfn not in found:
                self._problems.add(f"{path}.uses", f"missing {lfn}, which the arguments name", expected=f"type {kind}")

    def check_dependencies(self, dependencies: Any, jobs: list[Job] | None) -> None:
        """Record dependencies without a file, which the plan would lose; None for jobs that could not all be read."""
        writers = {lfn: job.id for job in jobs or () for lfn in job.writes}
        parents = {job.id: {writers[lfn] for lfn in job.reads if lfn in writers} for job in jobs or ()}
        for index, item in enumerate(list_at(self._problems, "$.jobDependencies", dependencies)):
            path = f"$.jobDependencies[{index}]"
            if not isinstance(item, dict):
                self._problems.add(path, "not a dependency", expected='{"id": ..., "children": [...]}')
                continue
            only_keys(self._problems, path, item, _DEPENDENCY)
            parent = self._id_at(f"{path}.id", item.get("id"))
            for position, given in enumerate(list_at(self._problems, f"{path}.children", item.get("children"))):
                where = f"{path}.children[{position}]"
                child = self._id_at(where, given)
                if parent and child in parents and parent not in parents[child]:
                    self._problems.add(
                        where, f"{child} reads no file from {parent}", expected="dependencies through files"
                    )

    def _id_at(self, path: str, value: Any) -> str:
        """Return the id of a job at a path; empty after recording that it is none."""
        if not isinstance(value, str):
            self._problems.add(path, f"not the id of a job: {shown(value)}", expected="a string")
        elif value not in self._ids:
            self._problems.add_unknown(path, "job", value, self._ids)
        else:
            return value
        return ""

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
        self._check_numbers(jobs)
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

    def _check_numbers(self, jobs: list[Job]) -> None:
        """Record conditions on numbers that no job writes down, or that its module does not have."""
        modules = {job.numbers: self._contracts[job.module] for job in jobs if job.numbers}
        for index, job in enumerate(jobs):
            path = f"$.jobs[{index}].arguments"
            for branch in job.when:
                for lfn in branch.files:
                    if lfn not in modules:
                        self._problems.add(path, f"no job writes numbers to {lfn}", expected="--numbers of another job")
                    elif branch.number not in (known := {number.name for number in modules[lfn].numbers}):
                        self._problems.add_unknown(path, f"number of module {modules[lfn].name}", branch.number, known)

    def products(self, jobs: list[Job]) -> tuple[str, ...]:
        """Return the files to publish: in their recorded order, then in job order."""
        natural = [lfn for job in jobs for lfn in job.writes if lfn in self._staged]
        last = len(natural)
        return tuple(sorted(natural, key=lambda lfn: last if (n := self._staged[lfn]) is None else n))


def _uses_of(call: Arguments) -> dict[str, str]:
    """Return the files in the arguments of a job, each with its type."""
    numbers = {call.numbers: "output"} if call.numbers else {}
    return {
        **dict.fromkeys((*files_of(call.inputs), *(lfn for branch in call.when for lfn in branch.files)), "input"),
        **dict.fromkeys(files_of(call.outputs), "output"),
        **numbers,
    }


def is_job_id(text: str) -> bool:
    """Return whether a text is a valid job id."""
    try:
        check_job_id(text)
    except InputError:
        return False
    return True


def _guess(error: InputError) -> str:
    return (error.hint or "").removeprefix("did you mean ").removesuffix("?")
