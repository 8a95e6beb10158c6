"""The command `dynamo`: gathers the sub-commands, turns expected errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import typer
from rich.markup import escape

import dynamo
from dynamo.cli.console import err, out
from dynamo.errors import DynamoError

#: One line for each group of commands: the module in `dynamo.cli` that offers `register(app)`.
COMMANDS = (
    "alerts",
    "autoscale",
    "demo",
    "modules",
    "nowcast",
    "pool",
    "runs",
    "simulate",
    "store",
    "submit",
    "watch",
    "workflow",
)

#: What the system refuses (see `dynamo.errors`): a part that is missing or does not answer.
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
    debug: bool = typer.Option(False, "--debug", envvar="DYNAMO_DEBUG", help="Show the traceback of an error."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Take the options that every command has (Typer shows the application's own help, not this)."""
    if debug:
        os.environ["DYNAMO_DEBUG"] = "1"


def run(application: typer.Typer) -> None:
    """Run a Typer application; expected errors become one line and their exit code."""
    try:
        application()
    except DynamoError as error:
        _fail(error, str(error), error.exit_code)
    except KeyboardInterrupt as error:
        _fail(error, "interrupted", 130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is wrong here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A full or read-only disk, a folder that is not ours: no defect, and the system's words say it.
        _fail(error, f"{error.filename}: {error.strerror}" if error.filename else str(error), _SYSTEM_EXIT_CODE)


def _fail(error: BaseException, line: str, code: int) -> None:
    if os.environ.get("DYNAMO_DEBUG"):
        raise error
    err.print("[bold red]error:[/]" if err.is_terminal else "error:", escape(line))
    sys.exit(code)


def main() -> None:
    """Entry point of `dynamo`."""
    for name in COMMANDS:
        import_module(f"dynamo.cli.{name}").register(app)
    run(app)
