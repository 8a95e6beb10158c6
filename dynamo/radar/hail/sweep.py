"""Hail regions of a sweep: hydrometeor classes, a polarimetric screen, and grouping of gates into regions.

A gate is a member of a region if the fuzzy logic classifies it as hail, or if ZH, ZDR and RHOHV are typical of hail
mixed with rain (high ZH, low ZDR, reduced RHOHV), and if reflectivity exceeds an edge value. Touching members form a
region; a region is hail if it has a core: enough gates, and enough area, above a higher reflectivity. Two thresholds
instead of one keep the whole hail shaft and drop scattered gates of heavy rain, graupel and noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.hail.hydroclass import classify
from dynamo.radar.hail.hydroclass_tables import HAIL
from dynamo.radar.hail.regions import gate_areas_km2, label_gates
from dynamo.radar.quality.screening import REASONS, QualityLimits, screen

#: Values of the hail class: which of the two tests found the gate.
BY_CLASS, BY_SCREEN, BY_BOTH = 1, 2, 3
HAIL_CLASSES = ("hail_by_hydrometeor_class", "hail_by_polarimetric_screen", "hail_by_both")


@dataclass(frozen=True)
class HailLimits:
    """Criteria of a hail region.

    Parameters
    ----------
    floor_dbz
        Gates below are ignored (and not classified), dBZ.
    edge_dbz, core_dbz
        Minimum reflectivity of a member and of a core gate, dBZ.
    min_core_gates, min_core_km2
        Minimum number and ground area (km2) of the core gates of a region.
    screen_dbz, screen_zdr_db, screen_rhohv
        The screen: minimum ZH, upper limits of ZDR and RHOHV.
    """

    floor_dbz: float = 40.0
    edge_dbz: float = 50.0
    core_dbz: float = 55.0
    min_core_gates: int = 3
    min_core_km2: float = 0.25
    screen_dbz: float = 55.0
    screen_zdr_db: float = 1.0
    screen_rhohv: float = 0.97

    def __post_init__(self) -> None:
        if not self.floor_dbz <= self.edge_dbz <= self.core_dbz:
            raise InputError(
                f"reflectivities {self.floor_dbz:g}, {self.edge_dbz:g}, {self.core_dbz:g} dBZ of floor, edge and core",
                expected="ascending",
            )


#: 55 dBZ is the usual boundary between rain and hail at S and C band (Auer 1972; Witt et al. 1998). At X band a core
#: behind rain has lost several dB to attenuation.
LIMITS: Mapping[str, HailLimits] = {
    "S": HailLimits(),
    "C": HailLimits(floor_dbz=39.0),
    "X": HailLimits(edge_dbz=47.0, core_dbz=52.0),
}


@dataclass(frozen=True)
class SweepHail:
    """The hail of one sweep, at the classified gates.

    ``index`` are positions in the flattened field, ascending; ``hydrometeor_class`` 1 to 10; ``hail_class`` 0 (none)
    or one of `BY_CLASS`, `BY_SCREEN`, `BY_BOTH`; ``removed`` are all positions that the quality control took out, and
    ``counts`` how many gates it looked at (``examined``), took out by reason, and how many hail gates were too few or
    too small for a region (``speckle``).
    """

    index: NDArray[np.int64]
    hydrometeor_class: NDArray[np.uint8]
    hail_class: NDArray[np.uint8]
    removed: NDArray[np.int64]
    counts: Mapping[str, int]

    @property
    def hail_index(self) -> NDArray[np.int64]:
        """Positions of the hail gates."""
        return self.index[self.hail_class > 0]


def limits_for(band: str) -> HailLimits:
    """Return the default limits of a band.

    Raises
    ------
    InputError
        If the band is not S, C or X.

    Examples
    --------
    >>> limits_for("X").core_dbz < limits_for("S").core_dbz
    True
    """
    if band not in LIMITS:
        raise InputError(f"no hail limits for band {band!r:.20}", expected=", ".join(LIMITS))
    return LIMITS[band]


def find_hail(
    moments: Mapping[str, NDArray[np.float32]],
    *,
    band: str,
    azimuth_deg: NDArray[Any],
    range_m: NDArray[Any],
    elevation_deg: float,
    temperature_c: NDArray[Any],
    quality: QualityLimits,
    limits: HailLimits,
) -> SweepHail:
    """Find the hail regions of a sweep.

    Parameters
    ----------
    moments
        Fields by CF/Radial name, shape ``(rays, gates)``, NaN where missing: ``DBZH``, ``ZDR``, ``RHOHV`` and, where
        there are any, ``KDP``, ``VRADH``, ``SNRH``, ``SQIH``.
    band
        ``S``, ``C`` or ``X``.
    azimuth_deg, elevation_deg
        Azimuths of the rays, degrees, ascending, shape ``(rays,)``; elevation of the sweep, degrees.
    range_m, temperature_c
        Slant range (m) and temperature (degrees Celsius) of the gates of a ray, shape ``(gates,)``.
    quality, limits
        Limits of the quality control and of hail.
    """
    dbz = moments["DBZH"]
    # Comparisons with NaN are false, as intended.
    candidates = np.flatnonzero(dbz.ravel() >= limits.floor_dbz)
    keep, removed = screen(moments, candidates, quality)
    counts = {"examined": int(candidates.size), **removed, "speckle": 0}
    index = candidates[keep]
    gate = index % dbz.shape[1]
    values = {name: moments[name].ravel()[index] for name in ("DBZH", "ZDR", "RHOHV")}
    classes = classify(
        values["DBZH"],
        values["ZDR"],
        values["RHOHV"],
        np.asarray(temperature_c, dtype=np.float32)[gate],
        band=band,
        kdp=moments["KDP"].ravel()[index] if "KDP" in moments else None,
    )
    evidence = np.where((classes == HAIL) & (values["DBZH"] >= limits.edge_dbz), BY_CLASS, 0).astype(np.uint8)
    evidence[
        (values["DBZH"] >= limits.screen_dbz)
        & (values["ZDR"] < limits.screen_zdr_db)
        & (values["RHOHV"] < limits.screen_rhohv)
    ] |= BY_SCREEN
    member = np.flatnonzero(evidence)
    core = values["DBZH"][member] >= limits.core_dbz
    kept = in_regions(index[member], core, azimuth_deg, range_m, elevation_deg, limits)
    counts["speckle"] = int(member.size - np.count_nonzero(kept))
    evidence[member[~kept]] = 0
    return SweepHail(index, classes, evidence, candidates[~keep], counts)


def in_regions(
    index: NDArray[np.int64],
    core: NDArray[np.bool_],
    azimuth_deg: NDArray[Any],
    range_m: NDArray[Any],
    elevation_deg: float,
    limits: HailLimits,
) -> NDArray[np.bool_]:
    """Return which members belong to a region with a large enough core.

    Parameters
    ----------
    index, core
        Positions of the members in the flattened field, ascending, and whether each is a core gate.
    azimuth_deg, range_m, elevation_deg
        Of the sweep, see `find_hail`.
    limits
        ``min_core_gates`` and ``min_core_km2``.
    """
    if not core.any():
        return np.zeros(index.size, dtype=bool)
    own, count = label_gates(index, (azimuth_deg.size, range_m.size), azimuth_deg)
    gate_km2 = gate_areas_km2(azimuth_deg, range_m, elevation_deg)[index % range_m.size]
    cores = np.bincount(own[core], minlength=count + 1)
    area = np.bincount(own[core], weights=gate_km2[core], minlength=count + 1)
    good = (cores >= limits.min_core_gates) & (area >= limits.min_core_km2)
    return np.asarray(good[own])


#: What `find_hail` counts.
COUNTS = ("examined", *REASONS, "speckle")
