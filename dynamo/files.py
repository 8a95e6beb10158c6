"""Atomic file writes: readers, and restarts after a kill, never see a partial file."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dynamo.errors import InputError

#: Linux's `ioctl` that makes a file a copy of another on the same file system without copying (linux/fs.h).
_FICLONE = 0x40049409
_CHUNK = 1 << 20

#: Modes of what only its owner may see: state holds paths, parameters, logs, and tokens.
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
#: Bytes in a file name, on all file systems in use.
LONGEST_NAME = 255


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary name next to ``path``; rename it to ``path`` if the block succeeds.

    The name starts with a dot and contains the process id, so directory watchers skip it and concurrent writers do not
    collide. On any error the temporary file is removed and ``path`` is left unchanged. With ``private`` only the owner
    may read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(path)
    try:
        if private:
            partial.unlink(missing_ok=True)
            partial.touch(PRIVATE_FILE)
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def beside(path: Path) -> Path:
    """Return the temporary name of this process next to ``path``, however long its own is."""
    name = f".{path.name}.{os.getpid()}.part"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.{os.getpid()}.part"
    return path.with_name(name)


def fitting(name: str, room: int = 0) -> str:
    """Return a name that leaves room for ``room`` more bytes; a longer one is cut, and a checksum tells it apart."""
    raw = name.encode()
    if len(raw) + room <= LONGEST_NAME:
        return name
    tail = "~" + hashlib.sha256(raw).hexdigest()[:8]
    return raw[: LONGEST_NAME - room - len(tail)].decode(errors="ignore") + tail


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write ``data`` to ``path`` atomically; with ``private`` only the owner may read it."""
    with replacing(path, private=private) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write ``text`` as UTF-8 to ``path`` atomically; with ``private`` only the owner may read it."""
    write_bytes(path, text.encode(), private=private)


def copy_file(source: Path, goal: Path) -> None:
    """Give ``goal`` the content of ``source``, of its own: sharing blocks where the file system can (reflink)."""
    with source.open("rb") as data, goal.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, data.fileno())
        except OSError:
            shutil.copyfileobj(data, copy, _CHUNK)


def private_folder(path: Path) -> None:
    """Create a folder, and the missing ones above it, for their owner only; leave existing ones as they are."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(PRIVATE_FOLDER, exist_ok=True)


def private_file(path: Path) -> None:
    """Create an empty file that only the owner may read; leave an existing one as it is."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE))


@functools.cache
def public_mode() -> int:
    """Return the mode of a new file for others, as the umask of this process says."""
    try:
        status = Path("/proc/self/status").read_text()
        mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), 8)
    except (OSError, StopIteration, ValueError):
        # It can only be read by setting it, which other threads may see for a moment.
        mask = os.umask(0o077)
        os.umask(mask)
    return 0o666 & ~mask


def expanded(text: str | Path) -> Path:
    """Return a path with ``~`` and ``~USER`` replaced by home folders; raise `InputError` for an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError("no such user", where=text, expected="a path, ~/... or ~USER/...") from None


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
