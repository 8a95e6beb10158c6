"""The interface of a place, and what can be wrong with one that is not on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dynamo.errors import DynamoError, RetryableError


class PlaceAwayError(RetryableError):
    """A place does not respond, or has no time for us now."""


class PlaceFullError(RetryableError):
    """A place takes no more, until there is room or quota."""


class PlaceRefusedError(DynamoError):
    """A place refuses us, or does not exist: wrong credentials, bucket or region."""

    exit_code = 8


class FilePlace(Protocol):
    """Named files that belong together, such as those of one publication.

    A name that is not there raises `FileNotFoundError`; one that cannot be read another `OSError`, `PlaceAwayError` or
    `PlaceRefusedError`.
    """

    #: A folder, or ``s3://BUCKET/PREFIX``; a file's path is this, a slash, and its name.
    location: str

    def names(self) -> list[str]:
        """Return the names of all files, sorted; none if there is no such place."""
        ...

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of a small file."""
        ...

    def sha256(self, name: str) -> str:
        """Read a file and return its SHA-256 as lower-case hexadecimal."""
        ...

    def copy(self, name: str, goal: Path) -> None:
        """Write a copy of a file to ``goal``."""
        ...
