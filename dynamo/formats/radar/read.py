"""Read radar files of any format, single or several of one volume, into the internal model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.formats import Format, format_of
from dynamo.formats.radar.model import Site, Volume
from dynamo.formats.radar.source import Source, load
from dynamo.formats.radar.volume import make_volume, replace_where

MAX_FILES = 1000


def read_volume(
    path: Path | Sequence[Path],
    *,
    moments: Collection[str] | None = None,
    pair_doppler: bool = True,
    site: Site | None = None,
    now: datetime | None = None,
    max_age: timedelta | None = None,
) -> Volume:
    """Read a sweep, a volume, or the files of one volume; the format is detected from the content.

    Parameters
    ----------
    path
        A file, or the files of one volume: one sweep each, or NEXRAD real-time chunks in any order.
    moments
        The moments to read (CF/Radial names); all by default. ``DBZH`` is always read.
    pair_doppler
        Move velocity and width from a Doppler cut without polarimetry to the polarimetric cut of the same elevation,
        and drop the Doppler cut; otherwise every cut of the file is a sweep.
    site
        The radar's position, overriding the file's.
    now, max_age
        The caller's clock, to flag volumes from the future or older than ``max_age``.

    Returns
    -------
    Volume
        The sweeps in order of their start. ``flags`` of the volume and of each sweep report usable but flawed data.

    Raises
    ------
    InputError
        If a file is not a radar file of a known format, has no usable data, or the files are not of one volume.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    if not 1 <= len(paths) <= MAX_FILES:
        raise InputError(f"{len(paths)} files", expected=f"1 to {MAX_FILES} files of one volume")
    sources = [load(one) for one in paths]
    formats = [format_of(source) for source in sources]
    sweeps, flags = _sweeps(sources, formats, moments)
    if site is not None:
        for sweep in sweeps:
            sweep.attrs |= {
                "radar": site.radar,
                "latitude_deg": site.latitude_deg,
                "longitude_deg": site.longitude_deg,
                "altitude_m": site.altitude_m,
                "band": site.band,
            }
    return make_volume(
        sweeps, flags=flags, pair=pair_doppler, now=now, max_age=max_age, where=", ".join(map(str, paths[:2]))
    )


def read_sweeps(path: Path | Sequence[Path], *, moments: Collection[str] | None = None) -> tuple[xr.Dataset, ...]:
    """Return the sweeps of `read_volume`."""
    return read_volume(path, moments=moments).sweeps


def _sweeps(
    sources: Sequence[Source], formats: Sequence[Format], moments: Collection[str] | None
) -> tuple[list[xr.Dataset], tuple[str, ...]]:
    if len({one.name for one in formats}) > 1:
        raise InputError(
            f"files of the formats {', '.join(sorted({one.name for one in formats}))}",
            where=sources[0].path,
            expected="files of one volume in one format",
        )
    if formats[0].read_many is not None:
        return formats[0].read_many(sources, moments)
    sweeps: list[xr.Dataset] = []
    for source in sources:
        try:
            sweeps += formats[0].read(source, moments)
        except InputError as error:
            raise replace_where(error, source.path) from error
    return sweeps, ()
