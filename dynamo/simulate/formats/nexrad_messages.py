"""Parts of NEXRAD Level II: volume header, compressed records, ray and metadata messages.

Big-endian throughout. Sources: NOAA ICD 2620010H (Archive II/User) for headers and records, 2620002 (RDA/RPG) for
messages: table XI for the volume coverage pattern, table XVII for rays. Values unrelated to weather
(calibration, noise) are those of a real radar.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEGMENT_BYTES = 2432
_HEADER_BYTES = 16
_CTM = bytes(12)
#: Moments by name in the file: scale, offset and bits per code; value = (code - offset) / scale.
MOMENTS: Mapping[bytes, tuple[float, float, int]] = {
    b"REF": (2.0, 66.0, 8),
    b"VEL": (2.0, 129.0, 8),
    b"SW": (2.0, 129.0, 8),
    b"ZDR": (16.0, 128.0, 8),
    b"PHI": (2.8361, 2.0, 16),
    b"RHO": (300.0, -60.5, 8),
}
#: Special codes: below threshold, range folded.
BELOW, FOLDED = 0, 1
#: Radial status: first ray of an elevation, intermediate, last; first ray of the volume, last.
CUT_START, MIDDLE, CUT_END, VOLUME_START, VOLUME_END = 0, 1, 2, 3, 4
#: The advertised pattern: 212, fast, for storms.
PATTERN = 212
_FEEDHORN_M = 20


@dataclass(frozen=True)
class SimulatedRay:
    """Header of a ray; ``status`` is `CUT_START` or one of the others."""

    station: bytes
    time: datetime
    number: int
    azimuth_deg: float
    elevation_deg: float
    elevation_number: int
    status: int
    place_deg: tuple[float, float]
    altitude_m: float
    nyquist_m_s: float
    unambiguous_m: float
    first_gate_m: int
    gate_m: int
    fine: bool = False


@dataclass(frozen=True)
class Cut:
    """One entry of the volume coverage pattern; ``doppler`` and ``surveillance`` say what is measured."""

    elevation_deg: float
    surveillance: bool
    doppler: bool
    fine: bool
    degrees_per_second: float


def volume_header(station: bytes, time: datetime, number: int = 1) -> bytes:
    """Return the 24 bytes at the start of a volume."""
    return b"AR2V0006." + f"{number % 1000:03d}".encode() + struct.pack(">II4s", *_clock(time), station)


def record(messages: Sequence[bytes]) -> bytes:
    """Return messages as one compressed record with its control word."""
    packed = bz2.compress(b"".join(messages))
    return struct.pack(">i", len(packed)) + packed


def metadata(cuts: Sequence[Cut], time: datetime) -> bytes:
    """Return the first record's content: 134 segments with the state of the radar and the coverage pattern.

    The clutter maps (15, 13), adaptation data (18) and performance (3) are empty.
    """
    segments = [_segment(15, number + 1, 5, time) for number in range(5)]
    segments += [bytes(_SEGMENT_BYTES)] * 72
    segments += [_segment(13, number + 1, 49, time) for number in range(49)]
    segments += [_segment(18, number + 1, 4, time) for number in range(4)]
    segments += [bytes(_SEGMENT_BYTES)]
    segments += [_segment(3, 1, 1, time, bytes(960)), _segment(5, 1, 1, time, _pattern(cuts))]
    segments += [_segment(2, 1, 1, time, _status())]
    return b"".join(segments)


def ray_message(ray: SimulatedRay, moments: Mapping[bytes, NDArray[Any]]) -> bytes:
    """Return message 31.

    Parameters
    ----------
    ray
        Its direction, time and position.
    moments
        Codes of all gates, by moment name in the file; see `MOMENTS`.
    """
    label = struct.pack(
        ">4sHBBffhHfffffHH",
        b"RVOL", 44, 2, 0, *ray.place_deg, round(ray.altitude_m) - _FEEDHORN_M, _FEEDHORN_M,
        -43.1, 221.2, 192.5, -1.27, 60.0, PATTERN, 1,
    )  # fmt: skip
    reach, nyquist = round(ray.unambiguous_m / 100), round(ray.nyquist_m_s * 100)
    blocks = [
        label,
        struct.pack(">4sHhf", b"RELV", 12, -12, -41.7),
        struct.pack(">4sHHffHHff", b"RRAD", 28, reach, -82.3, -81.9, nyquist, 0, -42.1, -42.2),
        *(_moment(ray, name, values) for name, values in moments.items()),
    ]
    pointers, place = [], 32 + 4 * len(blocks)
    for block in blocks:
        pointers.append(place)
        place += len(block)
    days, milliseconds = _clock(ray.time)
    body = struct.pack(
        ">4sIHHfBBHBBBBfBBH",
        ray.station, milliseconds, days, ray.number, ray.azimuth_deg, 0, 0, place, 1 if ray.fine else 2,
        ray.status, ray.elevation_number, 1, ray.elevation_deg, 0, 25 if ray.fine else 50, len(blocks),
    )  # fmt: skip
    body += struct.pack(f">{len(blocks)}I", *pointers) + b"".join(blocks)
    body += bytes(len(body) % 2)
    return _CTM + _message_header(31, len(body), 1, 1, ray.time) + body


def _moment(ray: SimulatedRay, name: bytes, values: NDArray[Any]) -> bytes:
    scale, offset, bits = MOMENTS[name]
    head = struct.pack(
        ">4sIHhhHhBBff",
        b"D" + name.ljust(3),
        0,
        values.size,
        ray.first_gate_m,
        ray.gate_m,
        50,
        16,
        0,
        bits,
        scale,
        offset,
    )
    return head + values.astype(">u2" if bits == 16 else np.uint8).tobytes()


def _segment(kind: int, number: int, total: int, time: datetime, body: bytes = bytes(2400)) -> bytes:
    message = _CTM + _message_header(kind, len(body), number, total, time) + body
    return message.ljust(_SEGMENT_BYTES, b"\0")


def _message_header(kind: int, body_bytes: int, number: int, total: int, time: datetime) -> bytes:
    days, milliseconds = _clock(time)
    return struct.pack(">HBBHHIHH", (body_bytes + _HEADER_BYTES) // 2, 8, kind, 1, days, milliseconds, total, number)


def _pattern(cuts: Sequence[Cut]) -> bytes:
    """Return message 5: 11 half-words for the pattern and 23 for each cut."""
    head = struct.pack(">HHHHBBBB4xHHH", 11 + 23 * len(cuts), 2, PATTERN, len(cuts), 1, 1, 2, 2, 0x4700, 0x0300, 0)
    return head + b"".join(_cut(cut) for cut in cuts)


def _cut(cut: Cut) -> bytes:
    # 1 surveillance, 2 Doppler, 4 both in one.
    waveform = 4 if cut.surveillance and cut.doppler else 2 if cut.doppler else 1
    sectors = b"".join(struct.pack(">HHHH", edge, 5, 64, 0) for edge in (0x1558, 0x9558, 0xEE38))
    # Simulated antennas may turn faster than the code can express.
    speed = min(round(cut.degrees_per_second * 32768 / 45), 0xFFFF)
    angle = round(cut.elevation_deg * 32768 / 180)
    thresholds = [16] * 6
    return (
        struct.pack(">HBBBBHH6h", angle, 2, waveform, 0x0B if cut.fine else 0x08, 1, 15, speed, *thresholds) + sectors
    )


def _status() -> bytes:
    """Return message 2, the state of the radar: 60 half-words, operating."""
    words = [16, 2, 4, 516, 1461, 0xFFE4, 28, PATTERN, 0, 1809, 18, 4, 2, 63, 2]
    return struct.pack(">60H", *(words + [0] * (60 - len(words))))


def _clock(time: datetime) -> tuple[int, int]:
    """Return the day (1 is 1970-01-01) and the milliseconds of the day."""
    since = time - _EPOCH
    return since.days + 1, since.seconds * 1000 + since.microseconds // 1000
