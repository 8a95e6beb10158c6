"""The formats of radar files, one line each; the first one that matches the content reads the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar import casa, cfradial, gamic, nexrad, nexrad_sweeps, odim
from dynamo.formats.radar.source import Source

Moments = Collection[str] | None


@dataclass(frozen=True)
class Format:
    """One format: how to detect it, and its reader.

    ``read_many`` is for formats that spread one volume over files that mean nothing alone.
    """

    name: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, Moments], list[xr.Dataset]]
    read_many: Callable[[Sequence[Source], Moments], tuple[list[xr.Dataset], tuple[str, ...]]] | None = None


FORMATS: tuple[Format, ...] = (
    Format(casa.NAME, casa.matches, casa.read),
    Format(nexrad_sweeps.NAME, nexrad.matches, nexrad.read, nexrad.read_many),
    Format(odim.NAME, odim.matches, odim.read),
    Format(gamic.NAME, gamic.matches, gamic.read),
    Format(cfradial.NAME, cfradial.matches, cfradial.read),
)


def find_format(source: Source) -> Format | None:
    """Return the format of a file, or None if it is not a radar file of a known format."""
    return next((candidate for candidate in FORMATS if candidate.matches(source)), None)


def format_of(source: Source) -> Format:
    """Return the format of a file.

    Raises
    ------
    InputError
        If its content matches no format.
    """
    found = find_format(source)
    if found is None:
        raise InputError(
            f"not a radar sweep or volume (starts with {source.data[:8]!r})",
            where=source.path,
            expected=", ".join(candidate.name for candidate in FORMATS),
        )
    return found
