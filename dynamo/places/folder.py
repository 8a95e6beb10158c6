"""A folder as a place."""

from __future__ import annotations

import os
from pathlib import Path

from dynamo.files import copy_file, sha256_file


class FolderPlace:
    """The files in a folder, at any depth; see `dynamo.places.base.FilePlace`."""

    def __init__(self, folder: Path) -> None:
        self.location = str(folder)
        self._folder = folder

    def names(self) -> list[str]:
        """Return everything in the folder that is not a folder."""
        found = (Path(parent) / name for parent, _, names in os.walk(self._folder) for name in names)
        return [path.relative_to(self._folder).as_posix() for path in sorted(found)]

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        return (self._folder / name).stat().st_size

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self._folder / name).read_bytes()

    def sha256(self, name: str) -> str:
        """Return the checksum of a file."""
        return sha256_file(self._folder / name)

    def copy(self, name: str, goal: Path) -> None:
        """Copy a file, or share its blocks."""
        copy_file(self._folder / name, goal)
