"""Remove run folders that are no longer needed; products are never touched."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import or_, select, update

from dynamo.runs.folder import claimed
from dynamo.runs.settings import RunSettings
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.times import CLOCK_TOLERANCE, utc_now

_log = logging.getLogger("dynamo.runs")
#: Folders to remove in one go, so that the store is not held for long.
_BATCH = 200


def clean_run_folders(store: Store, settings: RunSettings) -> int:
    """Remove expired run folders; return how many.

    A run folder is removed only if it is inside the runs folder and no process is working on it.
    """
    removed, now = 0, utc_now()
    for states, keep_s in (
        (("succeeded",), settings.keep_succeeded_s),
        (("failed", "cancelled", "skipped"), settings.keep_failed_s),
    ):
        if keep_s is None:
            continue
        with store.reading() as session:
            old = session.scalars(
                select(Run)
                .where(
                    Run.state.in_(states),
                    Run.cleaned_at.is_(None),
                    # A time in the future was written while this machine's clock was ahead; it would never expire.
                    or_(
                        Run.updated_at < now - timedelta(seconds=keep_s),
                        Run.updated_at > now + max(timedelta(seconds=keep_s), CLOCK_TOLERANCE),
                    ),
                )
                .limit(_BATCH)
            ).all()
        removed += _remove(store, settings.runs_dir, old)
    return removed


def _remove(store: Store, runs_dir: Path, runs: Sequence[Run]) -> int:
    for run in runs:
        folder = Path(run.run_dir)
        if folder.parent == runs_dir and folder.is_dir():
            with claimed(folder) as free:
                if not free:
                    continue
                shutil.rmtree(folder, ignore_errors=True)
            _log.debug("run folder removed", extra={"run": run.id})
        with store.transaction() as session:
            # A run retried in the meantime has its folder again.
            session.execute(update(Run).where(Run.id == run.id, Run.state == run.state).values(cleaned_at=utc_now()))
    return len(runs)
