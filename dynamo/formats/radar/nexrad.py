"""NEXRAD Level II: volumes (Archive II) and real-time chunks, dual-polarized, super resolution and clear air.

Decoded here and not by a library: Py-ART and xradar need seconds to import and read (docs/reference/formats.md), xradar
finds no sweep in trimmed clear-air files, and neither goes on behind a damaged record, tells what is missing,
or takes chunks as they come. Equality with Py-ART, gate by gate, is tested.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.chunks import ChunkVolume, chunk_name
from dynamo.formats.radar.nexrad_records import is_record, is_volume
from dynamo.formats.radar.nexrad_sweeps import completeness, decode, sweeps_of
from dynamo.formats.radar.rays import merge_flags
from dynamo.formats.radar.source import Source


def matches(source: Source) -> bool:
    """Whether the file is a volume or a run of its records."""
    return is_volume(source.data[:24]) or is_record(source.data[:14])


def read(source: Source, moments: Collection[str] | None = None) -> list[xr.Dataset]:
    """Read all cuts of one file; see `read_many`."""
    return read_many([source], moments)[0]


def read_many(
    sources: Sequence[Source], moments: Collection[str] | None = None
) -> tuple[list[xr.Dataset], tuple[str, ...]]:
    """Read a volume, or its chunks, ordered by the number in their names.

    Returns
    -------
    list of xarray.Dataset
        Every cut, in the order of elevation numbers.
    tuple of str
        What is wrong with the volume: ``truncated``, ``incomplete: ...``, ``missing chunks ...``.

    Raises
    ------
    InputError
        If no ray can be read.
    """
    if len(sources) > 1:
        volume = ChunkVolume(chunk_name(sources[0].path.name).volume)
        volume.add_all([(source.path.name, source.data) for source in sources])
        return volume.sweeps(moments), volume.flags()
    rays, station, flags = decode(sources[0].data)
    where = sources[0].path
    if not rays:
        raise InputError(
            "no ray of a NEXRAD Level II volume can be read" + (f" ({'; '.join(flags)})" if flags else ""),
            where=where,
            expected="message 31 (files since 2008)",
        )
    sweeps, remarks = sweeps_of(rays, station, moments, where=where)
    return sweeps, merge_flags(flags, remarks, completeness(rays))
