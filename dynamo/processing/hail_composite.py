"""From the hail grids of several radars to one composite of their network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.hail_grid import FIELDS, NO_AGE_S, NOT_OBSERVED, HailGrid
from dynamo.radar.compositing import Method, View, choose, place, union_grid
from dynamo.radar.geometry import EARTH_RADIUS_M
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.gridding import places

#: Largest distance of a radar from the rest of its network, km; one further off has a wrong position.
NETWORK_GAP_KM = 1000.0
_LARGEST_AGE_S = 32767


def composite_grids(
    grids: Sequence[HailGrid],
    *,
    method: Method = "maximum",
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
    _check(grids)
    time = max(grid.time for grid in grids) if time is None else time
    near = [grid for grid in grids if abs(time - grid.time) <= max_age]
    if not near:
        raise InputError(f"no grid within {max_age} of {time:%Y-%m-%dT%H:%M:%SZ}", expected="grids of that minute")
    fresh = sorted(near, key=lambda grid: grid.time, reverse=True)
    lost = astray(fresh)
    fresh = _side_by_side([grid for grid in fresh if grid not in lost])
    radars = list(dict.fromkeys(grid.radars[0].name for grid in fresh))
    target = union_grid([grid.grid for grid in fresh])
    chosen = choose([_view(grid) for grid in fresh], target, method)
    newest = {name: next(grid.radars[0] for grid in fresh if grid.radars[0].name == name) for name in radars}
    blind = {grid.radars[0].name for grid in fresh if grid.blind}
    blind -= {grid.radars[0].name for grid in fresh if not grid.blind}
    late = sorted({grid.radars[0].name for grid in grids if grid not in lost} - set(radars))
    return HailGrid(
        kind="composite",
        grid=target,
        time=time,
        radars=tuple(newest.values()),
        fields=_join(fresh, target, chosen, radars, time),
        missing=tuple(name for name in expected if name not in radars),
        sources={
            **_shared_sources(fresh),
            "composite_method": method,
            "blind_radars": [name for name in radars if name in blind],
            "implausible_values": sum(int(str(grid.sources.get("implausible_values", 0))) for grid in fresh),
            "views": [f"{grid.radars[0].name} {grid.time:%Y-%m-%dT%H:%M:%SZ}" for grid in fresh],
        },
        flags=_flags(fresh, late, lost, max_age),
    )


def _side_by_side(grids: Sequence[HailGrid]) -> list[HailGrid]:
    """Return the grids on one side of the date line: longitudes of neighbors differ by less than half a turn."""
    first = grids[0].grid.west_deg
    turned = []
    for grid in grids:
        turns = round((first - grid.grid.west_deg) / 360)
        moved = replace(grid.grid, west_deg=round(grid.grid.west_deg + 360 * turns, 9)) if turns else grid.grid
        turned.append(replace(grid, grid=moved) if turns else grid)
    return turned


def _check(grids: Sequence[HailGrid]) -> None:
    if not grids:
        raise InputError("no grids to merge", expected="at least one")
    if any(grid.kind != "radar" for grid in grids):
        raise InputError("a composite among the grids", expected="grids of single radars")
    if any(grid.classes_only for grid in grids):
        raise InputError("a grid of hydrometeor classes only", expected="grids with output of the module hail")


def _join(
    views: Sequence[HailGrid], target: LatLonGrid, chosen: NDArray[np.int8], radars: list[str], time: datetime
) -> dict[str, NDArray[Any]]:
    """Return the fields of the composite: at each node those of the view that was chosen, its radar and its age."""
    names = [name for name in FIELDS if any(name in view.fields for view in views)]
    fields: dict[str, NDArray[Any]] = {}
    for name in names:
        fill = FIELDS[name].fill
        fields[name] = np.full(target.shape, 0 if fill is None else fill, dtype=FIELDS[name].dtype)
    fields["radar"] = np.full(target.shape, NOT_OBSERVED, dtype=np.int8)
    fields["age"] = np.full(target.shape, NO_AGE_S, dtype=np.int16)
    for number, view in enumerate(views):
        spot = place(view.grid, target)
        mine = chosen[spot.rows, spot.columns] == number
        if not mine.any():
            continue
        for name in names:
            if name in view.fields:
                np.copyto(fields[name][spot.rows, spot.columns], spot.take(view.fields[name]), where=mine)
            elif name == "hail_size_class":
                # This radar's band gives no sizes, but it still covers the node.
                fields[name][spot.rows, spot.columns][mine] = 0
        age = min(max(round((time - view.time).total_seconds()), -_LARGEST_AGE_S), _LARGEST_AGE_S)
        fields["radar"][spot.rows, spot.columns][mine] = radars.index(view.radars[0].name)
        fields["age"][spot.rows, spot.columns][mine] = age
    return fields


def _flags(
    views: Sequence[HailGrid], late: Sequence[str], lost: Sequence[HailGrid], max_age: timedelta
) -> tuple[str, ...]:
    """Return what the views say against themselves, and which were left out."""
    flags = [f"{view.radars[0].name}: {flag}" for view in views for flag in view.flags]
    seconds = f"{max_age.total_seconds():g} s"
    flags += [f"{name}: its view is more than {seconds} from the composite's time and was left out" for name in late]
    for grid in lost:
        radar = grid.radars[0]
        position = f"{radar.latitude_deg:.3f} {radar.longitude_deg:.3f}"
        flags.append(
            f"{radar.name}: says to be at {position}, more than {NETWORK_GAP_KM:g} km from the others: left out"
        )
    return tuple(dict.fromkeys(flags))


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
