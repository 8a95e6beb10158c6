"""The content of NEXRAD chunks, as far as their feed needs it: whole or not, which station, how much of a cut."""

from __future__ import annotations

import bz2
from collections.abc import Sequence

from dynamo.formats.radar.nexrad_records import VOLUME_HEADER_BYTES, is_record, is_volume

#: Bytes of an unpacked record to read; its first ray ends well before: rays have at most 20 kB, messages before it
#: 2.4 kB each.
_HEAD_BYTES = 65_536
_LONGEST_STATION = 8


def is_whole(data: bytes) -> bool:
    """Whether the records of a chunk end with its last byte."""
    place = VOLUME_HEADER_BYTES if is_volume(data[:24]) else 0
    while is_record(data[place : place + 14]):
        place += 4 + abs(int.from_bytes(data[place : place + 4], "big", signed=True))
    return place == len(data) > VOLUME_HEADER_BYTES


def station_of(data: bytes) -> str:
    """Return the station named by the header or first ray of a chunk; empty if none is valid.

    It becomes part of a file name, so only letters and digits are accepted.
    """
    from dynamo.formats.radar.nexrad_rays import rays_of

    start = 0
    if is_volume(data[:24]):
        start = VOLUME_HEADER_BYTES
        if station := _checked(data[20:24].decode("ascii", "replace")):
            return station
    try:
        block = bz2.BZ2Decompressor().decompress(data[start + 4 :], _HEAD_BYTES)
    except (OSError, ValueError):
        return ""
    return next((station for ray in rays_of(block)[0] if (station := _checked(ray.station))), "")


def is_whole_cut(rays: Sequence[tuple[int, int]]) -> bool:
    """Whether the numbers and statuses of a cut's rays include the first, the last and all in between."""
    from dynamo.formats.radar.nexrad_rays import ENDS, STARTS

    statuses = {status for _, status in rays}
    numbers = {number for number, _ in rays}
    return bool(statuses & STARTS and statuses & ENDS) and len(numbers) == max(numbers) - min(numbers) + 1


def _checked(station: str) -> str:
    station = station.strip("\0 ")
    return station if station.isascii() and station.isalnum() and len(station) <= _LONGEST_STATION else ""
