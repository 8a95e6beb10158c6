"""Network simulator: radar files of any format, from several radars that see the same storms, with ground truth."""

from __future__ import annotations

import functools
import math
import time as clock
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from dynamo.errors import UsageError
from dynamo.files import write_bytes
from dynamo.formats.radar.casa_writer import CasaHeader
from dynamo.formats.radar.model import Site
from dynamo.radar.geometry import beam_height_m, ground_range_m
from dynamo.simulate.formats.radar import RADAR_FORMATS, FormatName, RadarFormat
from dynamo.simulate.formats.scan import Scan
from dynamo.simulate.radar_storms import Core, RadarScene, RegimeName, make_radar_scene, observe
from dynamo.times import to_iso

#: The radars: one whose files are known, and six at locations like those of the Dallas/Fort Worth test bed.
NETWORK: tuple[CasaHeader, ...] = (
    CasaHeader("addison.tx", "XADD", 32.9814, -96.8391, 210.0),
    CasaHeader("midlothian.tx", "XMDL", 32.4810, -97.0010, 220.0),
    CasaHeader("arlington.tx", "XUTA", 32.7310, -97.1130, 190.0),
    CasaHeader("denton.tx", "XUNT", 33.2530, -97.1520, 230.0),
    CasaHeader("fortworth.tx", "XFTW", 32.8390, -97.4250, 240.0),
    CasaHeader("cleburne.tx", "XCLB", 32.3530, -97.4340, 250.0),
    CasaHeader("mesquite.tx", "XMSQ", 32.7470, -96.5300, 150.0),
)
#: Elevations of a radar's scan, degrees.
ELEVATIONS_DEG = (1.0, 2.0, 3.0, 4.5, 6.0, 9.0, 13.0, 18.0)
TRUTH = "truth.geojson"
#: Duration of a sweep, shorter if more than four must fit into a minute, s.
_SWEEP_S = 15.0
_MOST_SWEEPS = len(ELEVATIONS_DEG)
_KM_A_DEGREE = 111.2
_CIRCLE = 32


@dataclass(frozen=True)
class Sweep:
    """One sweep to simulate: radar, time and elevation."""

    number: int
    radar: CasaHeader
    time: datetime
    elevation_deg: float


