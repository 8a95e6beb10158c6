"""The bytes of an input file, decompressed from gzip or bzip2, with a size limit."""

from __future__ import annotations

import bz2
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamo.errors import InputError

#: The largest accepted radar volume, unpacked. A full super-resolution NEXRAD volume has about 100 MB.
MAX_BYTES = 512 * 1024 * 1024
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
NETCDF3_MAGIC = (b"CDF\x01", b"CDF\x02")


@dataclass(frozen=True)
class Source:
    """One input file, unpacked.

    ``packed`` means that ``data`` is not the content of ``path``.
    """

    path: Path
    data: bytes
    packed: bool = False


def load(path: Path) -> Source:
    """Read a file and unpack it by its content, whatever its name.

    Raises
    ------
    InputError
        If the file does not exist, is empty, truncated or damaged, or unpacks to more than `MAX_BYTES`.
    """
    if not path.is_file():
        raise InputError("is a directory" if path.is_dir() else "no such file", where=path, expected="a radar file")
    if not 0 < path.stat().st_size <= MAX_BYTES:
        raise InputError(
            f"has {path.stat().st_size:,} bytes", where=path, expected=f"a radar file of up to {MAX_BYTES:,} bytes"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path, expected="a radar file") from error
    return unpack(path, data)


def unpack(path: Path, data: bytes) -> Source:
    """Decompress gzip or bzip2 ``data``; see `load`."""
    if data.startswith(b"\x1f\x8b"):
        return Source(path, _gunzip(path, data), packed=True)
    if data.startswith(b"BZh"):
        return Source(path, _bunzip(path, data), packed=True)
    return Source(path, data)


def _gunzip(path: Path, data: bytes) -> bytes:
    from isal import igzip_lib, isal_zlib

    broken: Any = isal_zlib.error

    if len(data) < 18:
        raise InputError("truncated inside its gzip header", where=path, expected="a complete file")
    # The trailer has the size: one allocation instead of a dozen. It may be wrong, so it is only a first step.
    (hint,) = struct.unpack("<I", data[-4:])
    decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    try:
        unpacked: bytes = decompressor.decompress(data, min(hint, MAX_BYTES, 1032 * len(data)) + 1)
        if not decompressor.eof and len(unpacked) < MAX_BYTES and not decompressor.needs_input:
            unpacked += decompressor.decompress(b"", MAX_BYTES - len(unpacked))
        while decompressor.eof and decompressor.unused_data.startswith(b"\x1f\x8b") and len(unpacked) < MAX_BYTES:
            # A file may have several members, one after the other.
            rest = decompressor.unused_data
            decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            unpacked += decompressor.decompress(rest, MAX_BYTES - len(unpacked))
    except (broken, EOFError, ValueError, MemoryError) as error:
        raise InputError(f"damaged gzip: {error}", where=path, expected="a complete file") from error
    if not decompressor.eof:
        raise InputError("truncated gzip, or unpacked size too large", where=path, expected="a complete file")
    return unpacked


def _bunzip(path: Path, data: bytes) -> bytes:
    decompressor = bz2.BZ2Decompressor()
    try:
        unpacked = decompressor.decompress(data, MAX_BYTES)
        while decompressor.eof and decompressor.unused_data.startswith(b"BZh") and len(unpacked) < MAX_BYTES:
            rest, decompressor = decompressor.unused_data, bz2.BZ2Decompressor()
            unpacked += decompressor.decompress(rest, MAX_BYTES - len(unpacked))
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"damaged bzip2: {error}", where=path, expected="a complete file") from error
    if not decompressor.eof:
        raise InputError("truncated bzip2, or unpacked size too large", where=path, expected="a complete file")
    return unpacked
