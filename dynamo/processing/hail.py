"""Compute the hail product of a volume or sweep: quality control, classes, regions, sizes and columns in one pass.

On a quiet sweep it only compares reflectivity with a floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.radar.model import Volume, is_polarimetric, start_time
from dynamo.formats.radar_products import ColumnProduct, RadarProduct, SweepProduct
from dynamo.formats.sounding import ChosenSounding
from dynamo.radar.geometry import beam_height_m
from dynamo.radar.hail import mesh as hail_mesh
from dynamo.radar.hail import sweep as hail
from dynamo.radar.hail.hsda import BAND as HSDA_BAND
from dynamo.radar.hail.hsda import LOWER_BOUND_MM, hsda_class
from dynamo.radar.hail.hydroclass import classify
from dynamo.radar.hail.levels import Temperatures
from dynamo.radar.hail.mesh import PolarSweep
from dynamo.radar.hail.vertical import without_echo_above
from dynamo.radar.quality import screening

#: The flag of a product in which hail was not, or not everywhere, looked for: no hail there does not mean none.
NOT_LOOKED_FOR = "hail not looked for in {blind} of {sweeps} sweeps: no ZDR or RHOHV"
#: The moments to read for hail.
MOMENTS = ("DBZH", "ZDR", "RHOHV", "KDP", "VRADH", "SNRH", "SQIH")


@dataclass(frozen=True)
class HailOptions:
    """Options of a hail product; None selects the default of the radar's band."""

    limits: hail.HailLimits | None = None
    quality: screening.QualityLimits | None = None
    mesh_method: str = "blend"
    #: Ground range in which columns are integrated, meters.
    mesh_min_range_m: float = 10_000.0
    mesh_max_range_m: float = 150_000.0
    #: Correction of differential reflectivity (subtracted), dB.
    zdr_offset_db: float = 0.0


def temperatures_of(chosen: ChosenSounding) -> Temperatures:
    """Return the temperatures of a chosen sounding, with the reason for its choice."""
    profile = chosen.sounding
    return Temperatures(
        profile.height_msl_m,
        profile.temperature_c,
        chosen.zero_c_m,
        chosen.minus_20_c_m,
        chosen.reason,
        chosen.fallback,
    )


def hail_product(volume: Volume, temperatures: Temperatures, options: HailOptions | None = None) -> RadarProduct:
    """Detect hail in every sweep of a volume, and column hail if its elevations allow.

    Parameters
    ----------
    volume
        As read by `dynamo.formats.radar.read.read_volume`, Doppler cuts paired.
    temperatures
        Profile over the radar.
    options
        See `HailOptions`.

    Returns
    -------
    RadarProduct
        Product of kind ``hail``. ``flags`` list what could not be computed, and why.
    """
    options = HailOptions() if options is None else options
    band = volume.site.band
    limits = hail.limits_for(band) if options.limits is None else options.limits
    checks = screening.limits_for(band) if options.quality is None else options.quality
    polar: list[PolarSweep] = []
    found: list[hail.SweepHail | None] = []
    for sweep in volume.sweeps:
        beam = polar_sweep(sweep)
        result = None
        if is_polarimetric(sweep):
            result = hail.find_hail(
                fields(sweep, options.zdr_offset_db),
                band=band,
                azimuth_deg=beam.azimuth_deg,
                range_m=beam.range_m,
                elevation_deg=beam.elevation_deg,
                temperature_c=temperatures.at(gate_heights_m(sweep)),
                quality=checks,
                limits=limits,
            )
            if result.removed.size:
                cleaned = beam.dbz.copy()
                cleaned.ravel()[result.removed] = np.nan
                beam = replace(beam, dbz=cleaned)
        polar.append(beam)
        found.append(result)
    flags = list(volume.flags)
    blind = sum(result is None for result in found)
    if blind:
        flags.append(NOT_LOOKED_FOR.format(blind=blind, sweeps=len(found)))
    if band != HSDA_BAND:
        flags.append(f"no HSDA sizes: made for S band, not {band}")
    columns = _columns(volume, polar, temperatures, options, flags)
    sweeps = tuple(
        _sweep_product(sweep, result, polar, number, temperatures, options)
        for number, (sweep, result) in enumerate(zip(volume.sweeps, found, strict=True))
    )
    return RadarProduct(
        kind="hail",
        site=volume.site,
        time=volume.time,
        sweeps=sweeps,
        columns=columns,
        sources={
            **_levels(temperatures),
            "floor_dbz": limits.floor_dbz,
            "edge_dbz": limits.edge_dbz,
            "core_dbz": limits.core_dbz,
            "min_core_gates": limits.min_core_gates,
            "min_core_km2": limits.min_core_km2,
            "quality": asdict(checks),
            **_examined(volume, len(found) - blind),
        },
        flags=tuple(flags),
    )


