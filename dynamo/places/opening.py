"""Open a location, whatever it is."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from dynamo.places.base import FilePlace
from dynamo.places.bucket import SCHEME, BucketPlace, bucket_at
from dynamo.places.folder import FolderPlace


def is_remote(location: str) -> bool:
    """Tell whether a location or path is not one of a file system."""
    return location.startswith(SCHEME)


def open_place(location: str | Path) -> FilePlace:
    """Return the place at a location; nothing is read yet.

    Raises
    ------
    MissingPartError, PlaceRefusedError
        If the library for it is not installed, or its credentials cannot be read.
    """
    if isinstance(location, str) and is_remote(location):
        return BucketPlace(*bucket_at(location))
    return FolderPlace(Path(location))


def is_there(path: str) -> bool:
    """Tell whether a file exists, wherever it is; raises as `FilePlace`."""
    if not is_remote(path):
        return Path(path).exists()
    folder, _, name = path.rpartition("/")
    try:
        open_place(folder).size(name)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def as_folder(place: FilePlace, names: Iterable[str], scratch: Path) -> Iterator[Path]:
    """Give files of a place as a folder: itself if it is one, else copies in ``scratch`` for this long.

    What a kill leaves in ``scratch`` is gone when the next call for it ends.
    """
    if not is_remote(place.location):
        yield Path(place.location)
        return
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for name in names:
            goal = scratch / name
            goal.parent.mkdir(parents=True, exist_ok=True)
            place.copy(name, goal)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            scratch.parent.rmdir()
