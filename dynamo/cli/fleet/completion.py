"""Shell completion: names of fleets, groups, sites and workers from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from dynamo.cli.completion import from_store

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def complete_fleets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return fleet names."""
    return from_store(ctx, incomplete, _fleets)


def complete_groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can be scaled: groups and sites."""
    return from_store(ctx, incomplete, lambda session: _of_specs(ctx, session, groups=True))


def complete_workers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can be drained: living workers and sites."""
    return from_store(
        ctx, incomplete, lambda session: [*_workers(ctx, session), *_of_specs(ctx, session, groups=False)]
    )


def complete_all(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return workers, groups and sites."""
    return from_store(ctx, incomplete, lambda session: [*_of_specs(ctx, session, groups=True), *_workers(ctx, session)])


def _fleets(session: Session) -> list[str]:
    from dynamo.provision.status import fleet_names

    return fleet_names(session)


def _wanted(ctx: typer.Context, session: Session) -> list[str]:
    from sqlalchemy import select

    from dynamo.provision.states import ENDED
    from dynamo.store.fleets import Fleet

    named = ctx.params.get("fleet")
    return [named] if named else list(session.scalars(select(Fleet.name).where(Fleet.state != ENDED)))


def _of_specs(ctx: typer.Context, session: Session, *, groups: bool) -> list[str]:
    from dynamo.provision import ledger
    from dynamo.provision.fleets import stored_spec

    names: list[str] = []
    for fleet in _wanted(ctx, session):
        spec = stored_spec(ledger.fleet_named(session, fleet))
        names += [group.name for group in spec.compute] if groups else []
        names += spec.sites
    return names


def _workers(ctx: typer.Context, session: Session) -> list[str]:
    from dynamo.provision import ledger

    return [row.name for fleet in _wanted(ctx, session) for row in ledger.living_workers(session, fleet)]
