"""Map hail from radars' polar grids to latitude/longitude grids, and merge those into a composite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.hail_grid import FIELDS, NO_AGE_S, NO_HEIGHT_M, NOT_OBSERVED, HailGrid, RadarView
from dynamo.formats.radar_products import RadarProduct, SweepProduct
from dynamo.radar.compositing import Method as CompositeMethod
from dynamo.radar.compositing import View, choose, place, union_grid
from dynamo.radar.geometry import EARTH_RADIUS_M
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.gridding import Beam, SweepGridder, grid_around, places
from dynamo.radar.gridding import Method as GridMethod

#: Default node spacing up to this range and beyond it, degrees.
FINE_DEG, COARSE_DEG, FINE_UP_TO_M = 0.005, 0.01, 100_000.0
#: Beyond it, a one-degree beam is wider than 4 km and some kilometers high.
MAX_RANGE_M = 230_000.0
#: Largest distance of a radar from the rest of its network, km; one further off has a wrong position.
NETWORK_GAP_KM = 1000.0
_LARGEST_AGE_S = 32767
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
    method: GridMethod = "maximum"
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
    method: GridMethod,
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
    method: GridMethod,
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


def composite_grids(
    grids: Sequence[HailGrid],
    *,
    method: CompositeMethod = "maximum",
    expected: Sequence[str] = (),
    max_age: timedelta = timedelta(minutes=5),
    time: datetime | None = None,
) -> HailGrid:
    """Merge the grids of several radars.

    Parameters
    ----------
    grids
        Grids of single radars, in any order; of several grids of a radar, the newest that covers a node is used. Those
        more than 1000 km from the network (see `astray`) are left out and flagged.
    method
        See `dynamo.radar.compositing`.
    expected
        Names of the radars of the network; absent ones are reported as missing.
    max_age
        Grids further than this from the composite's time, before or after, are left out.
    time
        The time of the composite; by default that of the newest grid.

    Raises
    ------
    InputError
        If there is no grid, one is not of a single radar, or none is near enough in time.
    """
    if not grids:
        raise InputError("no grids to merge", expected="at least one")
    if any(grid.kind != "radar" for grid in grids):
        raise InputError("a composite among the grids", expected="grids of single radars")
    if any(grid.classes_only for grid in grids):
        raise InputError("a grid of hydrometeor classes only", expected="grids with output of the module hail")
    time = max(grid.time for grid in grids) if time is None else time
    near = [grid for grid in grids if abs(time - grid.time) <= max_age]
    if not near:
        raise InputError(f"no grid within {max_age} of {time:%Y-%m-%dT%H:%M:%SZ}", expected="grids of that minute")
    fresh = sorted(near, key=lambda grid: grid.time, reverse=True)
    lost = astray(fresh)
    fresh = [grid for grid in fresh if grid not in lost]
    target = union_grid([grid.grid for grid in fresh])
    chosen = choose([_view(grid) for grid in fresh], target, method)
    names = [name for name in FIELDS if any(name in grid.fields for grid in fresh)]
    fields: dict[str, NDArray[Any]] = {}
    for name in names:
        fill = FIELDS[name].fill
        fields[name] = np.full(target.shape, 0 if fill is None else fill, dtype=FIELDS[name].dtype)
    radars = list(dict.fromkeys(grid.radars[0].name for grid in fresh))
    fields["radar"] = np.full(target.shape, NOT_OBSERVED, dtype=np.int8)
    fields["age"] = np.full(target.shape, NO_AGE_S, dtype=np.int16)
    for number, grid in enumerate(fresh):
        spot = place(grid.grid, target)
        mine = chosen[spot.rows, spot.columns] == number
        if not mine.any():
            continue
        for name in names:
            if name in grid.fields:
                np.copyto(fields[name][spot.rows, spot.columns], spot.take(grid.fields[name]), where=mine)
            elif name == "hail_size_class":
                # This radar's band gives no sizes, but it still covers the node.
                fields[name][spot.rows, spot.columns][mine] = 0
        age = min(max(round((time - grid.time).total_seconds()), -_LARGEST_AGE_S), _LARGEST_AGE_S)
        fields["radar"][spot.rows, spot.columns][mine] = radars.index(grid.radars[0].name)
        fields["age"][spot.rows, spot.columns][mine] = age
    newest = {name: next(grid.radars[0] for grid in fresh if grid.radars[0].name == name) for name in radars}
    others = sorted({grid.radars[0].name for grid in grids if grid not in lost} - set(radars))
    flags = [f"{grid.radars[0].name}: {flag}" for grid in fresh for flag in grid.flags]
    seconds = f"{max_age.total_seconds():g} s"
    flags += [f"{name}: its view is more than {seconds} from the composite's time and was left out" for name in others]
    for grid in lost:
        radar = grid.radars[0]
        position = f"{radar.latitude_deg:.3f} {radar.longitude_deg:.3f}"
        flags.append(
            f"{radar.name}: says to be at {position}, more than {NETWORK_GAP_KM:g} km from the others: left out"
        )
    return HailGrid(
        kind="composite",
        grid=target,
        time=time,
        radars=tuple(newest.values()),
        fields=fields,
        missing=tuple(name for name in expected if name not in radars),
        sources={
            **_shared_sources(fresh),
            "composite_method": method,
            "views": [f"{grid.radars[0].name} {grid.time:%Y-%m-%dT%H:%M:%SZ}" for grid in fresh],
        },
        flags=tuple(dict.fromkeys(flags)),
    )


def astray(grids: Sequence[HailGrid]) -> list[HailGrid]:
    """Return the grids of radars outside the network, so that one wrong position does not ruin a composite.

    Radars within 1000 km of each other, or linked by others in between, belong together; the network is the largest
    such group. If two groups are equally large, it is unclear which is wrong, and none is left out.
    """
    parts: list[list[HailGrid]] = []
    for grid in grids:
        near = [part for part in parts if any(_apart_km(grid, other) <= NETWORK_GAP_KM for other in part)]
        parts = [part for part in parts if part not in near] + [[grid, *(one for part in near for one in part)]]
    parts.sort(key=_radar_count)
    if len(parts) < 2 or _radar_count(parts[-1]) == _radar_count(parts[-2]):
        return []
    return [grid for part in parts[:-1] for grid in part]


def _radar_count(grids: Sequence[HailGrid]) -> int:
    return len({grid.radars[0].name for grid in grids})


def _apart_km(one: HailGrid, other: HailGrid) -> float:
    """Return the great-circle distance of two radars (haversine)."""
    a, b = one.radars[0], other.radars[0]
    lat, its = np.radians(a.latitude_deg), np.radians(b.latitude_deg)
    half = np.sin((its - lat) / 2) ** 2
    half += np.cos(lat) * np.cos(its) * np.sin(np.radians(b.longitude_deg - a.longitude_deg) / 2) ** 2
    return float(2 * EARTH_RADIUS_M / 1000 * np.arcsin(np.sqrt(min(half, 1.0))))


def _shared_sources(grids: Sequence[HailGrid]) -> dict[str, object]:
    """Return the values on which all views that have them agree."""
    shared: dict[str, object] = {}
    for name in ("sounding", "floor_dbz", "mesh_method", "grid_method"):
        values = [grid.sources[name] for grid in grids if name in grid.sources]
        if values and all(value == values[0] for value in values):
            shared[name] = values[0]
    return shared


def _view(grid: HailGrid) -> View:
    # Sizes come first; without one, the evidence of hail (1 to 3) ranks below the smallest size.
    rank: NDArray[np.float32] = grid.fields["hail_class"].astype(np.float32) / np.float32(10)
    size = grid.get("hail_size")
    if size is not None:
        rank = rank + size.astype(np.float32)
    radar = grid.radars[0]
    distance = places(radar.latitude_deg, radar.longitude_deg, grid.grid).ground_m
    # Among sweeps of one radar the distance is the same, and the first given, the newest, counts.
    return View(grid.grid, rank, grid.observed, distance)
