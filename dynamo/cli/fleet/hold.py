"""`dynamo-provision hold` and `release`: whether the autoscaler or an operator sets the number of workers."""

from __future__ import annotations

from pathlib import Path

import typer

from dynamo.cli.console import err, out, print_json
from dynamo.cli.fleet.common import FleetOption, JsonOption, fleet_of, opened
from dynamo.cli.fleet.completion import complete_groups
from dynamo.cli.watch import ConfigOption

TargetArgument = typer.Argument(
    help="A group, a site, or `all`.", metavar="GROUP|SITE|all", autocompletion=complete_groups
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("hold")(hold)
    app.command("release")(release)


def hold(
    target: str = TargetArgument,
    fleet: str | None = FleetOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Freeze the requested number of workers, overriding the autoscaler, until `release` or `apply`.

    `scale`, and `drain` of a site, also hold.

    Examples:

    `dynamo-provision hold all`

    `dynamo-provision hold Jetstream2:IU`

    Exit codes: 0 when stored, 2 if the fleet is shutting down, 4 for an unknown name.
    """
    from dynamo.provision.holding import hold as order
    from dynamo.times import utc_now

    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        with here.store.transaction() as session:
            held = order(session, name, target, utc_now())
    if as_json:
        print_json({"fleet": name, "held": held})
        return
    for group, wanted in held.items():
        out.print(f"{group}: held at {wanted}", markup=False)


def release(
    target: str = TargetArgument,
    fleet: str | None = FleetOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Release manual overrides set by `scale`, `drain` or `hold`.

    If `autoscale.enabled` is set, the autoscaler continues from the current number; otherwise the number in the spec
    applies again.

    Example: `dynamo-provision release all`

    Exit codes: 0 when stored or nothing was held, 4 for an unknown name.
    """
    from dynamo.autoscale.setup import is_scaled
    from dynamo.config.file import find_config
    from dynamo.provision.holding import release as order
    from dynamo.times import utc_now

    settings = find_config(config)
    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        scaled = is_scaled(settings, here.store, name)
        with here.store.transaction() as session:
            released = order(session, name, target, utc_now(), autoscaled=scaled)
    if as_json:
        print_json({"fleet": name, "released": released, "autoscaled": scaled})
        return
    for group, wanted in released.items():
        now = "back to the spec" if wanted is None else f"autoscaler continues from {wanted}"
        out.print(f"{group}: {now}", markup=False)
    if not released:
        err.print("nothing was held", markup=False)
