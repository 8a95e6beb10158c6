"""Whether the file systems of run folders and products take files: with room, writable, and alive."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from dynamo.errors import RetryableError, passes
from dynamo.files import private_folder
from dynamo.runs.settings import RunSettings

_MEGABYTE = 1_000_000
_PROBE = bytes(4096)


class DiskError(RetryableError):
    """Files cannot be written now: a disk is full, read-only, or fails."""


def check_disk(settings: RunSettings) -> None:
    """Check that runs and products can be written, by writing.

    A full quota, a disk that the kernel made read-only after a fault, and a server that is gone all show free space.

    Raises
    ------
    DiskError
        If there is too little room, or a small file cannot be written for a reason that passes.
    """
    for folder in settings.lowest_free:
        try:
            free = shutil.disk_usage(_existing(folder)).free
            if free < settings.min_free_mb * _MEGABYTE:
                raise DiskError(f"less than {settings.min_free_mb} MB free", where=folder)
            if folder == settings.runs_dir:
                private_folder(folder)
            else:
                folder.mkdir(parents=True, exist_ok=True)
            _write(folder)
        except OSError as error:
            # Other faults (a file where the folder should be) are for the run to fail with.
            if passes(error):
                raise DiskError(f"cannot be written: {error.strerror}", where=folder) from error


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _write(folder: Path) -> None:
    probe = folder / f".probe.{os.getpid()}"
    try:
        probe.write_bytes(_PROBE)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
