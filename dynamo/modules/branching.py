"""Run a module if its job's conditions hold; otherwise mark its outputs as not made, with the reason.

Marks and numbers are small files in the places of outputs, so they travel as other files do, whatever runs the jobs: a
pool without our file system, DAGMan, Pegasus. Each job decides from them where it runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    """A job that was not run, and why."""

    reason: str


def run_if(
    module: Module,
    inputs: Ports,
    outputs: Ports,
    parameters: Mapping[str, object],
    *,
    when: Sequence[Branch] = (),
    numbers: Path | None = None,
    folder: Path = Path(),
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
    """
    why, cause = _why_not(when, folder)
    if not why:
        inputs, why, cause = _without_skipped(module, inputs)
    made = [path for paths in outputs.values() for path in paths] + ([] if numbers is None else [numbers])
    if why:
        for path in made:
            _write(path, MARK + " ".join(cause.split()).encode()[: _LARGEST_MARK // 2] + b"\n")
        return Skip(why)
    outcome = execute(module, inputs, outputs, parameters)
    if numbers is not None:
        finite = {name: float(value) for name, value in outcome.metrics.items() if math.isfinite(value)}
        _write(numbers, orjson.dumps(finite))
    return outcome


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


def _why_not(when: Sequence[Branch], folder: Path) -> tuple[str, str]:
    """Return why a condition does not hold, for the job itself and for those after it; empty if all hold."""
    for branch in when:
        paths = [folder / lfn for lfn in branch.files]
        why = branch.why_not(list(map(_recorded, paths)))
        if why:
            causes = [why_not_made(path) for path in paths]
            first = causes[0] if all(causes) else None
            return (f"{why}: {first}", first) if first else (why, why)
    return "", ""


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


def _without_skipped(module: Module, inputs: Ports) -> tuple[Ports, str, str]:
    """Return the inputs that were made, and why the module cannot run with them; empty if it can."""
    ports = {port.name: port for port in module.inputs}
    made: dict[str, list[Path]] = {}
    for name, paths in inputs.items():
        made[name] = [path for path in paths if why_not_made(path) is None]
        port = ports.get(name)
        if port is None or len(made[name]) == len(paths):
            continue
        if made[name] and port.partial:
            continue
        if port.required:
            path, cause = next(_not_made(paths))
            return inputs, f"{path.name} was not made: {cause}", cause
        # A part of the files of an optional port would pass for all of them.
        del made[name]
    return made, "", ""


def _not_made(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    return ((path, cause) for path in paths if (cause := why_not_made(path)) is not None)
