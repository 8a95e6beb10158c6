"""NEXRAD Level II framing: a volume header, then LDM records, each a bzip2 block of messages.

Damage stays local: the blocks of a record before the damage are used, and reading continues with the next record. The
total unpacked size is limited: a few hundred bytes of bzip2 can claim gigabytes.
Source: NOAA ICD 2620010H (Archive II/User), sections 3 and 7.
"""

from __future__ import annotations

import bz2
import os
import struct
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from dynamo.formats.radar.source import MAX_BYTES

VOLUME_HEADER_BYTES = 24
#: A record holds up to 120 radials, about 1.5 MB; metadata has 0.33 MB.
_MAX_RECORD_BYTES = 32 * 1024 * 1024
#: Start of every bzip2 stream: signature, level, magic of the first block.
_BLOCK = b"1AY&SY"
#: Maximum ratio of unpacked to packed bytes, plus one large record. Real volumes reach 63, a metadata-only chunk 141.
_MOST_TIMES = 1000
_PARALLEL_FROM = 4
_STEP_BYTES = 65_536


@dataclass(frozen=True)
class Records:
    """The unpacked records of a file or chunk, in order, and their problems."""

    station: str
    blocks: tuple[bytes, ...]
    flags: tuple[str, ...] = ()


def is_volume(head: bytes) -> bool:
    """Whether the bytes start with the header of an Archive II volume."""
    return head[:4] == b"AR2V" or head[:8] == b"ARCHIVE2"


def is_record(head: bytes) -> bool:
    """Whether the bytes start with a compressed record, as intermediate and end chunks do."""
    return head[4:7] == b"BZh" and head[8:14] == _BLOCK


def unpack_records(data: bytes) -> Records:
    """Unpack a volume, or any run of its records (a real-time chunk).

    An uncompressed volume gives one block. Records beyond the size limit count as damaged.
    """
    start, station = 0, ""
    if is_volume(data):
        start = VOLUME_HEADER_BYTES
        station = data[20:24].decode("ascii", "replace").strip("\0 ")
        if len(data) >= start + 14 and not is_record(data[start : start + 14]):
            return Records(station, (data[start:],))
    spans, flags = _spans(data, start)
    unpacked, left_out = _unpack_all(data, spans)
    damaged = sum(not whole for _, whole in unpacked) + left_out - ("truncated" in flags)
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
        # The control word is lost: continue at the next bzip2 stream, 4 bytes before its signature.
        found = data.find(_BLOCK, place + 9)
        if "damaged framing" not in flags:
            flags = (*flags, "damaged framing")
        if found < 0:
            break
        place = found - 8
    return spans, flags


def _unpack_all(data: bytes, spans: Sequence[tuple[int, int]]) -> tuple[list[tuple[bytes, bool]], int]:
    """Return the result of `_unpack` for each record up to the size limit, and the number of records left out."""
    budget = min(MAX_BYTES, _MAX_RECORD_BYTES + _MOST_TIMES * len(data))
    workers = min(4, os.cpu_count() or 1) if len(spans) >= _PARALLEL_FROM else 1
    unpacked: list[tuple[bytes, bool]] = []
    waiting = iter(spans)
    # The bz2 module releases the GIL; only a few records are started ahead, so that the limit holds.
    with ThreadPoolExecutor(workers) as pool:
        running = deque(pool.submit(_unpack, data[first:last]) for first, last in islice(waiting, workers))
        while running:
            block, whole = running.popleft().result()
            budget -= len(block)
            if budget < 0:
                break
            unpacked.append((block, whole))
            running.extend(pool.submit(_unpack, data[first:last]) for first, last in islice(waiting, 1))
    return unpacked, len(spans) - len(unpacked)


def _unpack(packed: bytes) -> tuple[bytes, bool]:
    """Return as much of a record as can be unpacked, block by block, and whether it is complete."""
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
