"""GAMIC HDF5 (`.mvol`) as MURAN writes it: groups ``scan0``, ``scan1`` and so on, with moments and ray headers.

The smallest code means missing, the next one the lower end of the dynamic range, the largest its upper end.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dynamo.extras import need
from dynamo.formats.radar.model import Site
from dynamo.simulate.formats.bands import WAVELENGTH_M
from dynamo.simulate.formats.scan import Scan, codes

#: By GAMIC's name: our moment, bits per code, dynamic range; None means plus and minus the Nyquist velocity.
_MOMENTS: Mapping[str, tuple[str, int, tuple[float, float] | None]] = {
    "KDP": ("KDP", 8, (-15.0, 15.0)),
    "PHIDP": ("PHIDP", 16, (-180.0, 180.0)),
    "RHOHV": ("RHOHV", 8, (0.0, 1.0)),
    "UH": ("DBZH", 8, (-32.0, 95.5)),
    "VH": ("VRADH", 8, None),
    "WH": ("WRADH", 8, (0.0, 30.5235)),
    "ZDR": ("ZDR", 8, (-6.35, 6.35)),
    "ZH": ("DBZH", 8, (-32.0, 95.5)),
}
_STATUS = (
    "sdp_flag-AFC", "sdp_flag-DL", "sdp_flag-UL", "sdp_flag-FIFO", "sdp_flag-PWR", "sdp_flag-AM",
    "sdp_status-CPU_usage", "sdp_status-Memory_usage", "sdp_status-CPU_temp", "sdp_status-Sync_pulse_count",
)  # fmt: skip
#: Signal processor settings, as text; Py-ART requires the group.
_PROCESSING = {
    "dSqiThresh": "0",
    "dLogThresh": "0",
    "ucClutMicroSup": "off",
    "ucRangeNorm": "on",
    "uiFFTWindowType": "2",
}
_HEADER: list[tuple[str, DTypeLike]] = [
    ("azimuth_start", "<f8"),
    ("azimuth_stop", "<f8"),
    ("elevation_start", "<f8"),
    ("elevation_stop", "<f8"),
    ("timestamp", "<i8"),
    ("azimuth_speed", "<f8"),
    ("elevation_speed", "<f8"),
    *((name, "u1") for name in _STATUS),
]


def encode(site: Site, scans: Sequence[Scan]) -> bytes:
    """Return a GAMIC file of one or more sweeps in azimuth.

    Raises
    ------
    MissingPartError
        If h5py is not installed.
    """
    h5py: Any = need("h5py", extra="hail")
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_group("how").attrs.update(
            azimuth_beam=1.0,
            elevation_beam=1.0,
            host_name="radar.example.org",
            sdp_name="ENIGMA III DUALPOL",
            site_name=site.radar,
            software="MURAN",
            template_name="simulated",
        )
        file.create_group("what").attrs.update(
            date=f"{scans[-1].end:%Y-%m-%dT%H:%M:%SZ}", object="PVOL", sets=np.uint32(len(scans)), version="6"
        )
        file.create_group("where").attrs.update(lat=site.latitude_deg, lon=site.longitude_deg, height=site.altitude_m)
        for number, scan in enumerate(scans):
            _add(file.create_group(f"scan{number}"), scan, WAVELENGTH_M[site.band])
    return memory.getvalue()


def _add(group: Any, scan: Scan, wavelength_m: float) -> None:
    turn_s = (scan.end - scan.start).total_seconds()
    how = group.create_group("how")
    how.create_group("extended").attrs.update(_PROCESSING)
    how.attrs.update(
        PRF=np.uint32(round(4 * scan.nyquist_m_s / wavelength_m)),
        angle_step=scan.step_deg,
        angle_sync=np.uint8(1),
        azi_start=0.0,
        azi_stop=0.0,
        bin_count=np.uint32(scan.gates),
        elevation=scan.elevation_deg,
        filter=np.uint32(8),
        half_resolution=np.uint8(0),
        output64=np.uint64(4095),
        pulse_width=np.uint32(2),
        radar_wave_length=wavelength_m,
        range=scan.start_m + scan.gates * scan.gate_m,
        # Two samples of half a gate each.
        range_samples=np.uint32(2),
        range_start=scan.start_m,
        range_step=scan.gate_m / 2,
        ray_count=np.uint32(scan.rays),
        scan_speed=360.0 / turn_s,
        time_samples=np.uint32(48),
        timestamp=f"{scan.start:%Y-%m-%dT%H:%M:%SZ}",
        unfolding=np.uint32(0),
    )
    stored = {name: facts for name, facts in _MOMENTS.items() if facts[0] in scan.moments}
    group.create_group("what").attrs.update(descriptor_count=np.uint32(len(stored)), product="SCAN", scan_type="PPI")
    header = np.zeros(scan.rays, dtype=np.dtype(_HEADER))
    half = scan.step_deg / 2
    header["azimuth_start"] = (scan.azimuth_deg - half) % 360.0
    header["azimuth_stop"] = (scan.azimuth_deg + half) % 360.0
    header["elevation_start"] = header["elevation_stop"] = scan.elevation_deg
    # Microseconds.
    header["timestamp"] = np.rint(scan.seconds * 1e6)
    header["azimuth_speed"] = 360.0 / turn_s
    group.create_dataset("ray_header", data=header, chunks=True, compression="gzip")
    for number, (name, (ours, bits, limits)) in enumerate(stored.items()):
        low, high = limits or (-scan.nyquist_m_s, scan.nyquist_m_s)
        values = scan.moments[ours]
        if name == "PHIDP":
            # From -180 to 180 degrees.
            values = (values + 180.0) % 360.0 - 180.0
        largest = 2**bits - 1
        scale = (largest - 1) / (high - low)
        stored_as = codes(values, scale, 1 - low * scale, 1, largest).astype(np.uint8 if bits == 8 else np.uint16)
        group.create_dataset(f"moment_{number}", data=stored_as, chunks=True, compression="gzip").attrs.update(
            dyn_range_min=np.float32(low), dyn_range_max=np.float32(high), format=f"UV{bits}", moment=name
        )
