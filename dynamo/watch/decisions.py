"""What a person decides about what waits, whatever kind it is: the same for the command line and the API."""

from __future__ import annotations

from pathlib import Path

from dynamo.config.file import Config
from dynamo.doors import FEEDS
from dynamo.errors import UsageError
from dynamo.runs.submitting.apart import detach
from dynamo.store.engine import Store
from dynamo.watch.quarantined import drop, find_waiting, release
from dynamo.watch.reviews import drop_run, release_run
from dynamo.watch.waiting import Waiting


def release_waiting(config: Config, store: Store, name: str, reason: str, config_file: Path | None) -> Waiting:
    """Hand a refused file back to intake, or have a run published that was kept back; return it as it is then.

    Parameters
    ----------
    name
        The file's number, or the run.
    config_file
        The configuration file for the process that goes on with a run.

    Raises
    ------
    NotFoundError, UsageError
        If nothing of that name waits, or its feed is not configured.
    OSError
        If a file cannot be moved back now; the daemon tries again.
    """
    item = found(store, name)
    if item.kind == "run":
        detach(release_run(store, item.id, reason), config_file)
    elif item.source not in {section.name for section in config.feeds}:
        raise UsageError(f"its feed {item.source} is not in the configuration", where=item.id, hint="name it with -c")
    else:
        release(store, item.id, reason)
    return found(store, item.id)


def drop_waiting(config: Config, store: Store, name: str, reason: str) -> Waiting:
    """Delete a refused file for good, or leave a run unpublished; otherwise as `release_waiting`."""
    item = found(store, name)
    if item.kind == "run":
        drop_run(store, item.id, reason)
    else:
        kinds = {section.name: section.kind for section in config.feeds}
        movable = item.source in kinds and bool(FEEDS.load(kinds[item.source]).movable)
        drop(store, item.id, reason, movable=movable)
    return found(store, item.id)


def found(store: Store, name: str) -> Waiting:
    """Return what waits under this number or run; raise `NotFoundError` if nothing does."""
    with store.reading() as session:
        return find_waiting(session, name)
