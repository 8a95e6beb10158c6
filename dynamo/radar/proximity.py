"""Find which places come near which polygons, when first, how near, and in which direction.

Distances are geodesic on the WGS 84 ellipsoid. They are measured in a plane: Lambert's conformal conic projection with
one standard parallel (Snyder, Map Projections: A Working Manual, 1987, eq. 15-1 to 15-4), one plane for each band of
latitude in which there are places. A conformal plane has one scale factor at a point, whatever the direction; the
length of a line is its planar length over the mean of the factor along it (Simpson's rule). Against geodesics
the error is below 0.01 % up to `MAX_DISTANCE_KM` (`tests/unit/radar/test_proximity.py` checks it with PROJ).

Edges are straight in longitude and latitude (RFC 7946, 3.1.1); long ones are split before they are projected.
Inside means by the even-odd rule, so that self-crossing rings have an answer, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from dynamo.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Geometries = NDArray[np.object_]

#: The largest supported distance, km; beyond it, one plane per band would exceed the stated error.
MAX_DISTANCE_KM = 200.0
#: Closer to the poles, a band of latitude no longer makes a usable cone.
MAX_LATITUDE_DEG = 85.0

_A_KM = 6378.137
_FLATTENING = 1 / 298.257223563
_E2 = _FLATTENING * (2 - _FLATTENING)
_E = math.sqrt(_E2)
_BAND_DEG = 4.0
#: At the equator the cone is a cylinder; half a degree off is as good and needs no special formulas.
_LEAST_PARALLEL_DEG = 0.5
#: An edge of this length bends away from the projected straight line by at most 10 m.
_EDGE_DEG = 0.25


class Plane:
    """Lambert's conformal conic plane around a standard parallel and a central meridian, in km.

    Parameters
    ----------
    lat_deg, lon_deg
        Standard parallel and central meridian.
    """

    def __init__(self, lat_deg: float, lon_deg: float) -> None:
        if abs(lat_deg) < _LEAST_PARALLEL_DEG:
            lat_deg = math.copysign(_LEAST_PARALLEL_DEG, lat_deg)
        self.lon_deg = lon_deg
        phi = math.radians(lat_deg)
        self._n = math.sin(phi)
        self._rho = _A_KM / math.sqrt(1 - _E2 * self._n**2) / math.tan(phi)
        self._q = float(_isometric(np.array([phi]))[0])

    def project(self, lonlat: Floats) -> Floats:
        """Return x and y, km, of longitudes and latitudes in degrees; shape ``(n, 2)`` both.

        Longitudes are not wrapped: bring them within 180 degrees of the central meridian first.
        """
        rho = self._rho * np.exp(-self._n * (_isometric(np.radians(lonlat[:, 1])) - self._q))
        theta = self._n * np.radians(lonlat[:, 0] - self.lon_deg)
        return np.column_stack((rho * np.sin(theta), self._rho - rho * np.cos(theta)))

    def scale(self, xy: Floats) -> Floats:
        """Return the ratio of planar to true length at the points ``xy``, shape ``(n,)``."""
        rho = math.copysign(1.0, self._n) * np.hypot(xy[:, 0], self._rho - xy[:, 1])
        q = self._q - np.log(rho / self._rho) / self._n
        phi = np.arctan(np.sinh(q))
        for _ in range(4):
            phi = np.arctan(np.sinh(q + _E * np.arctanh(_E * np.sin(phi))))
        sine = np.sin(phi)
        scale: Floats = self._n * rho * np.sqrt(1 - _E2 * sine**2) / (_A_KM * np.cos(phi))
        return scale

    def measure(self, start: Floats, end: Floats) -> tuple[Floats, Floats]:
        """Return geodesic length, km, and azimuth at the start, degrees from north, of planar lines."""
        delta = end - start
        mean = (self.scale(start) + 4 * self.scale((start + end) / 2) + self.scale(end)) / 6
        sign = math.copysign(1.0, self._n)
        theta = np.arctan2(sign * start[:, 0], sign * (self._rho - start[:, 1]))
        azimuth = np.degrees(np.arctan2(delta[:, 0], delta[:, 1]) + theta) % 360
        return np.hypot(delta[:, 0], delta[:, 1]) / mean, azimuth


@dataclass(frozen=True)
class Polygons:
    """Polygons in flat arrays.

    Attributes
    ----------
    points
        Longitude and latitude of all vertices, degrees; shape ``(n, 2)``. Rings are closed.
    rings
        Ring ``r`` is ``points[rings[r]:rings[r + 1]]``.
    parts
        Polygon ``p`` has the rings ``parts[p]`` (its exterior) to ``parts[p + 1] - 1``.
    """

    points: Floats
    rings: Ints
    parts: Ints

    def __len__(self) -> int:
        return len(self.parts) - 1

    def first_points(self) -> Ints:
        """Return the index of each polygon's first vertex, followed by the number of vertices."""
        return self.rings[self.parts]


