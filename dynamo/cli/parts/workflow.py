"""`dynamo workflow`: list workflow documents, print their reference and schema, validate one, plan one for Pegasus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.completion import complete_workflows
from dynamo.texts import counted

if TYPE_CHECKING:
    from dynamo.inspection.facts import InputFacts
    from dynamo.workflows.workflow import Workflow

workflow_app = typer.Typer(
    help="Workflow documents: list, check and plan them (docs/howto/workflows.md teaches to write one).",
    no_args_is_help=True,
)

_WORKFLOW = typer.Argument(
    help="File or template name (see `dynamo workflow list`).", autocompletion=complete_workflows
)
_JSON = typer.Option(False, "--json", help="Print JSON.")


@workflow_app.command("list")
def list_workflows(as_json: bool = _JSON) -> None:
    """List the shipped templates with their inputs and parameters."""
    from dynamo.cli.console import print_json
    from dynamo.cli.tables import print_table, prose
    from dynamo.modules.registry import contracts
    from dynamo.workflows.workflow import read_workflow, templates

    rows = [(path, read_workflow(path, contracts())) for path in templates().values()]
    if as_json:
        print_json(
            [
                {
                    "name": item.name,
                    "version": item.version,
                    "description": item.description,
                    "inputs": {name: spec.format for name, spec in item.inputs.items()},
                    "parameters": list(item.parameters),
                    "file": str(path),
                }
                for path, item in rows
            ]
        )
        return
    print_table(
        "",
        ("workflow", "version", prose("inputs"), prose("parameters"), prose("what it does")),
        (
            (item.name, item.version, ", ".join(item.inputs), ", ".join(item.parameters), item.description)
            for _, item in rows
        ),
    )


@workflow_app.command("schema")
def schema(
    _as_json: bool = typer.Option(False, "--json", help="Accepted for consistency; the output is always JSON."),
) -> None:
    """Print the JSON Schema (draft 2020-12) of workflow documents, for editors and other programs."""
    from dynamo.cli.console import print_json
    from dynamo.workflows.schema import document_schema

    print_json(document_schema())


@workflow_app.command("docs")
def docs() -> None:
    """Print the workflow document reference (Markdown)."""
    from dynamo.cli.console import out
    from dynamo.workflows.docs import markdown

    out.print(markdown(), markup=False, end="")


@workflow_app.command("validate")
def validate(name: str = _WORKFLOW, as_json: bool = _JSON) -> None:
    """Report every error in a workflow with its JSON path; exit code 3 if there are any."""
    from dynamo.cli.console import out, print_json
    from dynamo.documents.problems import DocumentError
    from dynamo.modules.registry import contracts
    from dynamo.workflows.workflow import read_workflow

    try:
        workflow = read_workflow(name, contracts())
    except DocumentError as error:
        if as_json:
            print_json({"valid": False, "problems": [problem.to_json() for problem in error.problems]})
        else:
            for problem in error.problems:
                out.print(str(problem), markup=False)
            count = len(error.problems)
            out.print(f"{counted(count, 'error')} in {error.where}", markup=False)
        raise typer.Exit(error.exit_code) from None
    if as_json:
        print_json({"valid": True, "problems": [], "name": workflow.name, "version": workflow.version})
        return
    out.print(f"{workflow.name} {workflow.version}: OK", markup=False)


@workflow_app.command("plan")
def plan(
    name: str = _WORKFLOW,
    inputs: list[str] = typer.Option([], "--input", "-i", metavar="NAME=PATH", help="Input file (repeatable)."),
    parameters: list[str] = typer.Option([], "--param", "-p", metavar="NAME=VALUE", help="Parameter (repeatable)."),
    output: Path = typer.Option(..., "--output", "-o", help="Output folder."),
    slots: int = typer.Option(2, min=1, help="Jobs the pool can run at once."),
    job_overhead_s: float = typer.Option(5.0, min=0, help="Overhead per job, in seconds."),
    image: str = typer.Option("", help="Container image with the modules. Default: dynamo-modules of this version."),
    container: bool = typer.Option(True, help="Run the modules in the container."),
    container_type: str = typer.Option("docker", help="docker, or singularity (also for Apptainer)."),
    executable: str = typer.Option("", help="Path to dynamo-module in the image or on the workers."),
    site: str = typer.Option("condorpool", help="Name of the execution site."),
    as_json: bool = _JSON,
) -> None:
    """Write the input of pegasus-plan 5.1: abstract workflow, catalogs and properties."""
    import shlex

    from dynamo.cli.console import out, print_json
    from dynamo.cli.given import given_files, given_values
    from dynamo.modules.registry import contracts
    from dynamo.workflows.layout import choose_layout
    from dynamo.workflows.pegasus.settings import PegasusSettings
    from dynamo.workflows.pegasus.write import planner_command, write_plan
    from dynamo.workflows.workflow import plan_run, read_workflow

    modules = contracts()
    workflow = read_workflow(name, modules)
    paths = {port: [Path(path) for path in given] for port, given in given_files(inputs).items()}
    values = given_values(parameters, "--param")
    run = plan_run(workflow, paths, values, _facts(workflow, paths, values), modules)
    layout = choose_layout(run, slots=slots, job_overhead_s=job_overhead_s, single_threshold_s=0.0)
    image = (image or str(PegasusSettings.image)) if container else ""
    settings = PegasusSettings(image=image, container_type=container_type, executable=executable, site=site)
    files = write_plan(run, layout, modules, output, settings)
    command = planner_command(output, site)
    if as_json:
        print_json(
            {
                "files": {file: str(path) for file, path in files.items()},
                "jobs": len(run.jobs),
                "products": len(run.products),
                "predicted_s": run.predicted_s,
                "layout": {"kind": layout.kind, "tasks": len(layout.tasks), "reason": layout.reason},
                "command": command,
            }
        )
        return
    for path in files.values():
        out.print(str(path), markup=False)
    out.print(
        f"{counted(len(run.jobs), 'job')}, {counted(len(run.products), 'product')}; {layout.reason}", markup=False
    )
    out.print(f"next: cd {shlex.quote(str(output.absolute()))} && {shlex.join(command)}", markup=False)


def register(app: typer.Typer) -> None:
    """Add `dynamo workflow` to the command line."""
    app.add_typer(workflow_app, name="workflow")


def _facts(workflow: Workflow, paths: dict[str, list[Path]], values: dict[str, str]) -> dict[str, InputFacts]:
    from dynamo.cli.given import require_files
    from dynamo.documents.problems import Problems
    from dynamo.inspection.process import inspect_port
    from dynamo.workflows.document import Document
    from dynamo.workflows.expand import check_parameters

    levels: object = None
    if isinstance(workflow, Document):
        problems = Problems()
        levels = check_parameters(problems, workflow, values).get("levels")
        problems.raise_any(where=workflow.name)
    else:
        given = [job.arguments.get("levels") for job in workflow.jobs]
        levels = [level for item in given if isinstance(item, list) for level in item]
    wanted = sorted({float(level) for level in levels}) if isinstance(levels, list) else []
    for name, spec in workflow.inputs.items():
        require_files(paths.get(name, ()), f"a file in format {spec.format}")
    looked = {
        name: inspect_port(spec.format, paths[name], wanted) for name, spec in workflow.inputs.items() if name in paths
    }
    return {name: facts for name, facts in looked.items() if facts is not None}
