"""Tier kind `folder`: another folder, such as a larger and slower disk or a mounted bucket."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field

from dynamo.archive.tiers import TierAwayError, TierFullError, TierKind
from dynamo.archive.verify import files_in
from dynamo.config.file import Config
from dynamo.config.retention import TierSection
from dynamo.errors import InputError
from dynamo.files import copy_file, public_mode, sha256_file, sync_directory
from dynamo.places.opening import is_remote
from dynamo.runs.publish import INDEX, is_whole, read_publication

_MEGABYTE = 1_000_000
_STAGING, _REMOVED = ".staging", ".removed"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class FolderOptions(TierSection):
    """Another folder."""

    kind: Literal["folder"] = "folder"
    path: str = Field(min_length=1, description="The folder.", examples=["/archive/products"])
    min_free_mb: int = Field(1000, ge=0, description="Move nothing there with less than this free, in MB.")


class FolderTier:
    """Publications below a folder, laid out as the products folder is.

    Parameters
    ----------
    root
        The folder; it must exist, as a disk that is not mounted must not be taken for an empty one.
    min_free_mb
        Room that stays free, MB.
    fsync
        Also survive a power loss.
    """

    def __init__(self, root: Path, *, min_free_mb: int = 0, fsync: bool = True) -> None:
        self._root = root
        self._min_free = min_free_mb * _MEGABYTE
        self._fsync = fsync

    def location(self, name: str) -> str:
        """Return the folder of a publication."""
        return str(self._root / name)

    def put(self, source: Path, name: str) -> str:
        """Copy a publication; see `Tier.put`."""
        target = self._root / name
        sums = checked(source)
        if target.exists():
            if _same(target, sums):
                return str(target)
            # Left of a copy that somebody damaged; the source is whole.
            remove_folder(target, self._root / _REMOVED)
        staging = self._root / _STAGING / target.name
        self._require_room(source)
        try:
            shutil.rmtree(staging, ignore_errors=True)
            self._copy(source, staging, sums)
            target.parent.mkdir(parents=True, exist_ok=True)
            staging.rename(target)
        except (OSError, InputError) as error:
            shutil.rmtree(staging, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise TierFullError("the tier is full", where=self._root) from error
            raise
        if self._fsync:
            for folder in (target.parent, target.parent.parent, self._root):
                sync_directory(folder)
        return str(target)

    def remove(self, location: str) -> None:
        """Remove a publication; see `Tier.remove`."""
        if is_remote(location):
            raise InputError("not in this tier", where=location, expected=f"a folder in {self._root}")
        self._require_mounted()
        remove_folder(Path(location), self._root / _REMOVED)

    def _copy(self, source: Path, staging: Path, sums: dict[str, str]) -> None:
        for name, sha256 in sums.items():
            goal = staging / name
            goal.parent.mkdir(parents=True, exist_ok=True)
            copy_file(source / name, goal)
            shutil.copystat(source / name, goal)
            goal.chmod(public_mode() & ~0o222)
            if self._fsync:
                with goal.open("rb") as stream:
                    os.fsync(stream.fileno())
            if sha256_file(goal) != sha256:
                raise InputError("changed while it was copied", where=source / name, expected=sha256)
        if self._fsync:
            for parent, _, _ in os.walk(staging, topdown=False):
                sync_directory(Path(parent))

    def _require_mounted(self) -> None:
        if not self._root.is_dir():
            raise TierAwayError("the folder is not there", where=self._root, hint="mount it, or make it")

    def _require_room(self, source: Path) -> None:
        self._require_mounted()
        size = sum(path.stat().st_size for path in files_in(source))
        if shutil.disk_usage(self._root).free < size + self._min_free:
            raise TierFullError(f"less than {self._min_free // _MEGABYTE} MB would be free", where=self._root)


def checked(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a product folder, also of those that somebody put there.

    Raises
    ------
    InputError
        If it is not a whole publication: a file is missing, or not what the index says.
    """
    publication = read_publication(folder)
    if publication is None:
        raise InputError("not a publication: it has no index", where=folder)
    sums = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_in(folder)}
    for item in publication.products:
        if sums.get(item.lfn) != item.sha256:
            problem = "changed since it was published" if item.lfn in sums else "is missing"
            raise InputError(problem, where=folder / item.lfn, expected=item.sha256)
    # The index last: it stands for the rest.
    return {name: sums[name] for name in sorted(sums, key=lambda name: (name == INDEX, name))}


def remove_folder(folder: Path, trash: Path) -> None:
    """Remove a folder that others may be reading: it goes at once, and is emptied out of their sight.

    A kill in between leaves it in ``trash``, where the next call for the same folder finds it.
    """
    aside = trash / folder.name
    shutil.rmtree(aside, ignore_errors=True)
    if folder.is_dir():
        trash.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        shutil.rmtree(aside)
    # The day's folder, if it is empty.
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def _same(folder: Path, sums: dict[str, str]) -> bool:
    try:
        publication = read_publication(folder)
        return publication is not None and is_whole(publication) and checked(folder) == sums
    except (InputError, OSError):
        return False


def _make(options: FolderOptions, config: Config) -> FolderTier:
    return FolderTier(config.path(options.path), min_free_mb=options.min_free_mb, fsync=config.runs.fsync)


def _problem(options: FolderOptions, config: Config) -> str:
    root = config.path(options.path)
    if not root.is_dir():
        return f"{root}: the folder is not there (mount it, or make it)"
    return "" if os.access(root, os.W_OK | os.X_OK) else f"{root}: may not be written"


KIND = TierKind(FolderOptions, _make, _problem)