@dataclass(frozen=True)
class RadarSimulator:
    """A network of radars over one scene.

    Parameters
    ----------
    regime
        ``clear``, ``cells`` or ``wide``.
    start
        Start of the first minute (aware).
    radars
        Number of radars from `NETWORK`.
    sweeps_per_minute
        Sweeps per radar per minute, cycling through the first `ELEVATIONS_DEG`. Hail columns (MESH) need at least five.
    minutes
        Length in minutes.
    seed
        Random seed; the same seed gives the same files.
    shape
        Rays and gates of a sweep. Default: from the format; use fewer for quick trials.
    file_format
        One of `RADAR_FORMATS`.
    volumes
        Write the sweeps of a minute to one file, if the format allows either.

    Raises
    ------
    UsageError
        If a number is out of range, or the format is unknown or has no volumes.
    """

    regime: RegimeName
    start: datetime
    radars: int = 7
    sweeps_per_minute: int = 3
    minutes: int = 1
    seed: int = 1
    shape: tuple[int, int] | None = None
    file_format: FormatName = "casa"
    volumes: bool = False
    _scenes: dict[str, RadarScene] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (1 <= self.radars <= len(NETWORK) and 1 <= self.sweeps_per_minute <= _MOST_SWEEPS and self.minutes >= 1):
            raise UsageError(
                f"{self.radars} radars with {self.sweeps_per_minute} sweeps for {self.minutes} minutes",
                expected=f"1 to {len(NETWORK)} radars, 1 to {_MOST_SWEEPS} sweeps a minute, at least a minute",
            )
        if self.file_format not in RADAR_FORMATS:
            raise UsageError(f"unknown radar format {self.file_format!r}", expected=", ".join(RADAR_FORMATS))
        if self.volumes and self.written_as.volumes is False:
            raise UsageError(f"{self.file_format} files hold one sweep each", expected="a format with volumes")

    @property
    def written_as(self) -> RadarFormat:
        """The file format, with the radar geometry."""
        return RADAR_FORMATS[self.file_format]

    @property
    def sweep_s(self) -> float:
        """Duration of a sweep, seconds."""
        return min(_SWEEP_S, 60.0 / self.sweeps_per_minute)

    @property
    def network(self) -> tuple[CasaHeader, ...]:
        """The radars."""
        return NETWORK[: self.radars]

    def sweeps(self) -> Iterator[Sweep]:
        """Yield all sweeps in time order; radars are staggered over the duration of a sweep, like real ones."""
        step = 60.0 / self.sweeps_per_minute
        number = 0
        for turn in range(self.minutes * self.sweeps_per_minute):
            for index, radar in enumerate(self.network):
                seconds = math.floor(turn * step + index * step / self.radars)
                elevation = ELEVATIONS_DEG[turn % self.sweeps_per_minute]
                yield Sweep(number, radar, self.start + timedelta(seconds=seconds), elevation)
                number += 1

    def moments(self, sweep: Sweep) -> dict[str, NDArray[np.float32]]:
        """Return the moments measured in a sweep, rays clockwise from north, shape ``(rays, gates)``."""
        scene = self.scene()
        east, north = to_plane(sweep.radar.latitude_deg, sweep.radar.longitude_deg)
        site_seed = zlib.crc32(sweep.radar.radar.encode())
        azimuth, ground, height = _geometry(*self._gates(), sweep.radar.height_m, sweep.elevation_deg)
        return observe(
            scene,
            (sweep.time - self.start).total_seconds() / 60,
            east_km=east,
            north_km=north,
            azimuth_deg=azimuth,
            ground_km=ground,
            height_km=height,
            nyquist_m_s=self.written_as.nyquist_m_s,
            site_seed=site_seed,
            sweep_seed=self.seed * 1_000_003 + sweep.number,
        )

    def scene(self) -> RadarScene:
        """Return the storms."""
        if "scene" not in self._scenes:
            centres = np.array([to_plane(radar.latitude_deg, radar.longitude_deg) for radar in self.network])
            self._scenes["scene"] = make_radar_scene(self.regime, centres, self.minutes, self.seed)
        return self._scenes["scene"]

    def scan(self, sweep: Sweep) -> Scan:
        """Return the scan measured in a sweep, rays in the order of measurement."""
        (rays, _), start_m, gate_m = self._gates()
        # A sweep starts where the last one ended, so at any azimuth.
        first = (sweep.number * 67) % rays
        order = (np.arange(rays) + first) % rays
        return Scan(
            elevation_deg=sweep.elevation_deg,
            azimuth_deg=(order + 0.5) * 360.0 / rays,
            seconds=sweep.time.timestamp() + np.arange(rays) * self.sweep_s / rays,
            start_m=start_m,
            gate_m=gate_m,
            nyquist_m_s=self.written_as.nyquist_m_s,
            moments={name: data[order] for name, data in self.moments(sweep).items()},
        )

    def files(self) -> Iterator[tuple[Sweep, ...]]:
        """Yield the sweeps of each file, or of each chunked volume, ordered by the last sweep."""
        if not (self.volumes or self.written_as.volumes):
            yield from ((sweep,) for sweep in self.sweeps())
            return
        whole: dict[str, list[Sweep]] = {}
        for sweep in self.sweeps():
            parts = whole.setdefault(sweep.radar.radar, [])
            parts.append(sweep)
            if len(parts) == self.sweeps_per_minute:
                yield tuple(whole.pop(sweep.radar.radar))

    def write(self, folder: Path, sweep: Sweep) -> Path:
        """Write a sweep into ``folder`` (atomically) and return its path; for chunks, the last one."""
        return self.write_file(folder, (sweep,))[-1]

    def write_file(self, folder: Path, sweeps: Sequence[Sweep]) -> list[Path]:
        """Write one radar's sweeps into ``folder`` as one file or as the chunks of a volume (each atomically)."""
        radar = sweeps[0].radar
        site = Site(radar.radar, radar.latitude_deg, radar.longitude_deg, radar.height_m, self.written_as.band)
        return self.written_as.write(folder, site, radar.call, [self.scan(sweep) for sweep in sweeps])

    def _gates(self) -> tuple[tuple[int, int], float, float]:
        """Return rays and gates, the start of the first gate, and the gate length: fewer gates are longer."""
        usual = self.written_as
        shape = self.shape or usual.shape
        return shape, usual.start_m, usual.gate_m * usual.shape[1] / shape[1]

    def truth(self) -> dict[str, Any]:
        """Return the cores at every minute as GeoJSON: hail shafts as circles, rain cores as points.

        ``hail`` says whether hail falls; if so, ``size_mm`` and ``radius_km`` describe it. Between minutes, a core
        moves with ``east_m_s`` and ``north_m_s``.
        """
        features = [
            feature
            for minute in range(self.minutes + 1)
            for core in self.scene().cores
            if core.fading_db(minute) < 20 and (feature := self._core(core, minute)) is not None
        ]
        return {
            "type": "FeatureCollection",
            "regime": self.regime,
            "seed": self.seed,
            "start": to_iso(self.start),
            "minutes": self.minutes,
            "radars": [
                {"name": r.radar, "call": r.call, "latitude_deg": r.latitude_deg, "longitude_deg": r.longitude_deg}
                for r in self.network
            ],
            "features": features,
        }

    def write_truth(self, folder: Path) -> Path:
        """Write `truth` to ``truth.geojson`` in ``folder``."""
        path = folder / TRUTH
        write_bytes(path, orjson.dumps(self.truth()))
        return path

    def _core(self, core: Core, minute: int) -> dict[str, Any]:
        x, y = core.place(minute)
        later = core.place(minute + 1)
        hail = core.has_hail(minute)
        longitude, latitude = to_lonlat(x, y)
        geometry: dict[str, Any] = {"type": "Point", "coordinates": [longitude, latitude]}
        if hail:
            angles = np.linspace(0, 2 * np.pi, _CIRCLE + 1)
            ring = [
                to_lonlat(x + core.hail_radius_km * math.cos(a), y + core.hail_radius_km * math.sin(a)) for a in angles
            ]
            ring[-1] = ring[0]
            geometry = {"type": "Polygon", "coordinates": [[list(point) for point in ring]]}
        return {
            "type": "Feature",
            "id": f"core-{core.number}-{minute}",
            "geometry": geometry,
            "properties": {
                "core": core.number,
                "time": to_iso(self.start + timedelta(minutes=minute)),
                "hail": hail,
                "latitude_deg": latitude,
                "longitude_deg": longitude,
                "radius_km": round(core.hail_radius_km, 3) if hail else 0.0,
                "size_mm": core.hail_mm if hail else 0.0,
                "max_dbz": round(max(core.rain_dbz, core.hail_dbz) - core.fading_db(minute), 1),
                "east_m_s": round((later[0] - x) * 1000 / 60, 3),
                "north_m_s": round((later[1] - y) * 1000 / 60, 3),
            },
        }


