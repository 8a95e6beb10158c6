"""The command `dynamo-provision`: the infrastructure on which workflows run."""

from __future__ import annotations

import typer

from dynamo.cli import pool
from dynamo.cli.main import root, run

app = typer.Typer(
    name="dynamo-provision",
    help="Infrastructure for DyNamo: the HTCondor pool on which its workflows run.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.callback()(root)


def main() -> None:
    """Entry point of `dynamo-provision`."""
    pool.register(app)
    run(app)
