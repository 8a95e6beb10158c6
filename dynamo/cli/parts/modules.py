"""`dynamo module`: show the modules' contracts, and run one directly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from dynamo.cli.completion import complete_modules

module_app = typer.Typer(help="List the scientific modules, show their contracts, run one.", no_args_is_help=True)


@module_app.command("list")
def list_modules(as_json: bool = typer.Option(False, "--json", help="Print the contracts as JSON.")) -> None:
    """List the modules with package, inputs and outputs; `dynamo module show` adds the parameters.

    Broken modules are reported on standard error; `dynamo plugins --check` fails for them.
    """
    from dynamo.cli.console import err, print_json
    from dynamo.cli.tables import print_table, prose
    from dynamo.doors import MODULES

    listed = MODULES.listed()
    good = [(part, MODULES.load(part.name)) for part in listed if not part.problem]
    broken = [part for part in listed if part.problem]
    if as_json:
        facts = [{**_contract(module), "origin": part.origin, "problem": ""} for part, module in good]
        print_json([*facts, *({"name": part.name, "origin": part.origin, "problem": part.problem} for part in broken)])
        return
    print_table(
        "",
        ("module", "from", prose("inputs"), prose("outputs"), prose("what it does")),
        (
            (
                module.name,
                part.origin,
                ", ".join(port.name + ("..." if port.many else "") for port in module.inputs),
                ", ".join(port.name + ("..." if port.many else "") for port in module.outputs),
                module.description,
            )
            for part, module in good
        ),
    )
    for part in broken:
        err.print(f"module {part.name} of {part.origin} cannot be used: {part.problem}", markup=False)


@module_app.command("show")
def show(
    name: str = typer.Argument(help="Module name (see `dynamo module list`).", autocompletion=complete_modules),
    as_json: bool = typer.Option(False, "--json", help="Print the contract as JSON."),
) -> None:
    """Show one module's contract: ports, parameters with unit, default and range, and the numbers it records."""
    from dynamo.cli.console import out, print_json
    from dynamo.cli.tables import named, print_table, prose
    from dynamo.doors import MODULES
    from dynamo.modules.registry import find_module

    module = find_module(name)
    origin = MODULES.origin(name)
    if as_json:
        print_json({**_contract(module), "origin": origin})
        return
    out.print(f"{module.name} {module.version}: {module.description} {module.notes}".rstrip(), markup=False)
    out.print(f"From {origin}.", markup=False)
    ports = [("input", port) for port in module.inputs] + [("output", port) for port in module.outputs]
    print_table(
        "",
        ("port", "name", "format", "files", "required", prose("description")),
        (
            (role, port.name, port.format, "1 or more" if port.many else "1", port.required, port.description)
            for role, port in ports
        ),
    )
    print_table(
        "",
        ("parameter", prose("accepts"), named("default"), prose("description")),
        (
            (
                parameter.name,
                parameter.expectation(),
                "required" if parameter.default is None else parameter.format(parameter.default),
                parameter.description,
            )
            for parameter in module.parameters
        ),
    )
    if module.numbers:
        print_table(
            "",
            ("number", "unit", prose("description")),
            ((number.name, number.unit, number.description) for number in module.numbers),
        )


@module_app.command("run")
def run(
    name: str = typer.Argument(help="Module name (see `dynamo module list`).", autocompletion=complete_modules),
    inputs: list[str] = typer.Option([], "--input", "-i", help="PORT=FILE (repeatable)."),
    outputs: list[str] = typer.Option([], "--output", "-o", help="PORT=FILE (repeatable)."),
    parameters: list[str] = typer.Option([], "--param", "-p", help="NAME=VALUE (repeatable); lists as 35,45."),
    as_json: bool = typer.Option(False, "--json", help="Print time and metrics as JSON."),
) -> None:
    """Run one module on files.

    Example: `dynamo module run contour -i grid=lead5.nc -o geojson=lead5.geojson -p levels=35,45`
    """
    from dynamo.cli.console import out, print_json
    from dynamo.modules.execute import execute
    from dynamo.modules.registry import find_module

    module = find_module(name)
    known = {parameter.name: parameter for parameter in module.parameters}
    values: dict[str, object] = {}
    for key, (text, *_) in pairs(parameters, "--param").items():
        # An unknown name is reported by the contract, with the names that exist.
        values[key] = known[key].parse(text, where=f"--param {key}") if key in known else text
    outcome = execute(
        module,
        {port: [Path(file) for file in files] for port, files in pairs(inputs, "--input").items()},
        {port: [Path(file) for file in files] for port, files in pairs(outputs, "--output").items()},
        values,
    )
    if as_json:
        print_json({"module": name, **asdict(outcome)})
    else:
        metrics = ", ".join(f"{key} {value:g}" for key, value in outcome.metrics.items())
        out.print(f"{name}: {metrics}; {outcome.wall_s * 1000:.0f} ms")


def pairs(texts: Sequence[str], option: str) -> dict[str, list[str]]:
    """Parse ``KEY=VALUE`` options; a repeated key collects its values.

    Raises
    ------
    UsageError
        If one of them has no ``=``.
    """
    from dynamo.errors import UsageError

    found: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"cannot parse {text!r}", where=option, expected="NAME=VALUE")
        found.setdefault(key, []).append(value)
    return found


def _contract(module: Any) -> dict[str, Any]:
    return {
        "name": module.name,
        "version": module.version,
        "description": module.description,
        "inputs": [asdict(port) for port in module.inputs],
        "outputs": [asdict(port) for port in module.outputs],
        "parameters": [asdict(parameter) for parameter in module.parameters],
        "numbers": [asdict(number) for number in module.numbers],
        "notes": module.notes,
    }


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(module_app, name="module")
