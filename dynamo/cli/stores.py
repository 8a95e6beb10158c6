"""Which store a command reads, and where else there are runs when it finds none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dynamo.config.file import Config
    from dynamo.store.engine import Store


def look(config: Path | None) -> Store:
    """Open the configured store to read it.

    Raises
    ------
    NotFoundError
        If there is none; the hint names runs that are in the user's own state.
    """
    from dynamo.config.file import find_config
    from dynamo.errors import NotFoundError
    from dynamo.store.engine import existing_store

    settings = find_config(config)
    try:
        return existing_store(settings.store_url)
    except NotFoundError as error:
        if other := elsewhere(settings):
            raise NotFoundError(error.what, where=error.where, hint=other) from None
        raise


def no_runs(store: Store, config: Path | None) -> str:
    """Return the line for a list without runs: where they were looked for, and where else there are some."""
    from dynamo.config.file import find_config

    other = elsewhere(find_config(config))
    return f"no runs in {store.url}{f'; {other}' if other else ''}"


def elsewhere(settings: Config, what: Literal["run", "fleet"] = "run") -> str:
    """Return in words what is in the user's own state, if ``settings`` name another store; empty if nothing is."""
    from sqlalchemy import func, select

    from dynamo.config.project import user_state
    from dynamo.errors import DynamoError
    from dynamo.store.engine import existing_store
    from dynamo.store.fleets import Fleet
    from dynamo.store.models import Run
    from dynamo.texts import counted

    file = user_state() / "store.sqlite"
    if settings.store_url == file:
        return ""
    try:
        store = existing_store(file)
        try:
            with store.reading() as session:
                number = session.scalar(select(func.count((Run if what == "run" else Fleet).id))) or 0
        finally:
            store.close()
    except DynamoError:
        # It is only a hint: what cannot be read is not worth an error.
        return ""
    made = f"{counted(number, what)} made outside any project {'is' if number == 1 else 'are'}"
    return f"{made} in {file}; to see what is there, start the command outside this project's folder" if number else ""