def _examined(volume: Volume, sweeps: int) -> dict[str, object]:
    """Return how many sweeps could be examined for hail, and how many impossible values were left out."""
    return {
        "sweeps": len(volume.sweeps),
        "sweeps_examined": sweeps,
        "implausible_values": sum(int(sweep.attrs["implausible"]) for sweep in volume.sweeps),
    }


def classes_product(
    volume: Volume,
    temperatures: Temperatures,
    *,
    min_dbz: float = 10.0,
    checks: screening.QualityLimits | None = None,
    zdr_offset_db: float = 0.0,
) -> RadarProduct:
    """Classify the hydrometeors of every polarimetric sweep where reflectivity is at least ``min_dbz``.

    Raises
    ------
    InputError
        If no sweep of the volume is polarimetric.
    """
    band = volume.site.band
    checks = screening.limits_for(band) if checks is None else checks
    usable = volume.polarimetric()
    if not usable:
        raise InputError(
            "no sweep has ZDR and RHOHV", where=f"radar {volume.site.radar}", expected="polarimetric sweeps"
        )
    sweeps = []
    for sweep in usable:
        moments = fields(sweep, zdr_offset_db)
        index = np.flatnonzero(moments["DBZH"].ravel() >= min_dbz)
        keep, removed = screening.screen(moments, index, checks)
        counts = {"examined": int(index.size), **removed}
        index = index[keep]
        gate = index % moments["DBZH"].shape[1]
        values = {name: moments[name].ravel()[index] for name in ("DBZH", "ZDR", "RHOHV")}
        classes = classify(
            values["DBZH"],
            values["ZDR"],
            values["RHOHV"],
            temperatures.at(gate_heights_m(sweep))[gate],
            band=band,
            kdp=moments["KDP"].ravel()[index] if "KDP" in moments else None,
        )
        sweeps.append(_product_of(sweep, index, {"hydrometeor_class": classes}, counts, ()))
    return RadarProduct(
        kind="classes",
        site=volume.site,
        time=volume.time,
        sweeps=tuple(sweeps),
        sources={
            **_levels(temperatures),
            "min_dbz": min_dbz,
            "quality": asdict(checks),
            **_examined(volume, len(usable)),
        },
        flags=volume.flags,
    )


def fields(sweep: xr.Dataset, zdr_offset_db: float = 0.0) -> dict[str, NDArray[np.float32]]:
    """Return the moments of a sweep that hail needs, as arrays."""
    # Dataset.variables: indexing the Dataset itself builds a DataArray with its coordinates each time.
    moments = {name: sweep.variables[name].to_numpy() for name in MOMENTS if name in sweep.variables}
    if zdr_offset_db and "ZDR" in moments:
        moments["ZDR"] = moments["ZDR"] - np.float32(zdr_offset_db)
    return moments


def polar_sweep(sweep: xr.Dataset) -> PolarSweep:
    """Return reflectivity and geometry of a sweep; its elevation is the median of its rays."""
    variables = sweep.variables
    return PolarSweep(
        dbz=variables["DBZH"].to_numpy(),
        azimuth_deg=variables["azimuth"].to_numpy(),
        range_m=variables["range"].to_numpy(),
        elevation_deg=float(np.median(variables["elevation"].to_numpy())),
    )


def gate_heights_m(sweep: xr.Dataset) -> NDArray[np.float64]:
    """Return the height of the gates of a ray above sea level, meters."""
    beam = polar_sweep(sweep)
    return beam_height_m(beam.range_m, beam.elevation_deg, float(sweep.attrs["altitude_m"]))


def _levels(temperatures: Temperatures) -> dict[str, object]:
    return {
        "sounding": temperatures.source,
        "sounding_fallback": temperatures.fallback,
        "melting_level_m": round(temperatures.melting_level_m, 1),
        "minus20_level_m": round(temperatures.minus20_level_m, 1),
        "minus25_level_m": round(temperatures.minus25_level_m, 1),
    }


