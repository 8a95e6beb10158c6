"""Shell completion: names from the store, the configuration and the installed parts.

Shells show no errors during completion, so any failure here returns no names. Completion never creates anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dynamo.config.file import Config

_MOST = 200


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the IDs of runs, newest first."""
    return from_store(ctx, incomplete, _runs)


def complete_workflows(incomplete: str) -> list[str]:
    """Return templates, and files that may be workflow documents."""
    return _matching(incomplete, lambda: [*_templates(), *_files(incomplete, (".json", ".yml", ".yaml"))])


def complete_modules(incomplete: str) -> list[str]:
    """Return modules."""
    return _matching(incomplete, _modules)


def complete_engines(incomplete: str) -> list[str]:
    """Return engines."""
    return _matching(incomplete, _engines)


def complete_policies(incomplete: str) -> list[str]:
    """Return scaling policies."""
    return _matching(incomplete, _policies)


def complete_triggers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the configured triggers."""
    return _matching(incomplete, lambda: triggers_in(_named(ctx)))


def complete_feeds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the configured feeds."""
    return _matching(incomplete, lambda: feeds_in(_named(ctx)))


def complete_radars(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the radars that data came from, and those that are expected."""
    return _matching(incomplete, lambda: radars_in(_named(ctx)))


def complete_startable(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what a backfill can make again: triggers and templates."""
    return _matching(incomplete, lambda: [*triggers_in(_named(ctx)), *_templates()])


def complete_assets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of assets, as their list shows them."""
    from dynamo.assets.catalog import assets_of
    from dynamo.runs.setup import make_planner

    def ask(session: Session) -> list[str]:
        settings = _config(ctx)
        return [asset.name for asset in assets_of(settings, make_planner(settings), session)]

    return from_store(ctx, incomplete, ask)


def complete_waiting(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the numbers and runs that wait for a person, newest first."""
    from dynamo.watch.quarantined import QUARANTINED, waiting

    return from_store(ctx, incomplete, lambda session: [item.id for item in waiting(session, QUARANTINED, _MOST)])


def complete_known_workflows(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of workflows that have run, and of templates."""
    return _matching(incomplete, lambda: workflows_in(_named(ctx)))


def feeds_in(config: Path | None) -> Iterable[str]:
    """Return the feeds of a configuration."""
    from dynamo.config.file import find_config

    return [feed.name for feed in find_config(config).feeds]


def triggers_in(config: Path | None) -> Iterable[str]:
    """Return the triggers of a configuration."""
    from dynamo.config.file import find_config

    return [trigger.name for trigger in find_config(config).triggers]


def radars_in(config: Path | None) -> Iterable[str]:
    """Return the radars that feeds expect, and those that data came from."""
    from sqlalchemy import select

    from dynamo.config.file import find_config
    from dynamo.store.models import Series

    expected = {radar.upper() for feed in find_config(config).feeds for radar in feed.expect}
    seen = _asked(config, lambda session: session.scalars(select(Series.radar).distinct()).all())
    return sorted({*expected, *seen} - {""})


def workflows_in(config: Path | None) -> Iterable[str]:
    """Return the workflows that published anything, and the templates."""
    from sqlalchemy import select

    from dynamo.store.models import Series

    query = select(Series.name).where(Series.kind == "workflow").distinct()
    return sorted({*_templates(), *_asked(config, lambda session: session.scalars(query).all())})


def complete_backfills(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the IDs of backfills, newest first."""
    return from_store(ctx, incomplete, _backfills)


def complete_channels(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the configured alert channels."""
    return _matching(incomplete, lambda: [channel.name for channel in _config(ctx).alerts.channels])


def from_store(ctx: typer.Context, incomplete: str, ask: Callable[[Session], Iterable[str]]) -> list[str]:
    """Return the names that ``ask`` finds in an existing store."""

    return _matching(incomplete, lambda: _asked(_named(ctx), ask))


def _asked(config: Path | None, ask: Callable[[Session], Iterable[str]]) -> list[str]:
    from dynamo.config.file import find_config
    from dynamo.store.engine import open_store

    url = find_config(config).store_url
    if isinstance(url, Path) and not url.exists():
        return []
    store = open_store(url, busy_timeout_s=0.5)
    try:
        with store.reading() as session:
            return list(ask(session))
    finally:
        store.close()


def _matching(incomplete: str, names: Callable[[], Iterable[str]]) -> list[str]:
    try:
        found = list(names())
    except Exception:  # any error would garble the line that is being typed
        return []
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)][:_MOST]


def _named(ctx: typer.Context) -> Path | None:
    named = ctx.params.get("config")
    return Path(named) if named else None


def _config(ctx: typer.Context) -> Config:
    from dynamo.config.file import find_config

    return find_config(_named(ctx))


def _runs(session: Session) -> Iterable[str]:
    from sqlalchemy import select

    from dynamo.store.models import Run

    return session.scalars(select(Run.id).order_by(Run.created_at.desc()).limit(_MOST))


def _backfills(session: Session) -> Iterable[str]:
    from sqlalchemy import select

    from dynamo.store.backfills import Backfill

    return session.scalars(select(Backfill.id).order_by(Backfill.created_at.desc()).limit(_MOST))


def _templates() -> Iterable[str]:
    from dynamo.workflows.workflow import templates

    return templates()


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    folder, _, start = incomplete.rpartition("/")
    before = f"{folder}/" if "/" in incomplete else ""
    entries = [entry for entry in Path(before or ".").iterdir() if entry.name.startswith(start)]
    folders = [f"{before}{entry.name}/" for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return sorted(f"{before}{entry.name}" for entry in entries if entry.suffix in suffixes) + sorted(folders)


def _modules() -> Iterable[str]:
    from dynamo.modules.registry import contracts

    return contracts()


def _engines() -> Iterable[str]:
    from dynamo.doors import ENGINES

    return ENGINES.names()


def _policies() -> Iterable[str]:
    from dynamo.doors import POLICIES

    return POLICIES.names()
