"""The `dynamo` command: registers the subcommands, turns expected errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import typer
from rich.markup import escape

import dynamo
from dynamo.cli.console import err, out
from dynamo.errors import DynamoError

#: One entry per group of commands: the module in `dynamo.cli` that provides `register(app)`.
COMMANDS = (
    "alerts",
    "data.assets",
    "access.audit",
    "autoscale",
    "backfill",
    "data.checks",
    "demo",
    "data.freshness",
    "parts.modules",
    "nowcast",
    "parts.plugins",
    "pool",
    "keeping.products",
    "keeping.quarantine",
    "keeping.retention",
    "runs",
    "serve",
    "simulate",
    "status",
    "store",
    "submit",
    "triggers",
    "access.users",
    "watch",
    "parts.workflow",
)

#: The operating system refused (see `dynamo.errors`): something is missing or does not respond.
_SYSTEM_EXIT_CODE = 5

app = typer.Typer(
    name="dynamo",
    help="Storm products from radar feeds: watch feeds, run workflows on HTCondor, publish products.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"DyNamo {dynamo.__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: bool = typer.Option(False, "--debug", envvar="DYNAMO_DEBUG", help="Show the traceback on errors."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Handle the options common to all commands (Typer shows the application's own help, not this)."""
    if debug:
        os.environ["DYNAMO_DEBUG"] = "1"


def run(application: typer.Typer) -> None:
    """Run a Typer application; turn expected errors into one line and an exit code."""
    try:
        application()
    except DynamoError as error:
        _fail(error, str(error), error.exit_code)
    except KeyboardInterrupt as error:
        _fail(error, "interrupted", 130)
    except BrokenPipeError:
        # The reader of our output has gone away (`| head`); not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A full or read-only disk, a folder we may not write: not a bug, and the system's message says it all.
        _fail(error, f"{error.filename}: {error.strerror}" if error.filename else str(error), _SYSTEM_EXIT_CODE)


def _fail(error: BaseException, line: str, code: int) -> None:
    if os.environ.get("DYNAMO_DEBUG"):
        raise error
    err.print("[bold red]error:[/]" if err.is_terminal else "error:", escape(line))
    sys.exit(code)


def main() -> None:
    """Run the `dynamo` command."""
    run(register_all())


def register_all() -> typer.Typer:
    """Register all commands once; return the application."""
    if not app.registered_groups:
        for name in COMMANDS:
            import_module(f"dynamo.cli.{name}").register(app)
    return app
