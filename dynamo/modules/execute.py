"""Run one module under its contract: inputs are checked before, outputs after."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dynamo.contract import Call, Module, Port
from dynamo.errors import DynamoError, InputError, NotFoundError
from dynamo.formats import origin


@dataclass(frozen=True)
class Outcome:
    """Cost and result of one execution; CPU seconds are those of this process."""

    wall_s: float
    cpu_s: float
    metrics: Mapping[str, float]
    remarks: tuple[str, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()


def execute(
    module: Module,
    inputs: Mapping[str, Sequence[Path]],
    outputs: Mapping[str, Sequence[Path]],
    parameters: Mapping[str, object],
    *,
    examined: Mapping[str, int] = MappingProxyType({}),
) -> Outcome:
    """Run ``module`` and enforce its contract; files in ``examined`` had these flags and need no checks.

    Raises
    ------
    InputError
        If ports, files or parameters violate the contract.
    NotFoundError
        If an input file does not exist.
    DynamoError
        If the module did not write its outputs.
    """
    _check_ports(module, "input", module.inputs, inputs)
    _check_ports(module, "output", module.outputs, outputs)
    complete = module.complete(parameters, where=module.name)
    for port, paths in inputs.items():
        for path in paths:
            if not path.is_file():
                raise NotFoundError("no such file", where=path, expected=f"input {port} of module {module.name}")
    call = Call(
        inputs={port: list(paths) for port, paths in inputs.items()},
        outputs={port: list(paths) for port, paths in outputs.items()},
        parameters=complete,
        examined=examined,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        with origin.of_module(module.name, module.version, call.inputs, complete):
            metrics = module.run(call)
        for port, paths in call.outputs.items():
            for path in paths:
                if not path.is_file() or path.stat().st_size == 0:
                    raise DynamoError(f"module {module.name} did not write {path.name}", expected=f"output {port}")
        if module.check_outputs:
            module.check_outputs(call)
    except OSError as error:
        # A full disk or a vanished folder is the machine's fault, not the module's: say so.
        raise DynamoError(f"module {module.name}: {error.strerror or error}", where=error.filename) from error
    if flag := _check_flag(call):
        metrics = {**metrics, "check_flag": float(flag)}
    return Outcome(
        time.perf_counter() - wall, time.process_time() - cpu, metrics, tuple(call.remarks), tuple(call.checks)
    )


def _check_flag(call: Call) -> int:
    """Return the worst flag of what a job read and made; 0 if nothing was checked."""
    flags = [call.examined[path.name] for paths in call.inputs.values() for path in paths if path.name in call.examined]
    if not (call.checks or flags):
        return 0
    from dynamo.checks.judging import worst_flag, worst_of

    return worst_of([*flags, *map(worst_flag, call.checks)])


def _check_ports(module: Module, role: str, ports: Sequence[Port], given: Mapping[str, Sequence[Path]]) -> None:
    known = {port.name: port for port in ports}
    for name in given:
        if name not in known:
            raise InputError(
                f"module {module.name} has no {role} {name!r:.60}", expected=", ".join(known) or f"no {role}s"
            )
    for name, port in known.items():
        count = len(given.get(name, ()))
        if count == 0 and port.required:
            raise InputError(f"module {module.name}: {role} {name} is missing", expected=port.description)
        if count > 1 and not port.many:
            raise InputError(f"module {module.name}: {count} files for {role} {name}", expected="one file")
