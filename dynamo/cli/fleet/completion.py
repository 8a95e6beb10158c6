"""Shell completion: names of fleets, groups, sites and workers from the store.

Shells show no errors during completion, so any failure here returns no names. Completion never creates anything.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_MOST = 200


def complete_fleets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return fleet names."""
    return _names(ctx, incomplete, _fleets)


def complete_groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can be scaled: groups and sites."""
    return _names(ctx, incomplete, lambda session: _of_specs(ctx, session, groups=True))


def complete_workers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can be drained: living workers and sites."""
    return _names(ctx, incomplete, lambda session: [*_workers(ctx, session), *_of_specs(ctx, session, groups=False)])


def complete_all(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return workers, groups and sites."""
    return _names(ctx, incomplete, lambda session: [*_of_specs(ctx, session, groups=True), *_workers(ctx, session)])


def _names(ctx: typer.Context, incomplete: str, ask: Callable[[Session], list[str]]) -> list[str]:
    try:
        from dynamo.config.file import find_config
        from dynamo.store.engine import existing_store

        config = ctx.params.get("config")
        store = existing_store(find_config(Path(config) if config else None).store_url, busy_timeout_s=0.5)
        try:
            with store.reading() as session:
                found = ask(session)
        finally:
            store.close()
    except Exception:
        return []
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)][:_MOST]


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
