"""Shared by the fleet commands: options and the open store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from dynamo.cli.fleet.completion import complete_fleets

if TYPE_CHECKING:
    from dynamo.store.engine import Store

JsonOption = typer.Option(False, "--json", help="Print JSON.")
FleetOption = typer.Option(
    None,
    "--fleet",
    help="Fleet name. Default: the only active fleet.",
    autocompletion=complete_fleets,
    show_default=False,
)
SpecArgument = typer.Argument(help="JSON file: a fleet spec or a Mobius request.", metavar="SPEC")
WaitOption = typer.Option(True, "--wait/--no-wait", help="Wait until done.")
TimeoutOption = typer.Option(None, "--timeout", min=0.0, metavar="SECONDS", help="Time limit for --wait, in seconds.")


_NO_STORE = (
    "dynamo-provision apply SPEC.json makes it with its first fleet; to look in another one, go to its project's "
    "folder, or name its dynamo.toml with -c"
)


@dataclass(frozen=True)
class Opened:
    """The configured store, and the folder of this machine's state files."""

    store: Store
    state_dir: Path


@contextlib.contextmanager
def opened(config: Path | None, *, missing: Literal["error", "create", "empty"] = "error") -> Iterator[Opened]:
    """Open the configured store for the duration of a block.

    Parameters
    ----------
    config
        The configuration file, if one is named.
    missing
        What to do if there is no store: raise `NotFoundError`, create it, or yield an empty one that is not kept.
    """
    import tempfile

    from dynamo.cli.stores import elsewhere
    from dynamo.config.file import find_config
    from dynamo.errors import NotFoundError
    from dynamo.store.engine import existing_store, open_store

    settings = find_config(config)
    with contextlib.ExitStack() as stack:
        try:
            store = open_store(settings.store_url) if missing == "create" else existing_store(settings.store_url)
        except NotFoundError as error:
            if missing == "error":
                hint = elsewhere(settings, "fleet") or _NO_STORE
                raise NotFoundError(error.what, where=error.where, hint=hint) from None
            store = open_store(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "store.sqlite")
        stack.callback(store.close)
        yield Opened(store, settings.state_dir)


def fleet_of(store: Store, name: str | None) -> str:
    """Return the named fleet, or the only active one."""
    from dynamo.provision.status import the_fleet

    with store.reading() as session:
        return the_fleet(session, name)
