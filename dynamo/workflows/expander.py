"""Expands the jobs of one document: loops, file names, joins, arguments; records every problem."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dynamo.contract import Module, Value
from dynamo.documents.problems import Problems, shown
from dynamo.errors import InputError
from dynamo.workflows import templates
from dynamo.workflows.branching import Branching
from dynamo.workflows.document import MAX_FILES, MAX_JOBS, Document, FileLoop, FilesFrom, JobSpec
from dynamo.workflows.model import Job, Resources, files_of
from dynamo.workflows.names import check_job_id
from dynamo.workflows.naming import Bindings, Known, LogicalFile, id_part, input_lfns, is_good_lfn, render_text
from dynamo.workflows.ports import check_count, check_format

#: Names not allowed for loop variables.
_RESERVED = ("issue", "inputs", "parameters")


class Expander:
    """Expands the jobs of one document; adds every problem to ``problems``."""

    def __init__(self, problems: Problems, document: Document, known: Known, contracts: Mapping[str, Module]) -> None:
        self._problems = problems
        self._document = document
        self._known = known
        self._contracts = contracts
        self._files: dict[str, LogicalFile] = {
            lfn: LogicalFile(lfn, spec.format, {})
            for name, spec in document.inputs.items()
            for lfn in input_lfns(known.values.get(f"inputs.{name}", []))
        }
        self._made: dict[str, list[LogicalFile]] = {}
        #: The job of the document that makes each file.
        self._made_by: dict[str, str] = {}
        self._joins: dict[tuple[str, tuple[str, ...]], dict[tuple[object, ...], list[LogicalFile]]] = {}
        self._sampled: set[str] = set()
        self._named_outputs = {f"{job.id}.{port}" for job in document.jobs for port in job.outputs}
        self._joined_files = 0
        self._branching = Branching(problems, document, contracts)
        # Do not report consequences of problems already reported.
        self._broken_variables: set[str] = set()
        self._broken_outputs = False

    def expand(self) -> tuple[tuple[Job, ...], dict[str, str]]:
        """Return the jobs, and the output of each product by LFN; invalid if problems were found."""
        loops = [
            self._loop(f"$.jobs[{index}].for_each", spec.for_each or {}, {})
            for index, spec in enumerate(self._document.jobs)
        ]
        if not self._small_enough(loops):
            return (), {}
        bodies: list[list[tuple[str, Bindings, dict[str, tuple[str, ...]]]]] = []
        for index, spec in enumerate(self._document.jobs):
            bodies.append(list(self._outputs(index, spec, loops[index])))
            for name, bindings, _ in bodies[index]:
                self._branching.add(spec, name, bindings)
        jobs: list[Job] = []
        needs: dict[str, set[str]] = {}
        for index, spec in enumerate(self._document.jobs):
            for name, bindings, outputs in bodies[index]:
                before = len(self._problems)
                job = self._job(index, spec, name, bindings, outputs)
                needs.setdefault(spec.id, set()).update(self._makers(job))
                if len(self._problems) > before:
                    # Report a mistake in a loop once, not per iteration.
                    break
                jobs.append(job)
        self._branching.check_order(needs)
        return self._with_numbers(jobs), self._products()

    def _makers(self, job: Job) -> Iterator[str]:
        """Return the jobs of the document that make a job's inputs."""
        return (self._made_by[lfn] for lfn in files_of(job.inputs) if lfn in self._made_by)

    def _with_numbers(self, jobs: Sequence[Job]) -> tuple[Job, ...]:
        """Return the jobs, those that conditions look at with a file for their numbers."""
        watched = self._branching.watched
        for lfn, path in watched.values():
            if lfn in self._files:
                self._problems.add(path, f"{lfn} is written twice", expected="unique file names")
        return tuple(replace(job, numbers=watched[job.id][0]) if job.id in watched else job for job in jobs)

    def _loop(self, path: str, for_each: Mapping[str, object], outer: Bindings) -> dict[str, list[object]]:
        variables: dict[str, list[object]] = {}
        for name, source in for_each.items():
            if name in _RESERVED or name in outer:
                self._problems.add(f"{path}.{name}", f"the name {name} is already in use", expected="another name")
                continue
            items = self._items(f"{path}.{name}", source)
            if items is None:
                # Check the rest with a dummy value, to find its own mistakes too.
                self._broken_variables.add(name)
                items = [0]
            elif isinstance(source, str) and self._is_sample(source):
                self._sampled.add(name)
            variables[name] = items
        return variables

    def _items(self, path: str, source: object) -> list[object] | None:
        items = self._value(path, source, {}) if isinstance(source, str) else source
        if items is None:
            return None
        if not isinstance(items, list) or not items:
            example = '"{inputs.NAME.leads}"'
            self._problems.add(
                path, f"{shown(source)} is not a list", expected=f"a list, or a placeholder for one such as {example}"
            )
            return None
        if len({(type(item) is str, item) for item in items}) != len(items):
            self._problems.add(path, "duplicate value", expected="distinct values")
            return None
        return list(items)

    def _small_enough(self, loops: list[dict[str, list[object]]]) -> bool:
        jobs = files = 0
        for spec, loop in zip(self._document.jobs, loops, strict=True):
            turns = math.prod(len(items) for items in loop.values())
            jobs += turns
            for ports in (spec.inputs, spec.outputs):
                for given in ports.values():
                    files += turns * self._count(given)
        if jobs > MAX_JOBS:
            self._problems.add("$.jobs", f"{jobs} jobs after expansion", expected=f"at most {MAX_JOBS}")
        if files > MAX_FILES:
            self._problems.add("$.jobs", f"{files} job files after expansion", expected=f"at most {MAX_FILES}")
        return jobs <= MAX_JOBS and files <= MAX_FILES

    def _count(self, given: object) -> int:
        if isinstance(given, list):
            return len(given)
        if isinstance(given, FileLoop):
            sources = [
                self._known.values.get(source.strip("{}"), []) if isinstance(source, str) else source
                for source in given.for_each.values()
            ]
            return math.prod(max(1, len(source)) if isinstance(source, list) else 1 for source in sources)
        return 1

    def _outputs(
        self, index: int, spec: JobSpec, loop: Mapping[str, list[object]]
    ) -> Iterator[tuple[str, Bindings, dict[str, tuple[str, ...]]]]:
        module = self._contracts.get(spec.module)
        ports = {port.name: port for port in module.outputs} if module else {}
        seen: set[str] = set()
        for values in itertools.product(*loop.values()):
            bindings = dict(zip(loop, values, strict=True))
            before = len(self._problems)
            path = f"$.jobs[{index}]"
            name = "-".join([spec.id, *(id_part(value) for value in values)])
            try:
                check_job_id(name)
            except InputError as error:
                self._problems.add(f"{path}.id", error.what, expected=error.expected or "")
            if name in seen:
                self._problems.add(f"{path}.for_each", f"duplicate job id {name}", expected="distinct values")
            seen.add(name)
            outputs: dict[str, tuple[str, ...]] = {}
            for port, given in spec.outputs.items():
                where = f"{path}.outputs.{port}"
                files = list(self._named(where, given, bindings))
                outputs[port] = tuple(lfn for lfn, _ in files)
                if port in ports and len(self._problems) == before:
                    check_count(self._problems, where, ports[port], len(files))
                for lfn, inner in files:
                    self._write(
                        where,
                        f"{spec.id}.{port}",
                        LogicalFile(lfn, ports[port].format if port in ports else "", inner),
                    )
            yield name, bindings, outputs
            if len(self._problems) > before:
                self._broken_outputs = True
                return

    def _write(self, path: str, made_by: str, file: LogicalFile) -> None:
        if file.lfn in self._files:
            self._problems.add(path, f"{file.lfn} is written twice", expected="unique file names")
            return
        self._files[file.lfn] = file
        self._made.setdefault(made_by, []).append(file)
        self._made_by[file.lfn] = made_by.partition(".")[0]

    def _job(
        self, index: int, spec: JobSpec, name: str, bindings: Bindings, outputs: dict[str, tuple[str, ...]]
    ) -> Job:
        path = f"$.jobs[{index}]"
        module = self._contracts.get(spec.module)
        ports = {port.name: port for port in module.inputs} if module else {}
        inputs: dict[str, tuple[str, ...]] = {}
        for port, given in spec.inputs.items():
            where = f"{path}.inputs.{port}"
            before = len(self._problems)
            files = tuple(self._read(where, given, bindings))
            if not files and len(self._problems) == before and not (port in ports and ports[port].required):
                # An optional input that this run does not have.
                continue
            inputs[port] = files
            if not files and len(self._problems) == before and self._absent(given):
                self._problems.add(where, "the input is optional", expected="a required input")
            if port in ports and inputs[port] and len(self._problems) == before:
                check_count(self._problems, where, ports[port], len(inputs[port]))
                for lfn in inputs[port]:
                    if self._files[lfn].format:
                        check_format(self._problems, where, ports[port], lfn, self._files[lfn].format)
        return Job(
            id=name,
            module=spec.module,
            inputs=inputs,
            outputs=outputs,
            arguments=self._arguments(f"{path}.arguments", spec, module, bindings),
            resources=Resources(**spec.resources.model_dump()),
            retries=self._document.retries if spec.retries is None else spec.retries,
            when=self._branching.of(
                f"{path}.when",
                spec,
                bindings,
                self._known.values,
                whole=not (self._broken_variables or self._broken_outputs),
            ),
        )

    def _arguments(self, path: str, spec: JobSpec, module: Module | None, bindings: Bindings) -> dict[str, Value]:
        known = {parameter.name: parameter for parameter in module.parameters} if module else {}
        values: dict[str, Value] = {}
        for name, given in spec.arguments.items():
            where = f"{path}.{name}"
            value = self._argument(where, given, bindings)
            if value is None or name not in known:
                continue
            if self._is_sample(given):
                continue
            try:
                values[name] = known[name].check(value, where=where)
            except InputError as error:
                self._problems.add(error.where or where, error.what, expected=error.expected or "")
        for name, parameter in known.items():
            if name not in spec.arguments:
                if parameter.default is None:
                    self._problems.add(
                        path,
                        f"argument {name} of module {spec.module} is missing",
                        expected=parameter.expectation(),
                    )
                else:
                    values[name] = parameter.default
        # All parameters in the module's order, so that equivalent plans compare equal.
        return {name: values[name] for name in known if name in values}

    def _argument(self, path: str, given: object, bindings: Bindings) -> object:
        if isinstance(given, list):
            items = [self._argument(f"{path}[{index}]", item, bindings) for index, item in enumerate(given)]
            return None if any(item is None for item in items) else items
        return self._value(path, given, bindings) if isinstance(given, str) else given

    def _named(self, path: str, given: object, bindings: Bindings) -> Iterator[tuple[str, Bindings]]:
        """Yield the LFNs spelled out in a document, each with the loop variables behind its name."""
        if isinstance(given, list):
            for index, text in enumerate(given):
                yield from self._named(f"{path}[{index}]", text, bindings)
        elif isinstance(given, FileLoop):
            loop = self._loop(f"{path}.for_each", given.for_each, bindings)
            for values in itertools.product(*loop.values()):
                inner = {**bindings, **dict(zip(loop, values, strict=True))}
                lfn = self._lfn(f"{path}.name", given.name, inner)
                if lfn is None:
                    return
                yield lfn, inner
        elif (several := self._inputs_of(str(given))) is not None:
            yield from ((lfn, bindings) for lfn in several)
        else:
            lfn = self._lfn(path, str(given), bindings)
            if lfn is not None:
                yield lfn, bindings

    def _inputs_of(self, text: str) -> list[str] | None:
        """Return the files of a multi-file or absent input if the text is just its placeholder."""
        try:
            whole = templates.parse(text).whole
        except InputError:
            return None
        value = None if whole is None else self._known.values.get(whole.name)
        if whole is None or not whole.name.startswith("inputs.") or whole.name.count(".") != 1:
            return None
        return [str(lfn) for lfn in value] if isinstance(value, list) else None

    def _absent(self, given: object) -> bool:
        return isinstance(given, str) and self._inputs_of(given) == []

    def _read(self, path: str, given: object, bindings: Bindings) -> Iterator[str]:
        if isinstance(given, FilesFrom):
            yield from self._joined(f"{path}.from", given.source, bindings)
            return
        for lfn, _ in self._named(path, given, bindings):
            if lfn not in self._files:
                if self._broken_outputs or self._broken_variables:
                    return
                self._problems.add(
                    path,
                    f"nothing provides {lfn}",
                    expected="an output of another job or an input of the workflow",
                    nearest=self._problems.nearest(lfn, self._files),
                )
                return
            yield lfn

    def _joined(self, path: str, source: str, bindings: Bindings) -> Iterator[str]:
        files = self._made.get(source)
        if files is None:
            if source not in self._named_outputs:
                self._problems.add_unknown(path, "output", source, self._named_outputs)
            return
        shared = tuple(name for name in files[0].bindings if name in bindings)
        key = (source, shared)
        if key not in self._joins:
            table: dict[tuple[object, ...], list[LogicalFile]] = {}
            for file in files:
                table.setdefault(tuple(file.bindings[name] for name in shared), []).append(file)
            self._joins[key] = table
        wanted = tuple(bindings[name] for name in shared)
        found = self._joins[key].get(wanted, [])
        if not found and not self._broken_variables and not self._broken_outputs:
            values = ", ".join(f"{name} = {value}" for name, value in zip(shared, wanted, strict=True))
            self._problems.add(path, f"{source} has no file for {values}", expected="a loop over the same values")
        self._joined_files += len(found)
        if self._joined_files > MAX_FILES:
            self._problems.add(path, f"more than {MAX_FILES} job input files", expected=f"at most {MAX_FILES}")
            return
        yield from (file.lfn for file in found)

    def _products(self) -> dict[str, str]:
        products: dict[str, str] = {}
        for index, source in enumerate(self._document.outputs):
            if source not in self._named_outputs:
                self._problems.add_unknown(f"$.outputs[{index}]", "output", source, self._named_outputs)
            for file in self._made.get(source, []):
                products.setdefault(file.lfn, source)
        return products

    def _lfn(self, path: str, text: str, bindings: Bindings) -> str | None:
        lfn = render_text(self._problems, path, text, {**self._known.values, **bindings})
        return lfn if lfn is not None and is_good_lfn(self._problems, path, lfn) else None

    def _value(self, path: str, text: str, bindings: Bindings) -> object:
        """Return the value of a lone placeholder, otherwise the rendered text."""
        scope = {**self._known.values, **bindings}
        try:
            template = templates.parse(text)
            if template.whole:
                return templates.look_up(template.whole, scope)
            return templates.render(template, scope)
        except InputError as error:
            self._problems.add(path, error.what, expected=error.expected or "", nearest=error.hint or "")
            return None

    def _is_sample(self, given: object) -> bool:
        """Return whether a value depends on something known only when a run starts."""
        if isinstance(given, list):
            return any(self._is_sample(item) for item in given)
        if not isinstance(given, str):
            return False
        names = {reference.name for reference in templates.parse(given).references}
        return bool(names & (self._known.samples | self._sampled | self._broken_variables))
