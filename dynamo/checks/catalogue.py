"""The built-in checks, with the limits that real files of eight radars and three composites stay within.

A limit is far from what sound data show (beside it, in comments) and below what damage leaves; benchmarks/damage.py
proves both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dynamo.checks.model import Check
from dynamo.radar.quality import echoes, fields, polarimetry, scan, signals
from dynamo.radar.quality.view import Measure, SweepView

#: Remarks of the readers that tell of damage; others tell what a file lacks, such as the rest of its volume.
_DAMAGE = (
    "azimuth overlap",
    "clock in the future",
    "cuts left out",
    "damaged",
    "fixed angle corrected",
    "ray times disagree",
    "sweeps left out",
    "truncated",
    "partial sweep",
    "a sweep was given twice",
)
#: The same where a name or number comes first; single values left out are counted by `impossible_values`.
_DAMAGE_OF = (" left out: ", " chunks missing ")


def _reader_remarks(volume: Any) -> Measure:
    flags = [flag for flag in volume.flags if not flag.startswith("implausible values ")]
    told = [flag for flag in flags if flag.startswith(_DAMAGE) or any(words in flag for words in _DAMAGE_OF)]
    return Measure(float(len(told)), "; ".join(told)[:160])


def _impossible(volume: Any) -> Measure:
    gates = sum(sweep.variables["DBZH"].size for sweep in volume.sweeps)
    return Measure(round(sum(int(sweep.attrs["implausible"]) for sweep in volume.sweeps) / gates, 6))


def _repeated_sweep(volume: Any) -> Measure:
    seen: dict[float, float] = {}
    for sweep in volume.sweeps if len(volume.sweeps) > 1 else ():
        dbz = sweep["DBZH"].values[::5, ::7]
        mark = float(dbz[~np.isnan(dbz)].sum(dtype=np.float64))
        if mark and mark in seen:
            return Measure(1.0, f"{sweep.attrs['fixed_angle_deg']:g} deg has the data of {seen[mark]:g} deg")
        seen[mark] = sweep.attrs["fixed_angle_deg"]
    return Measure(0.0)


def _gates(view: SweepView) -> Measure:
    return Measure(float(view.range_m.size), view.label)


def _sweeps(volume: Any) -> Measure:
    return Measure(float(len(volume.sweeps)))


def _latitude(volume: Any) -> Measure:
    return Measure(round(111.2 * volume.site.latitude_deg, 2), f"latitude {volume.site.latitude_deg:.4f}")


def _longitude(volume: Any) -> Measure:
    km = 111.2 * volume.site.longitude_deg * np.cos(np.deg2rad(volume.site.latitude_deg))
    return Measure(round(float(km), 2), f"longitude {volume.site.longitude_deg:.4f}")


AZIMUTH_GAP = Check(
    "azimuth_gap", "sweep", "Part of the circle without rays.", "deg", 2.0, 10.0, scan.azimuth_gap, severity="block"
)
ELEVATION_SPREAD = Check(
    "elevation_spread", "sweep", "How far rays leave the sweep's elevation.", "deg", 0.5, 1.0, scan.elevation_spread
)  # 0.15
TIME_DISORDER = Check(
    "time_disorder", "sweep", "Share of rays out of the antenna's order.", "1", 0.02, 0.1, scan.time_disorder
)  # 0
TIME_JUMP = Check("time_jump", "sweep", "Longest pause between neighboring rays.", "s", 150.0, 300.0, scan.time_jump)
SWEEP_DURATION = Check("sweep_duration", "sweep", "Time for one sweep.", "s", 300.0, 600.0, scan.sweep_duration)  # 128
BEYOND_NYQUIST = Check(
    "beyond_nyquist", "sweep", "Share of velocities beyond Nyquist's.", "1", 0.01, 0.05, scan.beyond_nyquist
)  # 0
NO_ECHO = Check(
    "no_echo", "sweep", "Share of gates with reflectivity.", "1", 1e-4, 0.0, echoes.valid_share, low=True
)  # 0.01 in clear air
BLANK_RAYS = Check(
    "blank_rays", "sweep", "Share of rays without the echo of those beside.", "1", 0.05, 0.3, echoes.blank_rays
)  # 0.044 in clear air
BLANK_RING = Check(
    "blank_ring", "sweep", "Share of gates without the echo of those beside.", "1", 0.02, 0.1, echoes.blank_ring
)  # 0
CUT_SHORT = Check(
    "cut_short", "sweep", "Share of rays whose echo ends at the same range.", "1", 0.12, 0.5, echoes.cut_short
)  # 0.11
FLAT_VALUES = Check(
    "flat_values",
    "sweep",
    "Share of values that are the most frequent one.",
    "1",
    0.45,
    0.8,
    echoes.flat,
    severity="block",
)  # 0.36
STUCK_RAYS = Check(
    "stuck_rays", "sweep", "Neighboring rays that are copies.", "rays", 1.0, 4.0, echoes.stuck_rays, severity="block"
)  # 0
CLIPPED_VALUES = Check(
    "clipped_values", "sweep", "Values at the maximum, compared with below it.", "1", 3.0, 20.0, echoes.clipped
)  # 0
COARSE_VALUES = Check(
    "coarse_values", "sweep", "Different values in 10 dB.", "1", 8.0, 2.0, echoes.coarse, low=True
)  # 10.7
LONE_GATES = Check(
    "lone_gates", "sweep", "Share of strong gates that stand alone.", "1", 0.03, 0.15, echoes.spikes
)  # 0.005
HOLES = Check("holes", "sweep", "Share of gates missing within strong echo.", "1", 0.1, 0.4, echoes.holes)  # 0.05
SPOKES = Check("spokes", "sweep", "Rays filled by the sun or a transmitter.", "rays", 0.0, 60.0, signals.spokes)  # 0
FAINT_ECHO = Check(
    "faint_echo", "sweep", "Share of echo no receiver can hear.", "1", 0.01, 0.1, signals.too_faint
)  # 0.001
NOISE_FLOOR = Check(
    "noise_floor", "sweep", "Share of distant rays filled with noise.", "1", 0.2, 0.6, signals.noise_floor
)  # 0.004
RAY_DISORDER = Check(
    "ray_disorder", "sweep", "Change from ray to ray, over that along rays.", "1", 1.8, 3.0, signals.ray_disorder
)  # 1.4
RHOHV_IN_RAIN = Check(
    "rhohv_in_rain", "sweep", "Correlation that rain exceeds.", "1", 0.96, 0.9, polarimetry.rhohv_in_rain, low=True
)  # 0.981
ZDR_BIAS = Check(
    "zdr_bias", "sweep", "Differential reflectivity of light rain, off the usual.", "dB", 1.0, 2.0, polarimetry.zdr_bias
)  # 0.9
MOMENTS_APART = Check(
    "moments_apart", "sweep", "Share of echo without polarimetry.", "1", 0.2, 0.6, polarimetry.moments_apart
)  # 0.10
VELOCITY_NOISE = Check(
    "velocity_noise",
    "sweep",
    "Change of velocity along rays, over Nyquist's.",
    "1",
    0.2,
    0.5,
    polarimetry.velocity_noise,
)  # 0.07
PHASE_NOISE = Check(
    "phase_noise", "sweep", "Change of phase along rays in rain.", "deg", 12.0, 40.0, polarimetry.phase_noise
)  # 3.5
LOW_CORRELATION = Check(
    "low_correlation", "sweep", "Share of rain with low correlation.", "1", 0.3, 0.6, polarimetry.correlation_with_echo
)  # 0.18
GATES = Check("gates", "sweep", "Gates of a ray, compared with this elevation's usual.", "1", 4.0, 8.0, _gates, usual=8)
COVERAGE = Check(
    "coverage",
    "sweep",
    "Share of gates with echo, compared with the usual.",
    "1",
    5.0,
    None,
    echoes.valid_share,
    usual=0.04,
)
READER_REMARKS = Check(
    "reader_remarks", "volume", "Damage that the reader repaired or left out.", "1", 0.0, None, _reader_remarks
)
IMPOSSIBLE_VALUES = Check(
    "impossible_values", "volume", "Share of values that are physically impossible.", "1", 1e-4, 0.02, _impossible
)  # 0
REPEATED_SWEEP = Check(
    "repeated_sweep", "volume", "Sweeps with the data of another.", "1", 0.5, 0.5, _repeated_sweep, severity="block"
)
SWEEPS = Check("sweeps", "volume", "Sweeps of a volume, compared with the usual.", "1", 5.0, None, _sweeps, usual=1.0)
SITE_NORTH = Check("site_north", "volume", "Position of the radar, north.", "km", 4.0, 8.0, _latitude, usual=0.5)
SITE_EAST = Check("site_east", "volume", "Position of the radar, east.", "km", 4.0, 8.0, _longitude, usual=0.5)
REPEATED = Check(
    "repeated", "series", "Whether the data are those of the file before.", "1", 0.5, 0.5, severity="block"
)
NEIGHBOUR = Check("neighbour", "series", "Difference to a neighboring radar's reflectivity.", "dB", 4.0, 8.0)
FIELD_COVERAGE = Check(
    "field_coverage",
    "field",
    "Share of nodes with data, compared with the usual.",
    "1",
    4.0,
    10.0,
    fields.known_share,
    usual=0.005,
)
FIELD_SPIKES = Check(
    "field_spikes", "field", "Share of strong nodes that stand alone.", "1", 0.005, 0.05, fields.field_spikes
)  # 0.0004
STRIPES = Check(
    "stripes",
    "field",
    "Rows or columns that are copies of the one before.",
    "1",
    5.0,
    15.0,
    fields.stripes,
    severity="block",
)  # 3
EDGES = Check("edges", "field", "Share of a row's strong echo that ends there.", "1", 0.6, 0.95, fields.edges)  # 0.38
FLAT_FIELD = Check(
    "flat_field",
    "field",
    "Share of echo that has the most frequent value.",
    "1",
    0.6,
    0.8,
    fields.flat_field,
    severity="block",
)  # 0.45
CONSTANT_FIELD = Check(
    "constant_field",
    "field",
    "Whether every node has the same value.",
    "1",
    0.5,
    0.5,
    fields.constant,
    severity="block",
)
AREA_JUMP = Check("area_jump", "series", "Doublings of the area of echo between issues.", "1", 0.8, 3.0)  # 0.12
PLACE_JUMP = Check("place_jump", "series", "Change of the place of echo between issues.", "1", 0.25, 0.8)  # 0.05
LEAD_JUMP = Check("lead_jump", "nowcast", "Change of the place of echo from lead to lead.", "1", 0.25, 0.8)
LEAD_GROWTH = Check("lead_growth", "nowcast", "Doublings of the area of echo from lead to lead.", "1", 0.8, 3.0)
LEAD_COPIES = Check("lead_copies", "nowcast", "Leads with the field of the lead before.", "1", 0.5, 3.0)
PRODUCT_VALID = Check(
    "product_valid", "product", "Polygons that are no rings on the map.", "polygons", 0.0, 0.0, severity="block"
)
PRODUCT_TIMES = Check(
    "product_times", "product", "Features without the product's time or with an impossible one.", "1", 0.0, 0.0
)
PRODUCT_VALUES = Check("product_values", "product", "Features whose numbers contradict each other.", "1", 0.0, None)
PRODUCT_AREA = Check(
    "product_area", "product", "Area of the polygons, off that of the field, as a share.", "1", 0.3, 0.6
)
PRODUCT_COUNT = Check(
    "product_count", "product", "Polygons, compared with the usual.", "polygons", 6.0, None, usual=10.0
)
