"""Resolves the conditions of a document's jobs: which jobs' numbers each of them compares; records every problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dynamo.contract import Module
from dynamo.documents.problems import Problems
from dynamo.errors import InputError
from dynamo.workflows.branches import AGGREGATES, Branch, parse_branch
from dynamo.workflows.document import MAX_FILES, Document, JobSpec
from dynamo.workflows.naming import Bindings, render_text

_SUFFIX = ".numbers.json"


@dataclass(frozen=True)
class _Comparison:
    """A condition in the document: its path, its job, and the job that it looks at."""

    path: str
    job: str
    source: str


class Branching:
    """The conditions of one document; adds every problem to ``problems``.

    Attributes
    ----------
    watched
        LFN of the numbers file of each expanded job that a condition looks at, with the path of the first one.
    """

    def __init__(self, problems: Problems, document: Document, contracts: Mapping[str, Module]) -> None:
        self.watched: dict[str, tuple[str, str]] = {}
        self._problems = problems
        self._contracts = contracts
        self._modules = {spec.id: spec.module for spec in document.jobs}
        self._expanded: dict[str, list[tuple[str, Bindings]]] = {}
        self._joins: dict[tuple[str, tuple[str, ...]], dict[tuple[object, ...], list[str]]] = {}
        self._comparisons: dict[_Comparison, None] = {}
        self._files = 0

    def add(self, spec: JobSpec, name: str, bindings: Bindings) -> None:
        """Note a job of the expanded document."""
        self._expanded.setdefault(spec.id, []).append((name, bindings))

    def of(
        self, path: str, spec: JobSpec, bindings: Bindings, scope: Mapping[str, object], *, whole: bool
    ) -> tuple[Branch, ...]:
        """Return the conditions of one expanded job; not ``whole``: some jobs could not be expanded."""
        texts = [spec.when] if isinstance(spec.when, str) else spec.when or []
        branches: list[Branch] = []
        for index, text in enumerate(texts):
            where = path if isinstance(spec.when, str) else f"{path}[{index}]"
            rendered = render_text(self._problems, where, text, {**scope, **bindings})
            if rendered is None:
                continue
            try:
                branch = parse_branch(rendered)
            except InputError as error:
                self._problems.add(where, error.what, expected=error.expected or "")
                continue
            if self._is_known(where, spec, branch):
                branches.append(replace(branch, files=tuple(self._numbers(where, branch, bindings, whole))))
        return tuple(branches)

    def check_order(self, needs: Mapping[str, set[str]]) -> None:
        """Record conditions on jobs that themselves wait for the job; ``needs`` are the jobs each one reads from."""
        parents = {name: set(needs.get(name, ())) for name in self._modules}
        for item in self._comparisons:
            parents[item.job].add(item.source)
        children: dict[str, set[str]] = {name: set() for name in parents}
        for name, several in parents.items():
            for parent in several:
                children[parent].add(name)
        circular = _behind_circles(parents, children) & _behind_circles(children, parents)
        for item in self._comparisons:
            if {item.job, item.source} <= circular:
                self._problems.add(item.path, f"{item.source} waits for this job", expected="a job that runs before it")

    def _is_known(self, path: str, spec: JobSpec, branch: Branch) -> bool:
        if branch.job not in self._modules:
            self._problems.add_unknown(path, "job", branch.job, self._modules)
            return False
        if branch.job == spec.id:
            self._problems.add(path, "a job cannot wait for its own numbers", expected="a job that runs before it")
            return False
        self._comparisons[_Comparison(path, spec.id, branch.job)] = None
        module = self._contracts.get(self._modules[branch.job])
        if module is not None and branch.number not in {number.name for number in module.numbers}:
            known = [number.name for number in module.numbers]
            self._problems.add_unknown(path, f"number of module {module.name}", branch.number, known)
            return False
        return True

    def _numbers(self, path: str, branch: Branch, bindings: Bindings, whole: bool) -> Iterable[str]:
        """Return the numbers files of the jobs whose loop variables match this job's."""
        jobs = self._expanded.get(branch.job, [])
        if not jobs:
            return []
        shared = tuple(name for name in jobs[0][1] if name in bindings)
        key = (branch.job, shared)
        if key not in self._joins:
            table = self._joins.setdefault(key, {})
            for name, own in jobs:
                table.setdefault(tuple(own[variable] for variable in shared), []).append(name)
        wanted = tuple(bindings[name] for name in shared)
        found = self._joins[key].get(wanted, [])
        if not found and whole:
            values = ", ".join(f"{name} = {value}" for name, value in zip(shared, wanted, strict=True))
            self._problems.add(path, f"no job {branch.job} for {values}", expected="a loop over the same values")
        if len(found) > 1 and not branch.over and whole:
            self._problems.add(
                path,
                f"{branch.job} is {len(found)} jobs here",
                expected=f"one of {', '.join(AGGREGATES)}, as any({branch.text}) or max({branch.job}.{branch.number})",
            )
        self._files += len(found)
        if self._files > MAX_FILES:
            self._problems.add(path, f"more than {MAX_FILES} numbers to compare", expected=f"at most {MAX_FILES}")
            return []
        return [self.watched.setdefault(name, (f"{name}{_SUFFIX}", path))[0] for name in found]


def _behind_circles(parents: Mapping[str, set[str]], children: Mapping[str, set[str]]) -> set[str]:
    """Return the jobs that never get their turn, because they are on a circle or wait for one."""
    waiting = {name: len(several) for name, several in parents.items()}
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        for child in children[ready.pop()]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return {name for name, count in waiting.items() if count}
