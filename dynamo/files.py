"""Atomic file writes: readers, and restarts after a kill, never see a partial file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

#: Linux's `ioctl` that makes a file a copy of another on the same file system without copying (linux/fs.h).
_FICLONE = 0x40049409
_CHUNK = 1 << 20


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name next to ``path``; rename it to ``path`` if the block succeeds.

    The name starts with a dot and contains the process id, so directory watchers skip it and concurrent writers do not
    collide. On any error the temporary file is removed and ``path`` is left unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` atomically."""
    write_bytes(path, text.encode())


def copy_file(source: Path, goal: Path) -> None:
    """Give ``goal`` the content of ``source``, of its own: sharing blocks where the file system can (reflink)."""
    with source.open("rb") as data, goal.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, data.fileno())
        except OSError:
            shutil.copyfileobj(data, copy, _CHUNK)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file as lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_directory(path: Path) -> None:
    """Make renames inside ``path`` survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
