"""From the hail of one radar, on its own polar grid, to a latitude/longitude grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.hail_grid import FIELDS, NO_HEIGHT_M, NOT_OBSERVED, HailGrid, RadarView
from dynamo.formats.radar_products import RadarProduct, SweepProduct
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.gridding import Beam, Method, SweepGridder, grid_around

#: Default node spacing up to this range and beyond it, degrees.
FINE_DEG, COARSE_DEG, FINE_UP_TO_M = 0.005, 0.01, 100_000.0
#: Beyond it, a one-degree beam is wider than 4 km and some kilometers high.
MAX_RANGE_M = 230_000.0
_NAMES = ("hydrometeor_class", "hail_class", "hail_size_class", "hail_size", "mesh", "reflectivity")


@dataclass(frozen=True)
class GridOptions:
    """Options for mapping polar fields to a grid.

    Parameters
    ----------
    spacing_deg
        Node spacing, degrees; 0 selects 0.005 for ranges up to 100 km and 0.01 beyond.
    max_range_m
        Data further than this from the radar is left out, meters.
    method
        For hail and its sizes; see `dynamo.radar.gridding`. Hydrometeor classes are always those of the nearest gate.
    grid
        A grid to use instead of the spacing.
    """

    spacing_deg: float = 0.0
    max_range_m: float = MAX_RANGE_M
    method: Method = "maximum"
    grid: LatLonGrid | None = None


def grid_product(product: RadarProduct, options: GridOptions | None = None) -> HailGrid:
    """Map the hail of one radar file to a grid.

    For a volume, each node has the class from the lowest sweep that has one, hail if any sweep has it, the
    largest size and reflectivity, and the lowest beams. `hail_size` is the largest size known: the lower bound of the
    HSDA class, or MESH where it is larger and a sweep of the column has hail.

    Raises
    ------
    InputError
        If the product has no sweep, or the grid is impossible.
    """
    options = options or GridOptions()
    if not product.sweeps:
        raise InputError("no sweep in the product", where=product.site.radar, expected="at least one")
    site = product.site
    reach = min(max(float(sweep.range_m[-1]) for sweep in product.sweeps), options.max_range_m)
    spacing = options.spacing_deg or (FINE_DEG if reach <= FINE_UP_TO_M else COARSE_DEG)
    grid = options.grid or grid_around(site.latitude_deg, site.longitude_deg, reach, spacing)
    ordered = sorted(product.sweeps, key=lambda sweep: sweep.fixed_angle_deg)
    gridders = {sweep.number: _gridder(product, sweep, grid, reach) for sweep in ordered}
    names = [name for name in _NAMES if name == "hydrometeor_class" or _has(product, name)]
    fields: dict[str, NDArray[Any]] = {name: np.zeros(grid.shape, dtype=FIELDS[name].dtype) for name in names}
    fields.setdefault("hail_class", np.zeros(grid.shape, dtype=np.int8))
    heights = np.full(grid.shape, NO_HEIGHT_M, dtype=np.int16)
    hail_heights = np.full(grid.shape, NO_HEIGHT_M, dtype=np.int16)
    for sweep in ordered:
        gridder = gridders[sweep.number]
        fresh = heights == NO_HEIGHT_M
        fresh &= gridder.observed()
        np.copyto(heights, gridder.table.height_m, where=fresh)
        _add_sweep(sweep, gridder, fields, hail_heights, options.method)
    if product.columns is not None:
        _add_columns(product, gridders, fields, options.method)
    seen = heights != NO_HEIGHT_M
    if product.kind == "hail" and product.sources.get("sweeps_examined") == 0:
        # Nothing was looked for: "no hail" would hide that of another radar, and tell a place that hail is over.
        seen = np.zeros(grid.shape, dtype=bool)
    for name in ("hydrometeor_class", "hail_class", "hail_size_class"):
        if name in fields:
            fields[name][~seen] = NOT_OBSERVED
    sources = {**product.sources, "product": product.kind, "grid_method": options.method}
    if product.columns is not None:
        sources["mesh_method"] = product.columns.mesh_method
    return HailGrid(
        kind="radar",
        grid=grid,
        time=product.time,
        radars=(RadarView(site.radar, site.latitude_deg, site.longitude_deg, site.altitude_m, product.time),),
        fields={**fields, "beam_height": heights, "hail_height": hail_heights},
        sources=sources,
        flags=product.flags,
    )


def _has(product: RadarProduct, name: str) -> bool:
    if name == "mesh":
        return product.columns is not None
    if name in ("hail_size", "hail_size_class"):
        # A band without sizes has the variables, but no values.
        sizes = [sweep.values["hail_size_class"] for sweep in product.sweeps if "hail_size_class" in sweep.values]
        told = any(size.any() for size in sizes)
        return told or (name == "hail_size" and product.columns is not None)
    return any(name in sweep.values for sweep in product.sweeps)


def _gridder(product: RadarProduct, sweep: SweepProduct, grid: LatLonGrid, reach_m: float) -> SweepGridder:
    site = product.site
    gates = min(sweep.gates, int((reach_m - sweep.range_start_m) / sweep.range_step_m) + 1)
    beam = Beam(
        site.latitude_deg,
        site.longitude_deg,
        site.altitude_m,
        sweep.fixed_angle_deg,
        sweep.range_start_m,
        sweep.range_step_m,
        max(gates, 1),
    )
    return SweepGridder(beam, sweep.azimuth_deg, grid)


def _in_reach(index: NDArray[Any], gates: int, kept: int) -> tuple[NDArray[Any], NDArray[np.bool_] | slice]:
    """Return positions in a field of fewer gates, and which of the old ones it contains."""
    if kept == gates:
        return index, slice(None)
    ray, gate = np.divmod(index, gates)
    near = gate < kept
    return ray[near] * kept + gate[near], near


def _add_sweep(
    sweep: SweepProduct,
    gridder: SweepGridder,
    fields: dict[str, NDArray[Any]],
    hail_heights: NDArray[np.int16],
    method: Method,
) -> None:
    index, near = _in_reach(sweep.index, sweep.gates, gridder.beam.gates)
    window = gridder.window(index)
    if window is None:
        return
    if "hydrometeor_class" in sweep.values:
        classes = gridder.fill(index, sweep.values["hydrometeor_class"][near], window, method="nearest")
        target = fields["hydrometeor_class"][window]
        np.copyto(target, classes, where=target == 0, casting="unsafe")
    if "hail_class" not in sweep.values:
        return
    evidence = sweep.values["hail_class"][near]
    hail = np.flatnonzero(evidence > 0)
    inner = gridder.window(index[hail])
    if inner is None:
        return
    where = index[hail]
    found = gridder.fill(where, evidence[hail], inner, method=method, join=np.bitwise_or)
    fields["hail_class"][inner] |= found
    here = hail_heights[inner]
    np.copyto(here, gridder.table.height_m[inner], where=(here == NO_HEIGHT_M) & (found > 0))
    for name in ("hail_size_class", "hail_size", "reflectivity"):
        if name in fields and name in sweep.values:
            values = np.nan_to_num(sweep.values[name][near][hail], nan=0.0).astype(FIELDS[name].dtype)
            if name == "reflectivity":
                values = np.maximum(values, 0.0)
            np.maximum(fields[name][inner], gridder.fill(where, values, inner, method=method), out=fields[name][inner])


def _add_columns(
    product: RadarProduct,
    gridders: dict[int, SweepGridder],
    fields: dict[str, NDArray[Any]],
    method: Method,
) -> None:
    columns = product.columns
    if columns is None or "MESH" not in columns.values:
        return
    sweep = product.sweeps[columns.sweep]
    gridder = gridders[sweep.number]
    index, near = _in_reach(columns.index, sweep.gates, gridder.beam.gates)
    values = columns.values["MESH"][near]
    some = np.flatnonzero(values > 0)
    window = gridder.window(index[some])
    if window is None:
        return
    mesh = gridder.fill(index[some], values[some].astype(np.float32), window, method=method)
    fields["mesh"][window] = mesh
    size = fields["hail_size"][window]
    np.maximum(size, mesh, out=size, where=fields["hail_class"][window] > 0)
