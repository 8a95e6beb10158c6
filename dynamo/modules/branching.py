"""Run a module if its job's conditions hold; otherwise mark its outputs as not made, with the reason.

Marks and numbers are small files in the places of outputs, so they travel as other files do, whatever runs the jobs: a
pool without our file system, DAGMan, Pegasus. Each job decides from them where it runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import orjson

from dynamo.contract import Module
from dynamo.errors import DynamoError, InputError, NotFoundError
from dynamo.files import write_bytes
from dynamo.modules.execute import Outcome, execute
from dynamo.workflows.branches import Branch

#: What a file begins with that stands for an output that was not made; the reason follows.
MARK = b"dynamo: not made: "
#: Larger files are no marks, and are not looked into.
_LARGEST_MARK = 4096

Ports = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Skip:
    """A job that was not run: why, and what it comes from, which the jobs after it are told."""

    reason: str
    cause: str


def run_if(
    module: Module,
    inputs: Ports,
    outputs: Ports,
    parameters: Mapping[str, object],
    *,
    when: Sequence[Branch] = (),
    numbers: Path | None = None,
    folder: Path = Path(),
    examined: Mapping[str, int] = MappingProxyType({}),
) -> Outcome | Skip:
    """Run a module unless a condition does not hold or a job that it needs was skipped.

    Parameters
    ----------
    module, inputs, outputs, parameters
        As for `dynamo.modules.execute.execute`.
    when
        The job's conditions.
    numbers
        Where to write the numbers that the module records; None for nowhere.
    folder
        The folder of the conditions' files.
    examined
        Names of files that need no checks any more, and the flags they have.
    """
    skip = _decided(when, folder)
    usable: dict[str, list[Path]] = {}
    remarks: list[str] = []
    if skip is None:
        skip = _leave_out(module, inputs, usable, remarks)
    if skip is not None:
        mark = MARK + " ".join(skip.cause.split()).encode()[: _LARGEST_MARK // 2] + b"\n"
        for path in (*(path for paths in outputs.values() for path in paths), *([] if numbers is None else [numbers])):
            _write(path, mark)
        return skip
    outcome = execute(module, usable, outputs, parameters, examined=examined)
    if numbers is not None:
        finite = {name: float(value) for name, value in outcome.metrics.items() if math.isfinite(value)}
        _write(numbers, orjson.dumps(finite))
    return replace(outcome, remarks=(*remarks, *outcome.remarks))


def why_not_made(path: Path) -> str | None:
    """Return why an output was not made; None for a file that was, and for one that is not there."""
    try:
        if path.stat().st_size > _LARGEST_MARK:
            return None
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    return content.removeprefix(MARK).decode(errors="replace").strip() if content.startswith(MARK) else None


def _write(path: Path, data: bytes) -> None:
    try:
        write_bytes(path, data)
    except OSError as error:
        raise DynamoError(error.strerror or str(error), where=path) from error


def _decided(when: Sequence[Branch], folder: Path) -> Skip | None:
    """Return how the first condition that does not hold has the job skipped; None if all hold."""
    for branch in when:
        paths = [folder / lfn for lfn in branch.files]
        why = branch.why_not([_recorded(path) for path in paths])
        if why:
            causes = [why_not_made(path) for path in paths]
            # Where none of the jobs ran, the cause is what kept them from it.
            return Skip(f"{why}: {causes[0]}", causes[0]) if causes[0] and all(causes) else Skip(why, why)
    return None


def _recorded(path: Path) -> dict[str, float] | None:
    """Return the numbers that a job wrote down; None if it was skipped."""
    if why_not_made(path) is not None:
        return None
    try:
        return {str(name): float(value) for name, value in orjson.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        raise NotFoundError("no such file", where=path, expected="the numbers of an earlier job") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"not the numbers of a job: {error}", where=path, expected="what dynamo wrote") from error


def _leave_out(module: Module, inputs: Ports, usable: dict[str, list[Path]], remarks: list[str]) -> Skip | None:
    """Fill ``usable`` with the inputs that were made, and ``remarks`` with what is missing that the module can miss.

    Returns
    -------
    Skip or None
        Why the module cannot run with the rest, if it cannot.
    """
    ports = {port.name: port for port in module.inputs}
    for name, paths in inputs.items():
        causes = {path: cause for path in paths if (cause := why_not_made(path)) is not None}
        left = [path for path in paths if path not in causes]
        port = ports.get(name)
        if port is None or not causes:
            usable[name] = left
        elif left and port.partial:
            usable[name] = left
            remarks.append(f"{module.name} did without {len(causes)} of {len(paths)} {name}, which were not made")
        elif port.required:
            path, cause = next(iter(causes.items()))
            return Skip(f"{path.name} was not made: {cause}", cause)
        else:
            # The files that are left would pass for all of them.
            remarks.append(f"{module.name} did without {name}, which was not made")
    return None
