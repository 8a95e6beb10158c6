"""ODIM HDF5 2.2 as the Australian Bureau of Meteorology writes it: one sweep (SCAN) or a volume (PVOL).

Rays start at north; ``a1gate`` is the index of the first one measured. Source: OPERA Data Information Model for HDF5,
version 2.2, tables 1 to 8.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from dynamo.extras import need
from dynamo.formats.radar.model import Site
from dynamo.simulate.formats.bands import WAVELENGTH_M
from dynamo.simulate.formats.scan import Scan, codes

#: Quantity: our moment, gain and offset; code 0 is both "no data" and "nothing detected".
_QUANTITIES: Mapping[str, tuple[str, float, float]] = {
    "DBZH": ("DBZH", 0.5, -32.0),
    "VRADH": ("VRADH", 0.206299, -26.4062995),
    "WRADH": ("WRADH", 0.102431, 0.0),
    "TH": ("DBZH", 0.5, -32.0),
    "ZDR": ("ZDR", 0.07874, -8.07874),
    "RHOHV": ("RHOHV", 0.003937, -0.0039375),
    "PHIDP": ("PHIDP", 1.417323, -1.4173225),
    "SNRH": ("SNRH", 0.5, -0.5),
}


def encode(site: Site, scans: Sequence[Scan]) -> bytes:
    """Return an ODIM file: a SCAN of one sweep, a PVOL of several.

    Raises
    ------
    MissingPartError
        If h5py is not installed.
    """
    h5py: Any = need("h5py", extra="hail")
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.attrs["Conventions"] = _text("ODIM_H5/V2_2")
        start = scans[0].start
        file.create_group("what").attrs.update(
            date=_date(start),
            time=_time(start),
            object=_text("SCAN" if len(scans) == 1 else "PVOL"),
            source=_text(f"RAD:SIM,PLC:{site.radar}"),
            version=_text("H5rad 2.2"),
        )
        file.create_group("where").attrs.update(lat=site.latitude_deg, lon=site.longitude_deg, height=site.altitude_m)
        file.create_group("how").attrs.update(wavelength=WAVELENGTH_M[site.band] * 100, beamwidth=1.0)
        for number, scan in enumerate(scans, start=1):
            _add(file.create_group(f"dataset{number}"), scan, number, len(scans))
    return memory.getvalue()


def _add(group: Any, scan: Scan, number: int, count: int) -> None:
    order = np.argsort(scan.azimuth_deg, kind="stable")
    half = scan.step_deg / 2
    turn_s = (scan.end - scan.start).total_seconds() / scan.rays
    group.create_group("what").attrs.update(
        product=_text("SCAN"),
        startdate=_date(scan.start),
        starttime=_time(scan.start),
        enddate=_date(scan.end),
        endtime=_time(scan.end),
    )
    group.create_group("where").attrs.update(
        elangle=scan.elevation_deg,
        nbins=scan.gates,
        nrays=scan.rays,
        rscale=scan.gate_m,
        # In kilometers, unlike rscale.
        rstart=scan.start_m / 1000.0,
        a1gate=int(np.argmin(order)),
    )
    azimuth, seconds = scan.azimuth_deg[order], scan.seconds[order]
    elevation = np.full(scan.rays, scan.elevation_deg, dtype=np.float32)
    group.create_group("how").attrs.update(
        scan_index=number,
        scan_count=count,
        NI=scan.nyquist_m_s,
        startazA=(azimuth - half).astype(np.float32),
        stopazA=(azimuth + half).astype(np.float32),
        startelA=elevation,
        stopelA=elevation,
        startazT=seconds,
        stopazT=seconds + turn_s,
    )
    stored = [(name, *facts) for name, facts in _QUANTITIES.items() if facts[0] in scan.moments]
    for index, (name, ours, gain, offset) in enumerate(stored, start=1):
        data = group.create_group(f"data{index}")
        values = codes(scan.moments[ours][order], 1 / gain, -offset / gain, 1, 255).astype(np.uint8)
        data.create_dataset("data", data=values, chunks=True, compression="gzip").attrs.update(
            CLASS=_text("IMAGE"), IMAGE_VERSION=_text("1.2")
        )
        data.create_group("what").attrs.update(quantity=_text(name), gain=gain, offset=offset, nodata=0.0, undetect=0.0)


def _text(value: str) -> np.bytes_:
    """Return a fixed-length string, as ODIM requires."""
    return np.bytes_(value)


def _date(time: datetime) -> np.bytes_:
    return _text(f"{time:%Y%m%d}")


def _time(time: datetime) -> np.bytes_:
    return _text(f"{time:%H%M%S}")
