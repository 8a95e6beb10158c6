"""The spool of the NEXRAD chunk feed: joined volumes, kept for a while, and longer-lived marks of finished ones."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from dynamo.errors import InputError
from dynamo.files import write_bytes
from dynamo.times import from_epoch

#: Anything else in the folder is left alone.
_JOINED = re.compile(r"[A-Za-z0-9]{1,8}\d{8}_\d{6}(_low|_incomplete)?")
_MARK = re.compile(r"\.([A-Za-z0-9]{1,8}\d{8}_\d{6})\.done")
_LEFTOVER = re.compile(r"\.[A-Za-z0-9]{1,8}\d{8}_\d{6}.*\.part")
_LAST = ("", "_incomplete")
_PASSING = "_low"
_log = logging.getLogger("dynamo.feeds")


class ChunkSpool:
    """Joined files ``NAME``, ``NAME_incomplete`` and ``NAME_low``, and marks ``.NAME.done``.

    Parameters
    ----------
    folder
        Need not exist yet.
    keep_h
        Hours to keep joined files.

    Raises
    ------
    InputError
        If ``keep_h`` is not above 0.
    """

    def __init__(self, folder: Path, keep_h: float) -> None:
        if not 0 < keep_h <= 1e6:
            raise InputError(f"keep_h is {keep_h:g}", where=folder, expected="hours above 0")
        self._folder = folder
        self._keep = timedelta(hours=keep_h)

    def write(self, name: str, parts: Sequence[bytes]) -> Path:
        """Write a joined file; return its path."""
        path = self._folder / name
        write_bytes(path, b"".join(parts))
        return path

    def finished(self, name: str) -> bool:
        """Whether the last file of a volume was ever written, even if since removed."""
        return self._mark(name).exists() or any((self._folder / (name + suffix)).is_file() for suffix in _LAST)

    def clean(self, now: datetime, lying: Collection[str]) -> list[Path]:
        """Remove old files; return the joined files that remain.

        Parameters
        ----------
        now
            The present time.
        lying
            Names of volumes with chunks still in the watched folder: their marks stay.
        """
        if not self._folder.is_dir():
            return []
        kept: list[Path] = []
        for path in sorted(self._folder.iterdir()):
            try:
                old = now - from_epoch(path.stat().st_mtime) > self._keep
                if _JOINED.fullmatch(path.name) and path.is_file():
                    if old:
                        self._retire(path)
                    else:
                        kept.append(path)
                elif old and (
                    _LEFTOVER.fullmatch(path.name)
                    or ((mark := _MARK.fullmatch(path.name)) is not None and mark[1] not in lying)
                ):
                    path.unlink()
            except OSError as error:
                _log.warning("spool file %s: %s", path, error)
        return kept

    def _retire(self, path: Path) -> None:
        # The mark comes first: a kill between the two must not make the volume new again.
        if not path.name.endswith(_PASSING):
            write_bytes(self._mark(path.name.removesuffix("_incomplete")), b"")
        path.unlink(missing_ok=True)

    def _mark(self, name: str) -> Path:
        return self._folder / f".{name}.done"
