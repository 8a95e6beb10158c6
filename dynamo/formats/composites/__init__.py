"""Read radar composites of several services into one form; the format is detected from the content.

A new format is one new file that offers ``READER``, and one line in `READERS`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dynamo.errors import InputError
from dynamo.formats.composites import bom, meteoswiss, mrms
from dynamo.formats.composites.model import BBox, Composite, Reader, check_bbox, crop

__all__ = [
    "READERS",
    "BBox",
    "Composite",
    "Reader",
    "check_bbox",
    "crop",
    "read_composite",
    "read_valid_time",
    "reader_of",
]

READERS: tuple[Reader, ...] = (
    mrms.READER,
    meteoswiss.READER,
    bom.READER,
)

_HEAD_BYTES = 64


def reader_of(path: Path) -> Reader:
    """Return the reader for the file, chosen by its first bytes.

    Raises
    ------
    InputError
        If the file does not exist, is empty, or has an unknown format.
    """
    if not path.is_file():
        raise InputError("is a directory" if path.is_dir() else "no such file", where=path, expected="a composite file")
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    for reader in READERS:
        if reader.matches(head):
            return reader
    raise InputError(
        "not a known composite" if head else "is empty",
        where=path,
        expected=" or ".join(reader.description for reader in READERS),
    )


def read_valid_time(path: Path) -> datetime:
    """Return the valid time of a composite, without decoding its field; raises as `read_composite`."""
    return reader_of(path).valid_time(path)


def read_composite(path: Path, bbox: BBox | None = None) -> Composite:
    """Read one composite, cropped to ``bbox`` (south, west, north, east in degrees) if given.

    Raises
    ------
    InputError
        If the file is not a valid composite of a known format, or the box misses it.
    MissingPartError
        If the library for its format is not installed.
    """
    composite = reader_of(path).read(path)
    if bbox is None:
        return composite
    try:
        return composite.cropped(bbox)
    except InputError as error:
        raise InputError(error.what, where=path, expected=error.expected) from error