@dataclass(frozen=True)
class Approaches:
    """Which places are first near polygons of which group, at which step; one entry per place, group and polygon.

    A place near several polygons of a group at that first step has an entry for each.

    Attributes
    ----------
    place, polygon
        Indices.
    group, step
        Of the polygon.
    """

    place: Ints
    polygon: Ints
    group: Ints
    step: Ints


class PlaceIndex:
    """An index of places for repeated queries of the polygons near them.

    Parameters
    ----------
    places
        Points, lines or polygons in longitude and latitude, degrees.
    distance_km
        The distance that counts as near, for each place, 0 to `MAX_DISTANCE_KM`.

    Raises
    ------
    InputError
        If a place is empty, off the Earth, within 5 degrees of a pole, wider than 180 degrees of longitude,
        or a distance is out of range.
    """

    def __init__(self, places: Sequence[BaseGeometry] | Geometries, distance_km: Floats) -> None:
        geometries: Geometries = np.asarray(places, dtype=object)
        self.distance_km = np.asarray(distance_km, dtype=np.float64)
        if self.distance_km.shape != geometries.shape:
            raise InputError(f"{len(geometries)} places and {len(self.distance_km)} distances", expected="as many")
        bounds = shapely.bounds(geometries).reshape(-1, 4)
        good = (np.abs(bounds[:, 1:4:2]) <= MAX_LATITUDE_DEG).all(axis=1)
        good &= (np.abs(bounds[:, 0:3:2]) <= 360).all(axis=1) & (bounds[:, 2] - bounds[:, 0] <= 180)
        if not good.all():
            raise InputError(
                "is empty, too close to a pole, too wide, or not on the Earth",
                where=f"place {int(np.flatnonzero(~good)[0]) + 1}",
                expected=f"latitudes up to {MAX_LATITUDE_DEG:g} degrees, longitudes in degrees",
            )
        if not ((self.distance_km >= 0) & (self.distance_km <= MAX_DISTANCE_KM)).all():
            raise InputError("a distance is out of range", expected=f"0 to {MAX_DISTANCE_KM:g} km")
        middle = (bounds[:, 1] + bounds[:, 3]) / 2
        number = np.floor(middle / _BAND_DEG).astype(np.int64)
        # One band if everything fits into one, so that a region across a limit is not processed twice.
        if len(middle) and np.ptp(middle) <= _BAND_DEG:
            number[:] = 0
        self._bands = [
            _Band(members, geometries[members], bounds[members], self.distance_km[members])
            for members in (np.flatnonzero(number == value) for value in np.unique(number))
        ]
        self._band_of = np.zeros(len(geometries), dtype=np.int64)
        for position, band in enumerate(self._bands):
            self._band_of[band.members] = position

    def __len__(self) -> int:
        return len(self.distance_km)

    def first_approaches(
        self, polygons: Polygons, group: Ints, step: Ints, *, wanted: Bools, last_step: Ints | None = None
    ) -> Approaches:
        """Return where each place is first near a polygon of each group.

        Parameters
        ----------
        polygons
            The polygons.
        group, step
            Group (0, 1, ...) and step (in any order; the smallest is the first) of each polygon.
        wanted
            The groups of interest to each place; shape ``(places, groups)``.
        last_step
            The last step of interest to each place. Default: all.

        Returns
        -------
        Approaches
            Ordered by place, group, polygon.
        """
        found: list[tuple[Ints, Ints]] = []
        for band in self._bands:
            limits = None if last_step is None else last_step[band.members]
            wishes = wanted[band.members]
            if not len(polygons):
                break
            useful: Bools = np.logical_or.reduce(wishes, axis=0)
            asked = np.flatnonzero(useful[group] & band.overlaps(polygons))
            if not len(asked):
                continue
            drawn = band.draw(polygons, asked)
            for value in np.unique(group[asked]):
                mine = np.flatnonzero(group[asked] == value)
                near, which = band.first(drawn[mine], step[asked[mine]], wishes[:, value], limits)
                found.append((band.members[near], asked[mine[which]]))
        if not found:
            return Approaches(_EMPTY, _EMPTY, _EMPTY, _EMPTY)
        place = np.concatenate([pair[0] for pair in found])
        polygon = np.concatenate([pair[1] for pair in found])
        order = np.lexsort((polygon, group[polygon], place))
        place, polygon = place[order], polygon[order]
        return Approaches(place, polygon, group[polygon], step[polygon])

    def measure(self, polygons: Polygons, place: Ints, polygon: Ints) -> tuple[Floats, Floats]:
        """Return the distances of pairs of a place and a polygon.

        Returns
        -------
        distance_km, azimuth_deg
            Geodesic distance, 0 where they meet, and the direction from the place to the nearest point of the polygon,
            degrees from north (NaN where they meet); shape ``(pairs,)`` both.
        """
        distance = np.zeros(len(place))
        azimuth = np.full(len(place), np.nan)
        for position, band in enumerate(self._bands):
            pairs = np.flatnonzero(self._band_of[place] == position)
            if len(pairs):
                used, inverse = np.unique(polygon[pairs], return_inverse=True)
                own = np.searchsorted(band.members, place[pairs])
                distance[pairs], azimuth[pairs] = band.measure(band.draw(polygons, used)[inverse], own)
        return distance, azimuth