def run(
    simulator: RadarSimulator,
    folder: Path,
    *,
    speed: float = 1.0,
    told: Callable[[Path], None] | None = None,
    sleep: Callable[[float], None] = clock.sleep,
) -> list[Path]:
    """Write the truth and all sweeps, each at its time.

    Parameters
    ----------
    simulator, folder
        What to write, and where.
    speed
        1 for real time, 10 for ten times faster, 0 for as fast as possible.
    told
        Called with each file.
    sleep
        Function that waits, in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    simulator.write_truth(folder)
    begin = clock.monotonic()
    paths = []
    for sweeps in simulator.files():
        if speed > 0:
            # A file is complete when its last ray is measured.
            due = begin + ((sweeps[-1].time - simulator.start).total_seconds() + simulator.sweep_s) / speed
            wait = due - clock.monotonic()
            if wait > 0:
                sleep(wait)
        written = simulator.write_file(folder, sweeps)
        paths += written
        if told is not None:
            for path in written:
                told(path)
    return paths


def to_plane(latitude_deg: float, longitude_deg: float) -> tuple[float, float]:
    """Return km east and north of the first radar, on a plane."""
    origin = NETWORK[0]
    east = (longitude_deg - origin.longitude_deg) * _KM_A_DEGREE * math.cos(math.radians(origin.latitude_deg))
    return east, (latitude_deg - origin.latitude_deg) * _KM_A_DEGREE


def to_lonlat(east_km: float, north_km: float) -> tuple[float, float]:
    """Return longitude and latitude of a point on the plane, degrees; inverse of `to_plane`."""
    origin = NETWORK[0]
    slim = _KM_A_DEGREE * math.cos(math.radians(origin.latitude_deg))
    return round(origin.longitude_deg + east_km / slim, 6), round(origin.latitude_deg + north_km / _KM_A_DEGREE, 6)


@functools.lru_cache(maxsize=64)
def _geometry(
    shape: tuple[int, int], start_m: float, gate_m: float, radar_m: float, elevation_deg: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rays, gates = shape
    slant = start_m + gate_m * (np.arange(gates) + 0.5)
    azimuth = (np.arange(rays) + 0.5) * 360.0 / rays
    height = beam_height_m(slant, elevation_deg, radar_m)
    return azimuth, ground_range_m(slant, elevation_deg) / 1000, height / 1000
