"""Waiting for a fleet at the terminal: progress, timeout, Ctrl-C, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from dynamo.cli.console import err
from dynamo.cli.fleet.progress import FleetDisplay

if TYPE_CHECKING:
    from dynamo.provision.keeping.attending import Glance
    from dynamo.store.engine import Store

TIMEOUT_S = 900.0


def wait_for(
    store: Store, fleet: str, title: str, done: Callable[[Glance], bool], timeout_s: float, *, ending: bool = False
) -> float:
    """Follow a fleet until ``done``, with a progress display; return the elapsed seconds.

    With ``ending``, progress is the workers that are gone.

    Ctrl-C leaves the stored state untouched, says how to continue, and exits with 130.

    Raises
    ------
    NotSettledError
        On timeout (exit code 9).
    """
    from dynamo.provision.keeping.attending import attend

    with FleetDisplay(title, ending=ending) as display:
        try:
            attend(store, fleet, done, timeout_s=timeout_s, tell=display.tell, progress=display.update)
        except KeyboardInterrupt:
            display.tell(
                f"stopped watching; {'the shutdown' if ending else 'the target'} of {fleet} is stored. Continue with "
                f"`dynamo-provision {'destroy' if ending else 'apply'}` or `dynamo-provision daemon`; check with "
                "`dynamo-provision status`"
            )
            raise typer.Exit(130) from None
        return display.elapsed_s


def say_who_goes_on(store: Store, fleet: str) -> None:
    """Warn if no process manages the fleet."""
    from dynamo.provision.keeping.presence import cared_for

    if not cared_for(store, fleet):
        err.print("no daemon manages this fleet: run `dynamo-provision daemon`", markup=False)


def warn_nothing_happens(store: Store, fleet: str) -> None:
    """Warn that an order stays pending if no process manages the fleet."""
    from dynamo.provision.keeping.presence import cared_for

    if not cared_for(store, fleet):
        err.print("stored, but no daemon manages this fleet: run `dynamo-provision daemon`", markup=False)


def say_how_to_use(environment: dict[str, str]) -> None:
    """Print how to submit jobs to the fleet's pool."""
    if environment:
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        err.print(f"to submit jobs to this pool: export {words}", markup=False)
