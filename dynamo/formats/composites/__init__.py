"""Read radar composites of several services into one form; the format is detected from the content.

A new format is one new file that offers ``READER``, and one line in `READERS`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dynamo.errors import InputError
from dynamo.formats.composites import bom, meteoswiss, mrms
from dynamo.formats.composites.model import BBox, Composite, Reader, check_bbox, crop
from dynamo.radar.limits import RAIN_RATE_MM_H, within
from dynamo.times import PLAUSIBLE_YEARS, is_plausible, to_iso

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
        If the file is not a valid composite of a known format, much of it is impossible, or the box misses it.
    MissingPartError
        If the library for its format is not installed.
    """
    try:
        composite = reader_of(path).read(path)
        if not is_plausible(composite.valid_time):
            raise InputError(f"valid at {to_iso(composite.valid_time)}", expected=PLAUSIBLE_YEARS)
        rate, count = within(composite.rain_rate, RAIN_RATE_MM_H, name="rain rate, mm/h,")
        composite = replace(composite, rain_rate=rate, implausible=count)
        return composite if bbox is None else composite.cropped(bbox)
    except InputError as error:
        if error.where is not None:
            raise
        raise InputError(error.what, where=path, expected=error.expected) from error
