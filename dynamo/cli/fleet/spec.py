"""`dynamo-provision validate` and `spec`: check fleet specs, and document them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from dynamo.cli.console import err, out, print_json
from dynamo.cli.fleet.common import JsonOption
from dynamo.texts import counted


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("validate")(validate)
    group = typer.Typer(no_args_is_help=True, help="Print the fleet spec reference or its JSON Schema.")
    group.command("docs")(docs)
    group.command("schema")(schema)
    app.add_typer(group, name="spec")


def validate(
    specs: list[Path] = typer.Argument(help="JSON files: fleet specs or Mobius requests.", metavar="SPEC..."),
    as_json: bool = JsonOption,
) -> None:
    """Check specs and report every error with its location in the file. Contacts no site.

    What is right but changes nothing is told too, as `network[0].qos: accepted, not acted on (why)`.

    Examples:

    `dynamo-provision validate mobius_specs/local.json`

    `dynamo-provision validate --json my/*.json`

    With several files, JSON Schemas are skipped.

    Exit codes: 0 if all are valid, 3 if any is invalid, 4 if a file is not found (and no other is invalid).
    """
    from dataclasses import asdict

    from dynamo.errors import DynamoError, NotFoundError
    from dynamo.provision.spec.errors import SpecError
    from dynamo.provision.spec.loading import load_spec
    from dynamo.provision.spec.not_acted_on import not_acted_on

    found: list[dict[str, Any]] = []
    code = 0
    for path in specs:
        if len(specs) > 1 and _is_schema(path):
            err.print(f"{path}: skipped: a JSON Schema, not a spec", markup=False)
            continue
        try:
            spec = load_spec(path)
        except SpecError as error:
            code = error.exit_code
            found.append(_wrong(path, [problem.to_json() for problem in error.problems]))
            for line in error.errors:
                err.print(f"{path}: {line}", markup=False)
        except DynamoError as error:
            code = code if code and isinstance(error, NotFoundError) else error.exit_code
            found.append(_wrong(path, [{"path": "", "error": str(error)}]))
            err.print(str(error), markup=False)
        else:
            groups = [group.name for group in spec.compute]
            ignored = not_acted_on(spec)
            found.append(
                {
                    "spec": str(path),
                    "valid": True,
                    "fleet": spec.name,
                    "groups": groups,
                    "errors": [],
                    "not_acted_on": [asdict(item) for item in ignored],
                }
            )
            if not as_json:
                sites = ", ".join(spec.sites) or "no sites"
                number = counted(len(groups), "group")
                out.print(f"{path}: OK (fleet {spec.name}, {number}, {sites})", markup=False)
                for item in ignored:
                    out.print(f"{path}: {item}", markup=False)
    if as_json:
        print_json(found)
    if code:
        raise typer.Exit(code)


def docs() -> None:
    """Print the fleet spec reference (Markdown)."""
    from dynamo.provision.spec.docs import markdown

    out.print(markdown(), markup=False, end="")


def schema() -> None:
    """Print the JSON Schema of fleet specs, for editors and other programs.

    Example: `dynamo-provision spec schema > schema.json`
    """
    from dynamo.provision.spec.schema import schema_text

    out.print(schema_text(), markup=False, end="")


def _is_schema(path: Path) -> bool:
    """Return whether a file is a JSON Schema, such as the `schema.json` that `*.json` also matches."""
    import orjson

    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and str(data.get("$schema", "")).startswith("https://json-schema.org/")


def _wrong(path: Path, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {"spec": str(path), "valid": False, "fleet": None, "groups": [], "errors": errors, "not_acted_on": []}
