"""NEXRAD Level II: Archive II volumes, and their real-time chunks.

Low elevations have two cuts, as in the network's patterns: surveillance with the polarimetric moments, then Doppler
with velocity and spectrum width, whose far gates are range folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.formats.radar.model import Site
from dynamo.simulate.formats.bands import SPEED_OF_LIGHT_M_S, WAVELENGTH_M
from dynamo.simulate.formats.nexrad_messages import (
    BELOW,
    CUT_END,
    CUT_START,
    FOLDED,
    MIDDLE,
    MOMENTS,
    VOLUME_END,
    VOLUME_START,
    Cut,
    SimulatedRay,
    metadata,
    ray_message,
    record,
    volume_header,
)
from dynamo.simulate.formats.scan import Scan, codes
from dynamo.times import file_stamp, from_epoch

_OURS = {b"REF": "DBZH", b"VEL": "VRADH", b"SW": "WRADH", b"ZDR": "ZDR", b"PHI": "PHIDP", b"RHO": "RHOHV"}
_SURVEILLANCE = (b"REF", b"ZDR", b"PHI", b"RHO")
_DOPPLER = (b"REF", b"VEL", b"SW")
#: Highest elevation with two cuts, degrees.
_SPLIT_TO_DEG = 1.65
#: Rays per record, which is also a chunk. xradar expects cuts of whole records, like real ones.
_RAYS_A_RECORD = 120
#: Only reflectivity reaches the last gate; other moments reach this share of the range.
_SHARE_OF_GATES = 2 / 3
_SURVEILLANCE_REACH_M, _SURVEILLANCE_NYQUIST_M_S = 467_000.0, 8.51


@dataclass(frozen=True)
class _Cut:
    """One antenna rotation: its scan, its moments, and its share of the scan's time."""

    scan: Scan
    moments: tuple[bytes, ...]
    begin: float = 0.0
    share: float = 1.0

    @property
    def doppler(self) -> bool:
        return b"VEL" in self.moments

    def seconds(self) -> NDArray[np.float64]:
        """Return the time of each ray, seconds since 1970."""
        turn = (self.scan.end - self.scan.start).total_seconds()
        first = self.scan.seconds[0]
        times: NDArray[np.float64] = first + turn * self.begin + (self.scan.seconds - first) * self.share
        return times

    def listed(self) -> Cut:
        """Return the entry in the coverage pattern."""
        turn = (self.scan.end - self.scan.start).total_seconds() * self.share
        return Cut(self.scan.elevation_deg, b"ZDR" in self.moments, self.doppler, self.scan.rays > 360, 360.0 / turn)


def encode_volume(site: Site, scans: Sequence[Scan], *, number: int = 1) -> bytes:
    """Return a complete volume: header, metadata, and records of 120 rays.

    Parameters
    ----------
    site
        The radar; its name has four letters.
    scans
        Its sweeps, the lowest first.
    number
        Volume number, for the header.
    """
    return b"".join(_pieces(site, scans, number))


def encode_chunks(site: Site, scans: Sequence[Scan], *, number: int = 1) -> list[tuple[str, bytes]]:
    """Return the same bytes as chunks of the real-time feed, with their names: start, one per record, end."""
    pieces = list(_pieces(site, scans, number))
    # The start chunk has header and metadata.
    contents = [pieces[0] + pieces[1], *pieces[2:]]
    kinds = ["S", *("I" for _ in contents[2:]), "E"]
    stamp = file_stamp(scans[0].start)
    return [
        (f"{stamp}-{place:03d}-{kind}", content)
        for place, (kind, content) in enumerate(zip(kinds, contents, strict=True), start=1)
    ]


def _pieces(site: Site, scans: Sequence[Scan], number: int) -> Iterator[bytes]:
    station = site.radar.encode("ascii")[:4].ljust(4)
    cuts = list(_cuts(scans))
    yield volume_header(station, scans[0].start, number)
    yield record([metadata([cut.listed() for cut in cuts], scans[0].start)])
    for index, cut in enumerate(cuts):
        messages = list(_rays(site, station, cut, index, len(cuts)))
        for start in range(0, len(messages), _RAYS_A_RECORD):
            yield record(messages[start : start + _RAYS_A_RECORD])


def _cuts(scans: Sequence[Scan]) -> Iterator[_Cut]:
    for scan in scans:
        if scan.elevation_deg > _SPLIT_TO_DEG:
            yield _Cut(scan, (b"REF", b"VEL", b"SW", b"ZDR", b"PHI", b"RHO"))
            continue
        yield _Cut(scan, _SURVEILLANCE, 0.0, 0.5)
        yield _Cut(scan, _DOPPLER, 0.5, 0.5)


def _rays(site: Site, station: bytes, cut: _Cut, index: int, cuts: int) -> Iterator[bytes]:
    scan = cut.scan
    reach_m = _doppler_reach_m(scan.nyquist_m_s) if cut.doppler else _SURVEILLANCE_REACH_M
    stored = {name: _codes(scan, name, reach_m) for name in cut.moments}
    seconds = cut.seconds()
    for ray in range(scan.rays):
        status = MIDDLE
        if ray == 0:
            status = VOLUME_START if index == 0 else CUT_START
        elif ray == scan.rays - 1:
            status = VOLUME_END if index == cuts - 1 else CUT_END
        header = SimulatedRay(
            station=station,
            time=from_epoch(float(seconds[ray])),
            number=ray + 1,
            azimuth_deg=float(scan.azimuth_deg[ray]),
            elevation_deg=scan.elevation_deg,
            elevation_number=index + 1,
            status=status,
            place_deg=(site.latitude_deg, site.longitude_deg),
            altitude_m=site.altitude_m,
            nyquist_m_s=scan.nyquist_m_s if cut.doppler else _SURVEILLANCE_NYQUIST_M_S,
            unambiguous_m=reach_m,
            first_gate_m=round(scan.start_m + scan.gate_m / 2),
            gate_m=round(scan.gate_m),
            fine=scan.rays > 360,
        )
        yield ray_message(header, {name: values[ray] for name, values in stored.items()})


def _codes(scan: Scan, name: bytes, reach_m: float) -> NDArray[np.uint16]:
    scale, offset, bits = MOMENTS[name]
    gates = scan.gates if name == b"REF" else round(scan.gates * _SHARE_OF_GATES)
    most = 255 if bits == 8 else 1023
    found = codes(scan.moments[_OURS[name]][:, :gates], scale, offset, FOLDED + 1, most, missing=BELOW)
    if name in (b"VEL", b"SW"):
        far = scan.range_m[:gates] > reach_m
        found[:, far] = np.where(found[:, far] == BELOW, BELOW, FOLDED)
    return found


def _doppler_reach_m(nyquist_m_s: float) -> float:
    """Return the unambiguous range, ``c lambda / (8 v)``."""
    return SPEED_OF_LIGHT_M_S * WAVELENGTH_M["S"] / (8.0 * nyquist_m_s)
