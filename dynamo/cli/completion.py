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
    return _matching(incomplete, lambda: [trigger.name for trigger in _config(ctx).triggers])


def complete_backfills(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the IDs of backfills, newest first."""
    return from_store(ctx, incomplete, _backfills)


def complete_channels(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the configured alert channels."""
    return _matching(incomplete, lambda: [channel.name for channel in _config(ctx).alerts.channels])


def from_store(ctx: typer.Context, incomplete: str, ask: Callable[[Session], Iterable[str]]) -> list[str]:
    """Return the names that ``ask`` finds in an existing store."""

    def names() -> list[str]:
        from dynamo.store.engine import open_store

        url = _config(ctx).store_url
        if isinstance(url, Path) and not url.exists():
            return []
        store = open_store(url, busy_timeout_s=0.5)
        try:
            with store.reading() as session:
                return list(ask(session))
        finally:
            store.close()

    return _matching(incomplete, names)


def _matching(incomplete: str, names: Callable[[], Iterable[str]]) -> list[str]:
    try:
        found = list(names())
    except Exception:  # any error would garble the line that is being typed
        return []
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)][:_MOST]


def _config(ctx: typer.Context) -> Config:
    from dynamo.config.file import find_config

    named = ctx.params.get("config")
    return find_config(Path(named) if named else None)


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
