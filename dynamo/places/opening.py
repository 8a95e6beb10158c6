"""Open a location, whatever it is."""

from __future__ import annotations

import contextlib
import tempfile
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
def as_folder(place: FilePlace, names: Iterable[str], beside: Path) -> Iterator[Path]:
    """Give files of a place as a folder: itself if it is one, else a copy below ``beside`` for this long."""
    if not is_remote(place.location):
        yield Path(place.location)
        return
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetched-", dir=beside) as scratch:
        for name in names:
            goal = Path(scratch, name)
            goal.parent.mkdir(parents=True, exist_ok=True)
            place.copy(name, goal)
        yield Path(scratch)
