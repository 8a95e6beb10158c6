"""NEXRAD Level II messages: the rays (message 31) of unpacked records.

Source: NOAA ICD 2620002 (RDA/RPG), table XVII: Digital Radar Data Generic Format, big-endian throughout. Only positions
are recorded here; values are extracted by sweep, many rays at a time.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

_CTM_BYTES = 12
_SEGMENT_BYTES = 2432
_MESSAGE = struct.Struct(">HBBHHIHH")
_RAY = struct.Struct(">4sIHHfBBHBBBBfBBH")
_MOMENT = struct.Struct(">HhhHhBBff")
_VOLUME = struct.Struct(">ffhH")
_RADIAL = struct.Struct(">HHffH")
_MAX_POINTERS = 10

#: Radial status: first ray of an elevation, of the volume; last ray of an elevation, of the volume.
STARTS, ENDS = frozenset({0, 3, 5}), frozenset({2, 4})
VOLUME_START, VOLUME_END = 3, 4


@dataclass(slots=True)
class RayMoment:
    """Location of the gates of one moment of one ray in their block."""

    begin: int
    gates: int
    first_gate_m: int
    gate_m: int
    word_bytes: int
    scale: float
    offset: float


@dataclass(slots=True)
class Ray:
    """One ray: direction, time (milliseconds since 1970), radar position if given, and its moments by name."""

    block: bytes
    station: str
    time_ms: int
    number: int
    elevation_number: int
    status: int
    azimuth_deg: float
    elevation_deg: float
    nyquist_m_s: float
    site: tuple[float, float, float] | None
    moments: dict[str, RayMoment]


def rays_of(block: bytes) -> tuple[list[Ray], int]:
    """Return the rays of an unpacked record and the number of unreadable messages.

    Legacy rays (message 1, before 2008) count as unreadable.
    """
    rays: list[Ray] = []
    bad = 0
    place, end = 0, len(block)
    while place + _CTM_BYTES + _MESSAGE.size <= end:
        size, _, kind, *_ = _MESSAGE.unpack_from(block, place + _CTM_BYTES)
        if kind != 31:
            bad += kind == 1
            place += _SEGMENT_BYTES
            continue
        start = place + _CTM_BYTES + _MESSAGE.size
        length = size * 2 - _MESSAGE.size
        if length < _RAY.size or start + length > end:
            bad += 1
            break
        try:
            rays.append(_ray(block, start, start + length))
        except (struct.error, ValueError):
            bad += 1
        place = start + length
    return rays, bad


def _ray(block: bytes, start: int, end: int) -> Ray:
    (
        name,
        milliseconds,
        day,
        number,
        azimuth,
        packed,
        _,
        _,
        _,
        status,
        elevation_number,
        _,
        elevation,
        _,
        _,
        pointers,
    ) = _RAY.unpack_from(block, start)
    if packed or not (-360 <= azimuth <= 720 and -10 <= elevation <= 100) or milliseconds > 86_400_999:
        raise ValueError("not a ray")
    ray = Ray(
        block=block,
        station=name.decode("ascii", "replace").strip("\0 "),
        time_ms=(day - 1) * 86_400_000 + milliseconds,
        number=number,
        elevation_number=elevation_number,
        status=status & 0x0F,
        azimuth_deg=azimuth,
        elevation_deg=elevation,
        nyquist_m_s=math.nan,
        site=None,
        moments={},
    )
    count = min(pointers, _MAX_POINTERS)
    for pointer in struct.unpack_from(f">{count}I", block, start + _RAY.size):
        place = start + pointer
        if not start < place <= end - 4:
            continue
        kind, label = block[place : place + 1], block[place + 1 : place + 4]
        if kind == b"D" and place + 4 + 4 + _MOMENT.size <= end:
            gates, first, spacing, _, _, _, bits, scale, offset = _MOMENT.unpack_from(block, place + 8)
            begin = place + 8 + _MOMENT.size
            if bits in (8, 16) and scale and math.isfinite(scale + offset) and begin + gates * bits // 8 <= end:
                moment = RayMoment(begin, gates, first, spacing, bits // 8, scale, offset)
                ray.moments[label.decode("ascii", "replace").strip()] = moment
        elif label == b"VOL" and place + 8 + _VOLUME.size <= end:
            latitude, longitude, ground, feedhorn = _VOLUME.unpack_from(block, place + 8)
            ray.site = (latitude, longitude, float(ground + feedhorn))
        elif label == b"RAD" and place + 4 + _RADIAL.size <= end:
            ray.nyquist_m_s = _RADIAL.unpack_from(block, place + 4)[4] / 100.0
    return ray
