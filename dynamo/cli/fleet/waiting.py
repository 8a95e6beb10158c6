"""Waiting at the terminal for a fleet: progress, the end of the time, Ctrl-C, and what to do next."""

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


def wait_for(store: Store, fleet: str, title: str, done: Callable[[Glance], bool], timeout_s: float) -> float:
    """Follow a fleet until ``done``, with a progress display; return the seconds that it took.

    Ctrl-C leaves everything as it is stored, says how to go on, and ends the command with 130.

    Raises
    ------
    NotSettledError
        If the time is over (exit code 9).
    """
    from dynamo.provision.keeping.attending import attend

    with FleetDisplay(title) as display:
        try:
            attend(store, fleet, done, timeout_s=timeout_s, tell=display.tell, progress=display.update)
        except KeyboardInterrupt:
            display.tell(
                f"stopped looking; what is wanted of {fleet} is stored. Go on with `dynamo-provision apply` or "
                "`dynamo-provision daemon`; `dynamo-provision status` shows what is there"
            )
            raise typer.Exit(130) from None
        return display.elapsed_s


def say_who_goes_on(store: Store, fleet: str) -> None:
    """Say so if nobody looks after the fleet."""
    from dynamo.provision.keeping.presence import cared_for

    if not cared_for(store, fleet):
        err.print("nobody looks after it now: run `dynamo-provision daemon`", markup=False)


def warn_nothing_happens(store: Store, fleet: str) -> None:
    """Say that an order waits, where nobody is there to carry it out."""
    from dynamo.provision.keeping.presence import cared_for

    if not cared_for(store, fleet):
        err.print(
            "stored; nothing happens until somebody looks after the fleet: run `dynamo-provision daemon`", markup=False
        )


def say_how_to_use(environment: dict[str, str]) -> None:
    """Say how jobs are sent to the fleet's pool."""
    if environment:
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        err.print(f"to send jobs there: export {words}", markup=False)