def _columns(
    volume: Volume, polar: list[PolarSweep], temperatures: Temperatures, options: HailOptions, flags: list[str]
) -> ColumnProduct | None:
    levels = len(hail_mesh.elevations(polar))
    if volume.site.band not in hail_mesh.BANDS:
        flags.append(f"no MESH: made for S and C band, not {volume.site.band}")
        return None
    if levels < hail_mesh.MIN_ELEVATIONS:
        flags.append(f"no MESH: {levels} elevations, at least {hail_mesh.MIN_ELEVATIONS} needed")
        return None
    found = hail_mesh.columns(
        polar,
        altitude_m=volume.site.altitude_m,
        melting_level_m=temperatures.melting_level_m,
        minus20_level_m=temperatures.minus20_level_m,
        band=volume.site.band,
        method=options.mesh_method,
        min_range_m=options.mesh_min_range_m,
        max_range_m=options.mesh_max_range_m,
    )
    return ColumnProduct(
        sweep=found.base,
        index=found.index,
        values={"SHI": found.shi, "MESH": found.mesh, "POSH": found.posh},
        min_range_m=found.min_range_m,
        max_range_m=found.max_range_m,
        mesh_method=found.method,
        elevations=found.elevations,
    )


def _sweep_product(
    sweep: xr.Dataset,
    result: hail.SweepHail | None,
    polar: list[PolarSweep],
    number: int,
    temperatures: Temperatures,
    options: HailOptions,
) -> SweepProduct:
    if result is None:
        nothing = np.zeros(0, dtype=np.int64)
        empty = {name: np.zeros(0) for name in _HAIL_VALUES}
        return _product_of(
            sweep,
            nothing,
            empty,
            dict.fromkeys((*hail.COUNTS, "no_echo_above"), 0),
            ("no ZDR or RHOHV: no hail class",),
        )
    hail_class = result.hail_class.copy()
    at = np.flatnonzero(hail_class)
    alone = without_echo_above(polar[number], result.index[at], [*polar[:number], *polar[number + 1 :]])
    hail_class[at[alone]] = 0
    at = at[~alone]
    size_class = np.zeros(result.index.size, dtype=np.uint8)
    if sweep.attrs["band"] == HSDA_BAND:
        moments = fields(sweep, options.zdr_offset_db)
        size_class[at] = hsda_class(
            moments["DBZH"],
            moments["ZDR"],
            moments["RHOHV"],
            result.index[at],
            gate_heights_m(sweep),
            melting_level_m=temperatures.melting_level_m,
            minus25_level_m=temperatures.minus25_level_m,
        )
    values: dict[str, NDArray[Any]] = {
        "hydrometeor_class": result.hydrometeor_class,
        "hail_class": hail_class,
        "hail_size_class": size_class,
        "hail_size": np.array(LOWER_BOUND_MM, dtype=np.float32)[size_class],
        "reflectivity": polar[number].dbz.ravel()[result.index],
    }
    counts = {**result.counts, "no_echo_above": int(np.count_nonzero(alone))}
    return _product_of(sweep, result.index, values, counts, ())


_HAIL_VALUES = ("hydrometeor_class", "hail_class", "hail_size_class", "hail_size", "reflectivity")


def _product_of(
    sweep: xr.Dataset,
    index: NDArray[np.int64],
    values: Mapping[str, NDArray[Any]],
    counts: Mapping[str, int],
    flags: tuple[str, ...],
) -> SweepProduct:
    variables = sweep.variables
    range_m = variables["range"].to_numpy()
    return SweepProduct(
        number=int(sweep.attrs["sweep_number"]),
        fixed_angle_deg=float(sweep.attrs["fixed_angle_deg"]),
        start_time=start_time(sweep),
        azimuth_deg=variables["azimuth"].to_numpy(),
        elevation_deg=variables["elevation"].to_numpy(),
        range_start_m=float(range_m[0]),
        range_step_m=float(range_m[-1] - range_m[0]) / (range_m.size - 1),
        gates=range_m.size,
        index=index,
        values=values,
        counts=counts,
        flags=(*sweep.attrs["flags"], *flags),
    )
