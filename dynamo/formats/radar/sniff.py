"""Detect radar sweeps and volumes by their first bytes: cheap, and safe on files of any size."""

from __future__ import annotations

import bz2
import io
import zlib
from pathlib import Path

from dynamo.errors import InputError, MissingPartError
from dynamo.extras import need, quiet
from dynamo.formats.radar.nexrad_records import is_record, is_volume
from dynamo.formats.radar.source import HDF5_MAGIC, NETCDF3_MAGIC, load

_HEAD_BYTES = 65_536
_LABELS = (b"ODIM_H5", b"ray_header", b"sweep_start_ray_index")


def is_radar_file(path: Path) -> bool:
    """Return whether `dynamo.formats.radar` has a reader for the file; False if it cannot be opened."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(_HEAD_BYTES)
        head = _unpacked_head(packed)
    except (OSError, EOFError, zlib.error):
        return False
    if is_volume(head) or is_record(head):
        return True
    if head.startswith(NETCDF3_MAGIC):
        return (b"\x06Radial\0" in head and b"\x04Gate" in head) or b"sweep_start_ray_index" in head
    return head.startswith(HDF5_MAGIC) and _hdf5(path, packed is not head)


def _unpacked_head(packed: bytes) -> bytes:
    if packed.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(packed, _HEAD_BYTES)
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(packed, _HEAD_BYTES)
    return packed


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(16 * _HEAD_BYTES)


def _hdf5(path: Path, packed: bool) -> bool:
    try:
        h5py = need("h5py", extra="hail")
    except MissingPartError:
        # Then the reader says what to install; a nowcast in NetCDF-4 does not need it.
        return any(label in _head(path) for label in _LABELS)
    try:
        with quiet(), h5py.File(io.BytesIO(load(path).data) if packed else path, "r") as file:
            conventions = file.attrs.get("Conventions", b"")
            label = conventions.decode("utf-8", "replace") if isinstance(conventions, bytes) else str(conventions)
            return (
                label.startswith("ODIM")
                or ("what" in file and ("scan0" in file or "dataset1" in file))
                or "sweep_start_ray_index" in file
            )
    except (InputError, OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError):
        return False
