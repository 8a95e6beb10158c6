"""The `dynamo-provision` command: everything about pools, fleets and their workers."""

from __future__ import annotations

from importlib import import_module

import typer

from dynamo.cli.main import root, run

#: The modules that provide `register(app)`, in help-page order.
COMMANDS = (
    "fleet.spec",
    "fleet.apply",
    "fleet.views",
    "fleet.orders",
    "fleet.hold",
    "fleet.daemon",
    "fleet.tokens",
    "pool",
)

app = typer.Typer(
    name="dynamo-provision",
    help="Infrastructure for DyNamo: HTCondor workers across clouds, from one JSON file.",
    epilog="Start with `dynamo-provision apply mobius_specs/local.json`: a pool with two workers on this machine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.callback()(root)


def main() -> None:
    """Run the `dynamo-provision` command."""
    register_all()
    run(app)


def register_all() -> typer.Typer:
    """Register all commands once; return the application."""
    if not app.registered_commands:
        for name in COMMANDS:
            import_module(f"dynamo.cli.{name}").register(app)
    return app
