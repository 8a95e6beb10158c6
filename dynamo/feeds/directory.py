"""Feed kind `directory`: files written or moved into a folder.

The kernel reports files closed after writing and files moved in (inotify through watchdog). A scan finds what arrived
while nobody watched, and what the kernel does not report (NFS, a queue overflow).
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import logging
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dynamo.config.feeds import FeedSection
from dynamo.config.file import Config
from dynamo.errors import BusyError, InputError
from dynamo.feeds.base import Candidate, FeedKind, FeedParts, How, Sink
from dynamo.feeds.completeness import shown
from dynamo.times import utc_now

_log = logging.getLogger("dynamo.feeds")
_PARTIAL_SUFFIXES = (".part", ".tmp", ".filepart", ".crdownload")


class DirectoryOptions(FeedSection):
    """Files written or moved into a folder."""

    kind: Literal["directory"] = "directory"
    path: str = Field(min_length=1, description="Folder to watch.", examples=["incoming"])
    patterns: list[str] = Field(
        default=["*.nc"],
        min_length=1,
        description="Shell patterns for file names; hidden and `.part` files never match.",
    )
    recursive: bool = Field(False, description="Watch subfolders too; links to folders are not followed.")


class DirectoryFeed:
    """A watched folder, or with ``recursive`` a tree.

    Parameters
    ----------
    name
        Name of the feed.
    path
        The folder.
    patterns
        Shell patterns for file names; a file must match one.
    recursive
        Watch subfolders too; links to folders are not followed.

    Raises
    ------
    InputError
        If ``path`` is not a folder.
    BusyError
        If another daemon on this machine watches it.
    """

    def __init__(self, name: str, *, path: Path, patterns: Sequence[str] = ("*",), recursive: bool = False) -> None:
        if problem := folder_problem(name, path):
            raise problem
        self.name = name
        self.path = path.resolve()
        self.patterns = tuple(patterns)
        self.recursive = recursive
        self._observer: Any = None
        self._looked = self._told = False
        self._lock = _lock_folder(self.path)

    def matches(self, name: str) -> bool:
        """Whether a file with this name belongs to the feed; hidden and partial files never do."""
        return is_data(name) and _matches_any(name, self.patterns)

    def start(self, sink: Sink) -> None:
        """Start handing over files as they are closed or moved in."""
        from dynamo.feeds.inotify import watch

        self._stop_observer()
        if self._replaced():
            self._unlock()
            self._lock = _lock_folder(self.path)
        self._observer = watch(
            self.path,
            recursive=self.recursive,
            on_file=lambda path, how: self._offer(path, how, sink),
            on_folder=lambda path, how: self._offer_tree(path, how, sink),
        )

    def scan(self, sink: Sink) -> int:
        """Hand over all files of the feed that are present."""
        count = 0
        for path in self._walk(self.path):
            self._offer(path, "scan", sink)
            count += 1
        if not self._looked:
            # Later ones are told as the kernel reports them.
            self._looked = True
            self._tell_unmatched(unmatched_file(self.path, self.patterns))
        return count

    def healthy(self) -> bool:
        """Whether the watching thread is alive, and watches the folder that is there now."""
        return self._observer is not None and self._observer.is_alive() and not self._replaced()

    def stop(self) -> None:
        """Stop watching and release the folder."""
        self._stop_observer()
        self._unlock()

    def _replaced(self) -> bool:
        """Whether another folder has taken the place of the locked one, whose events the kernel does not report."""
        if self._lock is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._lock), self.path.stat())
        except OSError:
            # Nothing to watch instead; a scan says what is wrong.
            return False

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _stop_observer(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            with contextlib.suppress(RuntimeError):
                self._observer.join(2.0)
            self._observer = None

    def _offer(self, path: Path, how: How, sink: Sink) -> None:
        if not self.recursive and path.parent != self.path:
            return
        if self.matches(path.name):
            sink(Candidate(self.name, path, how, utc_now()))
        elif is_data(path.name):
            self._tell_unmatched(path)

    def _tell_unmatched(self, path: Path | None) -> None:
        """Warn, once, of a file that no pattern matches: it may have been meant for the feed."""
        if path is not None and not self._told:
            self._told = True
            _log.warning(
                "files match no pattern and are ignored",
                extra={"feed": self.name, "example": shown(path), "patterns": ", ".join(self.patterns)},
            )

    def _offer_tree(self, folder: Path, how: How, sink: Sink) -> None:
        if self.matches(folder.name):
            self._offer(folder, how, sink)
        elif self.recursive and not folder.name.startswith("."):
            for path in self._walk(folder):
                self._offer(path, how, sink)

    def _walk(self, folder: Path) -> Iterator[Path]:
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            if folder == self.path:
                raise
            if not isinstance(error, FileNotFoundError):
                # That is no reason to miss what the other folders hold.
                _log.warning("skipped a folder", extra={"path": shown(folder), "reason": str(error.strerror)})
            return
        for entry in found:
            # A folder named like a file of the feed is a mistake, not a place to search.
            if self.matches(entry.name):
                yield Path(entry.path)
            elif self.recursive and not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path))


def is_data(name: str) -> bool:
    """Whether a file is neither hidden nor partial, as its name says."""
    return not (name.startswith(".") or name.endswith(_PARTIAL_SUFFIXES))


def unmatched_file(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Return a file in a folder that no pattern matches; None if there is none, or it cannot be looked for."""
    try:
        with os.scandir(folder) as entries:
            names = (entry.name for entry in entries if is_data(entry.name) and not _matches_any(entry.name, patterns))
            return next((path for name in names if (path := folder / name).is_file()), None)
    except OSError:
        return None


def _matches_any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def folder_problem(name: str, path: Path) -> InputError | None:
    """Return what keeps a feed from watching a folder; None if nothing does."""
    if not path.is_dir():
        hint = None if path.exists() else f"create it with mkdir -p {shlex.quote(str(path))}, or set path"
        return InputError("is not a folder", where=path, expected=f"the folder of the feed {name}", hint=hint)
    if not os.access(path, os.R_OK | os.X_OK):
        return InputError("the folder may not be read", where=path, expected=f"the folder of the feed {name}")
    return None


def _lock_folder(folder: Path) -> int | None:
    """Lock the folder itself: nothing is written into it, and the lock ends with the process.

    Returns None if the file system cannot lock (NFS); the lease in the store still keeps two daemons apart.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(
            "another daemon is watching this folder",
            where=folder,
            hint="stop it, or choose another folder",
        ) from None
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _make(options: DirectoryOptions, parts: FeedParts) -> DirectoryFeed:
    return DirectoryFeed(
        options.name,
        path=parts.config.path(options.path),
        patterns=options.patterns,
        recursive=options.recursive,
    )


def _problem(options: DirectoryOptions, config: Config) -> str:
    return str(folder_problem(options.name, config.path(options.path)) or "")


def _remark(options: DirectoryOptions, config: Config) -> str:
    found = unmatched_file(config.path(options.path), options.patterns)
    patterns = ", ".join(options.patterns)
    return f"files such as {found.name} match no pattern ({patterns}) and are ignored" if found else ""


KIND = FeedKind(DirectoryOptions, _make, problem=_problem, remark=_remark)
