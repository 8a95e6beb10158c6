"""Whatever the field, contours are valid polygons that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dynamo.radar.contour import contours
from dynamo.radar.grid import LatLonGrid

#: Hundreds of fields.
pytestmark = pytest.mark.slow

#: Few distinct values, many of them on a level: saddles, plateaus and holes in the data, which is where tracers err.
VALUES = st.sampled_from([np.nan, -99.0, 30.0, 44.99995, 45.0, 45.00005, 45.5, 50.0, 60.0])
FIELDS = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9), elements=VALUES)


@settings(max_examples=300, deadline=None)
@given(FIELDS, st.sampled_from([3, 5, 7]))
def test_contours_are_sound(field: NDArray[np.float64], decimals: int) -> None:
    grid = LatLonGrid(33.0, -97.0, 0.01, 0.01, *field.shape)
    for found in contours(field, grid, [45.0, 50.0], min_points=3, decimals=decimals):
        shapes = found.to_shapely()
        assert shapely.is_valid(shapes).all()
        assert (found.area_km2 > 0).all()
        assert np.isfinite(found.maximum).all()
        # The maximum is that of the nodes in it or on its edge.
        nodes = np.argwhere(np.isfinite(field) & (field >= found.level))
        for shape, maximum in zip(shapes, found.maximum, strict=True):
            inside = [
                field[i, j]
                for i, j in nodes
                if shapely.dwithin(shape, shapely.Point(grid.longitudes[j], grid.latitudes[i]), 1.5 * 10.0**-decimals)
            ]
            assert abs(maximum - max(inside)) < 2e-4
        # Polygons of one level do not overlap.
        if len(shapes):
            assert abs(shapely.union_all(shapes).area - shapely.area(shapes).sum()) < 1e-9
        # Every node at or above the level with a whole cell around it is in one, and no node below it inside any.
        whole = np.isfinite(field)
        cells = whole[1:, 1:] & whole[:-1, 1:] & whole[1:, :-1] & whole[:-1, :-1]
        for i, j in np.argwhere(whole):
            around = cells[max(i - 1, 0) : i + 1, max(j - 1, 0) : j + 1]
            point = shapely.Point(grid.longitudes[j], grid.latitudes[i])
            if field[i, j] >= found.level and around.any():
                assert shapely.dwithin(shapes, point, 1.5 * 10.0**-decimals).any()
            if field[i, j] < found.level:
                assert not shapely.contains_properly(shapes, point).any()
