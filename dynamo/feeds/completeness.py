"""Check whether a file is complete, as far as possible without reading it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileLook:
    """The status of a path, taken without following dangling links or opening what blocks.

    ``problem`` says why it can never be a feed's file; unknown values are then zero.
    """

    size: int
    mtime_ns: int
    ctime_s: float
    problem: str = ""

    @property
    def changed_s(self) -> float:
        """When its content or name last changed, in seconds since the epoch."""
        return max(self.mtime_ns / 1e9, self.ctime_s)


def look(path: Path) -> FileLook | None:
    """Return the status of a path; None if nothing is there."""
    try:
        own = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISLNK(own.st_mode):
        return FileLook(own.st_size, own.st_mtime_ns, own.st_ctime, _problem(own.st_mode))
    try:
        real = path.stat()
    except OSError as error:
        what = "a circular link" if error.errno == errno.ELOOP else f"a broken link: {error.strerror}"
        return FileLook(own.st_size, own.st_mtime_ns, own.st_ctime, what)
    return FileLook(real.st_size, real.st_mtime_ns, max(own.st_ctime, real.st_ctime), _problem(real.st_mode))


def shown(path: Path) -> str:
    """Return the path as text that can be stored; bytes that are not UTF-8 are escaped with a backslash."""
    return os.fsencode(path).decode(errors="backslashreplace")


def name_problem(path: Path) -> str:
    """Return why a path cannot belong to a feed's file; empty if it can."""
    return "" if shown(path) == str(path) else "its name is not UTF-8"


def is_settled(seen: FileLook, now_s: float, settle_s: float) -> bool:
    """Whether nothing has changed for ``settle_s``; a time in the future (another machine's clock) counts as now."""
    return now_s - seen.changed_s >= settle_s or seen.changed_s > now_s + settle_s


def is_being_written(path: Path) -> bool:
    """Whether a process on this machine has the file open for writing, if the kernel can tell.

    A read lease is granted only while nobody has the file open for writing. If a lease cannot be requested (another
    user's file, NFS) the answer is no, and a stable size and time must suffice.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # If someone opens the file for writing while we hold the lease, the kernel sends a signal: not the usual
        # SIGIO, which would kill this process, but one that is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


def _problem(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "is a pipe, socket or device"
