"""Small radar files, written byte by byte: CASA sweeps and NEXRAD Level II volumes and chunks."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

START = datetime(2019, 6, 9, 22, 25, tzinfo=UTC)
ADDISON = {"RadarName": "addison.tx", "Latitude": 32.9814, "Longitude": -96.8391, "Height": 210.0}


def write_casa(
    path: Path,
    *,
    azimuth: NDArray[Any] | None = None,
    gates: int = 20,
    start: datetime = START,
    site: dict[str, Any] | None = None,
    dbz: NDArray[Any] | None = None,
    unlimited: bool = True,
    time_step_s: float = 0.1,
) -> Path:
    azimuth = (np.arange(36) * 10.0 + 125.0) % 360.0 if azimuth is None else azimuth
    rays = azimuth.size
    if dbz is None:
        dbz = np.repeat(azimuth[:, None], gates, axis=1) / 10.0
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for name, value in (ADDISON if site is None else site).items():
            file.setncattr(name, value)
        file.createDimension("Radial", None if unlimited else rays)
        file.createDimension("Gate", gates)
        per_ray = {
            "Azimuth": azimuth,
            "Elevation": np.full(rays, 2.0),
            "GateWidth": np.full(rays, 31_250.0),
            "StartRange": np.zeros(rays),
            "TxFrequency": np.full(rays, 9.5e9),
            "Nyquist": np.full(rays, 47.3),
        }
        for name, values in per_ray.items():
            file.createVariable(name, "f8", ("Radial",))[:] = values
        seconds = start.timestamp() + np.arange(rays) * time_step_s
        file.createVariable("Time", "i4", ("Radial",))[:] = seconds.astype(np.int64)
        per_gate = {"Reflectivity": dbz, "CrossPolCorrelation": np.full((rays, gates), 0.98)}
        per_gate["DifferentialReflectivity"] = np.full((rays, gates), 1.5)
        per_gate["NormalizedCoherentPower"] = np.full((rays, gates), -999.0)
        for name, values in per_gate.items():
            file.createVariable(name, "f4", ("Radial", "Gate"))[:] = values
    return path


def level2_ray(
    number: int,
    *,
    elevation_number: int = 1,
    status: int = 1,
    azimuth: float | None = None,
    elevation: float = 0.5,
    milliseconds: int = 0,
    moments: Sequence[bytes] = (b"REF", b"ZDR", b"RHO"),
    raw: int = 130,
    gates: int = 30,
    station: bytes = b"KFWS",
    place: tuple[float, float] = (32.573, -97.303),
) -> bytes:
    blocks = [
        b"RVOL" + struct.pack(">HBBffhH", 44, 1, 0, *place, 213, 20) + bytes(28),
        b"RELV" + bytes(8),
        b"RRAD" + struct.pack(">HHffH", 28, 466, 0.0, 0.0, 3398) + bytes(10),
        *(
            b"D"
            + name.ljust(3)
            + struct.pack(">IHhhHhBBff", 0, gates, 2125, 250, 0, 0, 0, 8, 2.0, 66.0)
            + bytes([raw] * gates)
            for name in moments
        ),
    ]
    pointers, place_in = [], 32 + 4 * len(blocks)
    for block in blocks:
        pointers.append(place_in)
        place_in += len(block)
    day = 1 + (START - datetime(1970, 1, 1, tzinfo=UTC)).days
    since_midnight = (START.hour * 60 + START.minute) * 60_000 + milliseconds
    azimuth = (number - 1) * 10.0 + 0.5 if azimuth is None else azimuth
    flags = (0, 0, 0, 2, status, elevation_number, 1, elevation, 0, 0, len(blocks))
    body = struct.pack(">4sIHHfBBHBBBBfBBH", station, since_midnight, day, number, azimuth, *flags)
    body += struct.pack(f">{len(blocks)}I", *pointers) + b"".join(blocks)
    body += bytes(len(body) % 2)
    header = struct.pack(">HBBHHIHH", (len(body) + 16) // 2, 8, 31, 0, 0, 0, 1, 1)
    return bytes(12) + header + body


def level2_record(messages: Sequence[bytes]) -> bytes:
    packed = bz2.compress(b"".join(messages))
    return struct.pack(">i", len(packed)) + packed


def level2_header(station: bytes = b"KFWS") -> bytes:
    return b"AR2V0006.001" + struct.pack(">II", 18_057, 80_700_000) + station


def level2_chunks(
    cuts: int = 2,
    rays: int = 36,
    rays_a_chunk: int = 12,
    station: bytes = b"KFWS",
    place: tuple[float, float] = (32.573, -97.303),
) -> list[tuple[str, bytes]]:
    """Return the chunks of a volume by name: start, one for every twelve rays, end."""
    messages = []
    for cut in range(cuts):
        for number in range(1, rays + 1):
            first, last = number == 1, number == rays
            status = (3 if cut == 0 else 0) if first else (4 if cut == cuts - 1 else 2) if last else 1
            messages.append(
                level2_ray(
                    number,
                    elevation_number=cut + 1,
                    status=status,
                    elevation=0.5 + cut,
                    milliseconds=(cut * rays + number) * 100,
                    station=station,
                    place=place,
                )
            )
    groups = [messages[start : start + rays_a_chunk] for start in range(0, len(messages), rays_a_chunk)]
    metadata = level2_record([bytes(2432)] * 3)
    contents = [level2_header(station) + metadata, *(level2_record(group) for group in groups)]
    kinds = ["S", *("I" for _ in groups[:-1]), "E"]
    return [
        (f"20190609-222500-{number:03d}-{kind}", data)
        for number, (kind, data) in enumerate(zip(kinds, contents, strict=True), start=1)
    ]
