"""NEXRAD Level II framing: a volume header, then LDM records, each a bzip2 block of messages.

Damage stays local: of a record that does not unpack, the blocks before the damage are used, and reading goes on with
the next one.
Source: NOAA ICD 2620010H (Archive II/User), sections 3 and 7.
"""

from __future__ import annotations

import bz2
import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

VOLUME_HEADER_BYTES = 24
#: A record holds up to 120 radials, about 1.5 MB; metadata has 0.33 MB.
_MAX_RECORD_BYTES = 32 * 1024 * 1024
#: Start of every bzip2 stream: signature, level, magic of the first block.
_BLOCK = b"1AY&SY"
_PARALLEL_FROM = 4
_STEP_BYTES = 65_536


@dataclass(frozen=True)
class Records:
    """The unpacked records of a file or chunk, in order, and what was wrong."""

    station: str
    blocks: tuple[bytes, ...]
    flags: tuple[str, ...] = ()


def is_volume(head: bytes) -> bool:
    """Whether the bytes begin with the header of an Archive II volume."""
    return head[:4] == b"AR2V" or head[:8] == b"ARCHIVE2"


def is_record(head: bytes) -> bool:
    """Whether the bytes begin with a compressed record, as intermediate and end chunks do."""
    return head[4:7] == b"BZh" and head[8:14] == _BLOCK


def unpack_records(data: bytes) -> Records:
    """Unpack a volume, or any run of its records (a real-time chunk).

    A volume without compression gives one block.
    """
    start, station = 0, ""
    if is_volume(data):
        start = VOLUME_HEADER_BYTES
        station = data[20:24].decode("ascii", "replace").strip("\0 ")
        if len(data) >= start + 14 and not is_record(data[start : start + 14]):
            return Records(station, (data[start:],))
    spans, flags = _spans(data, start)
    if len(spans) >= _PARALLEL_FROM and (os.cpu_count() or 1) > 1:
        # The bz2 module lets go of the interpreter while it works.
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            unpacked = list(pool.map(lambda span: _unpack(data[span[0] : span[1]]), spans))
    else:
        unpacked = [_unpack(data[first:last]) for first, last in spans]
    damaged = sum(not whole for _, whole in unpacked) - ("truncated" in flags)
    if damaged > 0:
        flags = (*flags, f"damaged records: {damaged}")
    return Records(station if station.isalnum() else "", tuple(block for block, _ in unpacked if block), flags)


def _spans(data: bytes, start: int) -> tuple[Sequence[tuple[int, int]], tuple[str, ...]]:
    spans: list[tuple[int, int]] = []
    flags: tuple[str, ...] = ()
    place = start
    while place + 14 <= len(data):
        (size,) = struct.unpack_from(">i", data, place)
        size = abs(size)
        if is_record(data[place : place + 14]) and size > 0:
            end = place + 4 + size
            if end > len(data):
                flags = (*flags, "truncated")
                end = len(data)
            spans.append((place + 4, end))
            place = end
            continue
        # The control word is lost: go on at the next bzip2 stream, 4 bytes before its signature.
        found = data.find(_BLOCK, place + 9)
        if "damaged framing" not in flags:
            flags = (*flags, "damaged framing")
        if found < 0:
            break
        place = found - 8
    return spans, flags


def _unpack(packed: bytes) -> tuple[bytes, bool]:
    """Return what can be unpacked of a record, block by block, and whether it is whole."""
    decompressor = bz2.BZ2Decompressor()
    block = bytearray()
    try:
        for start in range(0, len(packed), _STEP_BYTES):
            block += decompressor.decompress(packed[start : start + _STEP_BYTES], _MAX_RECORD_BYTES - len(block))
            if decompressor.eof or len(block) >= _MAX_RECORD_BYTES:
                break
    except (OSError, EOFError, ValueError):
        return bytes(block), False
    return bytes(block), decompressor.eof