class _Band:
    """The places of one band of latitude, in their plane."""

    def __init__(self, members: Ints, geometries: Geometries, bounds: Floats, distance_km: Floats) -> None:
        self.members = members
        west, south, east, north = bounds.T
        # The mean direction, so that the center of places on both sides of the antimeridian is between them.
        turn = np.exp(1j * np.radians((west + east) / 2)).mean()
        lon = math.degrees(math.atan2(turn.imag, turn.real))
        self.plane = Plane(float(south.min() + north.max()) / 2, lon)
        reach = math.degrees(float(distance_km.max()) / 6350)
        self._south, self._north = float(south.min()) - reach, float(north.max()) + reach
        shift = _whole_turns((west + east) / 2, lon)
        points, owner = shapely.get_coordinates(shapely.segmentize(geometries, _EDGE_DEG), return_index=True)
        if (shapely.get_type_id(geometries) == 0).all():
            xy = self.plane.project(points + np.column_stack((shift, np.zeros_like(shift))))
            self.geometries: Geometries = np.asarray(shapely.points(xy), dtype=object)
        else:
            split = shapely.segmentize(geometries, _EDGE_DEG)
            points[:, 0] += shift[owner]
            self.geometries = shapely.set_coordinates(split.copy(), self.plane.project(points))
        self.boxes = shapely.bounds(self.geometries).reshape(-1, 4)
        centres = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        self.radius = distance_km * self.plane.scale(centres)
        grown = self.boxes + np.column_stack((-self.radius, -self.radius, self.radius, self.radius))
        self._tree = shapely.STRtree(np.asarray(shapely.box(*grown.T), dtype=object))

    def overlaps(self, polygons: Polygons) -> Bools:
        """Return which polygons reach into the band's latitudes and their surroundings."""
        starts = polygons.first_points()[:-1]
        low = np.minimum.reduceat(polygons.points[:, 1], starts)
        high = np.maximum.reduceat(polygons.points[:, 1], starts)
        return (high >= self._south) & (low <= self._north)

    def draw(self, polygons: Polygons, chosen: Ints) -> Geometries:
        """Return the chosen polygons in the plane."""
        if len(chosen) == len(polygons):
            points, rings, parts = polygons.points, polygons.rings, polygons.parts
        else:
            ring = _ranges(polygons.parts[chosen], polygons.parts[chosen + 1])
            points = polygons.points[_ranges(polygons.rings[ring], polygons.rings[ring + 1])]
            rings = _offsets(polygons.rings[ring + 1] - polygons.rings[ring])
            parts = _offsets(polygons.parts[chosen + 1] - polygons.parts[chosen])
        starts = rings[parts]
        shift = _whole_turns(points[starts[:-1], 0], self.plane.lon_deg)
        if shift.any():
            points = points.copy()
            points[:, 0] += np.repeat(shift, np.diff(starts))
        steps = np.abs(np.diff(points, axis=0)).max(axis=1, initial=0.0)
        steps[rings[1:-1] - 1] = 0.0
        if steps.max(initial=0.0) <= _EDGE_DEG:
            drawn: Geometries = shapely.from_ragged_array(
                shapely.GeometryType.POLYGON, self.plane.project(points), (rings, parts)
            )
            return drawn
        whole = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, (rings, parts))
        split: Geometries = shapely.transform(shapely.segmentize(whole, _EDGE_DEG), self.plane.project)
        return split

    def first(self, drawn: Geometries, step: Ints, wanted: Bools, last_step: Ints | None) -> tuple[Ints, Ints]:
        """Return the places (numbered in the band) and polygons that are near at the place's first step."""
        bounds = shapely.bounds(drawn).reshape(-1, 4)
        shapely.prepare(drawn)
        asking = wanted.copy()
        hits: list[tuple[Ints, Ints]] = []
        # Later steps of a place that is already near are skipped: this saves most of the work.
        for value in np.unique(step):
            if last_step is not None:
                asking &= last_step >= value
            some = np.flatnonzero(step == value)
            which, near = self._tree.query(drawn[some])
            keep = asking[near]
            which, near = some[which[keep]], near[keep]
            # The corners of the boxes are not near; for small storms, they are a fifth of all candidates.
            boxes, mine, radius = bounds[which], self.boxes[near], self.radius[near]
            east = np.maximum(np.maximum(boxes[:, 0] - mine[:, 2], mine[:, 0] - boxes[:, 2]), 0.0)
            north = np.maximum(np.maximum(boxes[:, 1] - mine[:, 3], mine[:, 1] - boxes[:, 3]), 0.0)
            keep = east * east + north * north <= (radius * (1 + 1e-9)) ** 2
            which, near, radius = which[keep], near[keep], radius[keep]
            if len(near):
                hit = shapely.dwithin(drawn[which], self.geometries[near], radius)
                hits.append((near[hit], which[hit]))
                asking[near[hit]] = False
        if not hits:
            return _EMPTY, _EMPTY
        return np.concatenate([hit[0] for hit in hits]), np.concatenate([hit[1] for hit in hits])

    def measure(self, drawn: Geometries, own: Ints) -> tuple[Floats, Floats]:
        """Return distance and azimuth of pairs."""
        shapely.prepare(drawn)
        geometries = self.geometries[own]
        apart = np.flatnonzero(~shapely.intersects(drawn, geometries))
        distance, azimuth = np.zeros(len(own)), np.full(len(own), np.nan)
        if len(apart):
            ends = shapely.get_coordinates(shapely.shortest_line(geometries[apart], drawn[apart])).reshape(-1, 2, 2)
            distance[apart], azimuth[apart] = self.plane.measure(ends[:, 0], ends[:, 1])
        return distance, azimuth


_EMPTY: Ints = np.zeros(0, dtype=np.int64)


def _isometric(phi: Floats) -> Floats:
    """Return the isometric latitude on the ellipsoid (Snyder, eq. 3-7), radians."""
    sine = np.sin(phi)
    isometric: Floats = np.arctanh(sine) - _E * np.arctanh(_E * sine)
    return isometric


def _whole_turns(lon: Floats, centre: float) -> Floats:
    """Return the multiples of 360 degrees that bring longitudes within 180 degrees of a center."""
    turns: Floats = 360.0 * np.round((centre - lon) / 360.0)
    return turns


def _ranges(starts: Ints, ends: Ints) -> Ints:
    """Return the numbers of all ranges, concatenated."""
    lengths = ends - starts
    offsets = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    ranges: Ints = offsets + np.arange(int(lengths.sum()))
    return ranges


def _offsets(lengths: Ints) -> Ints:
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)))
