"""Connected regions of gates on a sweep, with the area and position of each region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dynamo.radar.geometry import ground_range_m, position_deg

#: Rays farther apart than this many widths do not touch (a gap in azimuth).
_MAX_WIDTHS = 2.0


@dataclass(frozen=True)
class Region:
    """One region: number of gates, area (km2), area-weighted center (degrees), and the positions of its gates."""

    gates: int
    area_km2: float
    latitude_deg: float
    longitude_deg: float
    members: NDArray[np.int64]


def ray_width_deg(azimuth_deg: NDArray[Any]) -> float:
    """Return the mean spacing of rays, degrees, without gaps; azimuths are ascending."""
    if azimuth_deg.size < 2:
        return 1.0
    steps = np.diff(azimuth_deg)
    return float(np.mean(steps[steps <= _MAX_WIDTHS * np.median(steps)]))


def gate_areas_km2(azimuth_deg: NDArray[Any], range_m: NDArray[Any], elevation_deg: float) -> NDArray[np.float64]:
    """Return the area over the ground of one gate at each range, km2."""
    ground = ground_range_m(range_m, elevation_deg)
    areas: NDArray[np.float64] = np.deg2rad(ray_width_deg(azimuth_deg)) * ground * np.gradient(ground) / 1e6
    return areas


def label_gates(
    index: NDArray[np.integer[Any]], shape: tuple[int, ...], azimuth_deg: NDArray[Any]
) -> tuple[NDArray[np.int64], int]:
    """Return the number of the region (1 and up, not all used) of each gate, and the highest number.

    Gates touch across edges and corners, also across north, but not across a gap in azimuth.

    Parameters
    ----------
    index
        Positions of the gates in the flattened ``(rays, gates)`` field.
    shape, azimuth_deg
        Rays and gates of the sweep; azimuths of the rays, ascending.
    """
    if index.size == 0:
        return np.zeros(0, dtype=np.int64), 0
    ray, gate = np.divmod(np.asarray(index, dtype=np.int64), shape[1])
    first, last = int(gate.min()), int(gate.max())
    # An empty row in each gap separates the rays on either side.
    gaps = np.diff(azimuth_deg) > _MAX_WIDTHS * ray_width_deg(azimuth_deg)
    row = np.arange(shape[0]) + np.concatenate(([0], np.cumsum(gaps)))
    image = np.zeros((int(row[-1]) + 1, last - first + 1), dtype=bool)
    image[row[ray], gate - first] = True
    labels, count = ndimage.label(image, structure=np.ones((3, 3)))
    own = labels[row[ray], gate - first]
    closed = float(azimuth_deg[0]) + 360.0 - float(azimuth_deg[-1]) <= _MAX_WIDTHS * ray_width_deg(azimuth_deg)
    if closed and count > 1:
        own = _joined(labels[0], labels[-1], int(count))[own]
    return np.asarray(own, dtype=np.int64), int(count)


def find_regions(
    index: NDArray[np.integer[Any]],
    *,
    azimuth_deg: NDArray[Any],
    range_m: NDArray[Any],
    elevation_deg: float,
    latitude_deg: float,
    longitude_deg: float,
) -> list[Region]:
    """Return the regions formed by gates, largest first.

    Parameters
    ----------
    index
        Positions of the gates in the flattened ``(rays, gates)`` field.
    azimuth_deg, range_m, elevation_deg
        Of the sweep; azimuths ascending, degrees; slant ranges, meters.
    latitude_deg, longitude_deg
        Of the radar.
    """
    shape = (azimuth_deg.size, range_m.size)
    labels, _ = label_gates(index, shape, azimuth_deg)
    areas = gate_areas_km2(azimuth_deg, range_m, elevation_deg)
    ground = ground_range_m(range_m, elevation_deg)
    regions = []
    for label in np.unique(labels):
        members = np.asarray(index[labels == label], dtype=np.int64)
        ray, gate = np.divmod(members, shape[1])
        weight = areas[gate]
        angle = np.deg2rad(azimuth_deg[ray])
        east = float(np.average(ground[gate] * np.sin(angle), weights=weight))
        north = float(np.average(ground[gate] * np.cos(angle), weights=weight))
        latitude, longitude = position_deg(
            latitude_deg, longitude_deg, np.rad2deg(np.arctan2(east, north)), np.hypot(east, north)
        )
        regions.append(Region(members.size, float(weight.sum()), float(latitude), float(longitude), members))
    return sorted(regions, key=lambda region: -region.area_km2)


def _joined(north: NDArray[Any], end: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the final label of each label, after merging regions that touch across the last and the first ray."""
    stands = np.arange(count + 1)
    for shift in (-1, 0, 1):
        here = end[max(0, -shift) : end.size - max(0, shift)]
        there = north[max(0, shift) : north.size - max(0, -shift)]
        for one, other in set(zip(here.tolist(), there.tolist(), strict=True)):
            if one and other:
                low, high = sorted((int(stands[one]), int(stands[other])))
                stands[stands == high] = low
    return stands
