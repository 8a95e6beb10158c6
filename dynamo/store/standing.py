"""Whether a daemon's store and state folder are still those it began with."""

from __future__ import annotations

import os
from pathlib import Path

from dynamo.store.engine import Store, StoreGoneError

#: How often to look, seconds.
STATE_LOOK_S = 2.0


class Standing:
    """The ground that a daemon stands on.

    Parameters
    ----------
    store
        The open store.
    folder
        The state folder; it need not exist yet.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._opened: int | None = None

    def check(self) -> None:
        """Check both.

        Raises
        ------
        StoreGoneError
            If one was removed or replaced.
        """
        self._store.check()
        if self._opened is None:
            if self._folder.is_dir():
                # Open, because some file systems renumber folders that nobody uses.
                self._opened = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return
        try:
            same = os.path.samestat(os.fstat(self._opened), self._folder.stat())
        except (FileNotFoundError, NotADirectoryError):
            same = False
        if not same:
            raise StoreGoneError(
                "the state folder was removed or replaced under the running daemon",
                where=self._folder,
                hint="start it again: it makes a new one",
            )

    def close(self) -> None:
        """Stop looking."""
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None
