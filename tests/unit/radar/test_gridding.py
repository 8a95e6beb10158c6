"""Nodes get the gates that lie there: against a search over all gates, over north, in gaps, and for volumes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod

from dynamo.errors import InputError
from dynamo.formats.hail_grid import NO_HEIGHT_M, NOT_OBSERVED
from dynamo.formats.radar.model import Site
from dynamo.formats.radar_products import ColumnProduct, RadarProduct, SweepProduct
from dynamo.processing.hail_grids import GridOptions, grid_product
from dynamo.radar.geometry import ground_range_m
from dynamo.radar.gridding import Beam, SweepGridder, grid_around, places

SITE = Site("XADD", 32.98, -96.84, 210.0, "X")
TIME = datetime(2019, 6, 10, 0, 20, tzinfo=UTC)
BEAM = Beam(32.98, -96.84, 210.0, 2.0, 50.0, 100.0, 300)
GRID = grid_around(32.98, -96.84, 30_000.0, 0.01)
WHOLE = (slice(None), slice(None))


def azimuths(rays: int = 360, first: float = 0.3) -> NDArray[np.float64]:
    return first + np.arange(rays) * 360.0 / rays


def sparse(field: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    index = np.flatnonzero(field)
    return index, field.ravel()[index]


def node_positions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lon, lat = np.meshgrid(GRID.longitudes, GRID.latitudes)
    azimuth, _, distance = Geod(ellps="WGS84").inv(
        np.full(lon.shape, SITE.longitude_deg), np.full(lon.shape, SITE.latitude_deg), lon, lat
    )
    return azimuth % 360, distance


def test_nodes_are_multiples_of_the_spacing_so_that_grids_share_them() -> None:
    one, other = grid_around(32.9814, -96.8391, 60_000, 0.005), grid_around(32.481, -97.001, 60_000, 0.005)
    for grid in (one, other):
        np.testing.assert_allclose(grid.latitudes / 0.005, np.rint(grid.latitudes / 0.005), atol=1e-6)
        np.testing.assert_allclose(grid.longitudes / 0.005, np.rint(grid.longitudes / 0.005), atol=1e-6)
    ends = Geod(ellps="WGS84").fwd(-96.8391, 32.9814, 90.0, 60_000)
    assert one.longitudes[-1] >= ends[0]
    with pytest.raises(InputError, match="poles"):
        grid_around(89.5, 0, 100_000, 0.01)
    with pytest.raises(InputError, match="wider spacing"):
        grid_around(33, -97, 230_000, 0.0005)


def test_places_are_geodesic() -> None:
    azimuth, distance = node_positions()
    found = places(SITE.latitude_deg, SITE.longitude_deg, GRID)
    np.testing.assert_allclose(found.ground_m, distance, atol=0.5)
    off = np.abs((found.bin / 10 + 0.05 - azimuth + 180) % 360 - 180)
    assert off[distance > 1000].max() < 0.06


def test_the_nearest_gate_is_that_of_a_search_over_all() -> None:
    rng = np.random.default_rng(3)
    azimuth = azimuths()
    field = rng.integers(1, 200, (360, 300)).astype(np.uint8)
    got = SweepGridder(BEAM, azimuth, GRID).fill(*sparse(field), WHOLE, method="nearest")
    node_azimuth, distance = node_positions()
    ground = ground_range_m(BEAM.range_start_m + BEAM.range_step_m * np.arange(300), BEAM.elevation_deg)
    gate = np.abs(distance[..., np.newaxis] - ground).argmin(axis=-1)
    ray = np.abs((node_azimuth[..., np.newaxis] - azimuth + 180) % 360 - 180).argmin(axis=-1)
    expected = np.where(distance <= ground[-1] + 50, field[ray, gate], 0)
    # Azimuths are looked up by tenths of a degree, so a node on the border of two rays may get the other.
    assert (got == expected).mean() > 0.93
    assert (got > 0).sum() == (expected > 0).sum()


def test_maximum_loses_no_small_core_and_nearest_may() -> None:
    gridder = SweepGridder(BEAM, azimuths(), GRID)
    lost = 0
    rng = np.random.default_rng(1)
    for _ in range(200):
        # Half a cell, 1.1 km by 0.9 km, is 5 gates of 100 m and a ray or more.
        gate = int(rng.integers(20, 290))
        rays = max(1, round(500 / (gate * 100 * np.radians(1.0))))
        index = np.sort(
            ((rng.integers(360) + np.arange(rays))[:, np.newaxis] % 360 * 300 + gate + np.arange(5)).ravel()
        )
        value = np.full(index.size, 7, dtype=np.uint8)
        window = gridder.window(index)
        assert window is not None
        most = gridder.fill(index, value, window, method="maximum")
        assert most.max() == 7
        lost += not gridder.fill(index, value, window, method="nearest").any()
    assert lost > 20


def test_maximum_is_within_half_a_spacing() -> None:
    rng = np.random.default_rng(5)
    azimuth = azimuths()
    field = np.where(rng.uniform(size=(360, 300)) < 0.02, rng.integers(1, 100, (360, 300)), 0).astype(np.uint8)
    got = SweepGridder(BEAM, azimuth, GRID).fill(*sparse(field), WHOLE, method="maximum")
    node_azimuth, distance = node_positions()
    ground = ground_range_m(BEAM.range_start_m + BEAM.range_step_m * np.arange(300), BEAM.elevation_deg)
    half = 0.01 * 110_574 / 2
    for row, column in ((20, 30), (30, 20), (27, 35), (40, 40), (33, 33)):
        along = np.abs(ground - distance[row, column]) <= half + 100
        angle = np.abs((azimuth - node_azimuth[row, column] + 180) % 360 - 180)
        across = np.radians(angle) * distance[row, column] <= half + np.radians(1.1) * distance[row, column]
        assert got[row, column] <= field[np.ix_(across, along)].max()
        sure = np.radians(angle) * distance[row, column] <= half - np.radians(1.1) * distance[row, column]
        inner = np.abs(ground - distance[row, column]) <= half - 100
        assert got[row, column] >= field[np.ix_(sure, inner)].max(initial=0)


def test_the_window_holds_all_that_the_gates_reach() -> None:
    gridder = SweepGridder(BEAM, azimuths(), GRID)
    rng = np.random.default_rng(2)
    for first_ray in (0, 85, 170, 265, 355):
        field = np.zeros((360, 300), dtype=np.uint8)
        rays = (first_ray + np.arange(12)) % 360
        field[np.ix_(rays, np.arange(100, 160))] = rng.integers(1, 9, (12, 60))
        index, values = sparse(field)
        window = gridder.window(index)
        assert window is not None
        part = np.zeros(GRID.shape, dtype=np.uint8)
        part[window] = gridder.fill(index, values, window, method="maximum")
        np.testing.assert_array_equal(part, gridder.fill(index, values, WHOLE, method="maximum"))
        assert part[window].size < part.size / 3
    assert gridder.window(np.zeros(0, dtype=np.intp)) is None


def test_rays_meet_over_north_and_gaps_are_not_observed() -> None:
    full = SweepGridder(BEAM, azimuths(), GRID)
    node_azimuth, distance = node_positions()
    near = (distance > 2000) & (distance < 29_000)
    assert full.observed()[near].all()
    cut = SweepGridder(BEAM, azimuths()[40:], GRID)
    gap = near & (node_azimuth > 3) & (node_azimuth < 37)
    assert not cut.observed()[gap].any()
    assert cut.observed()[near & (node_azimuth > 45)].all()
    field = np.ones((320, 300), dtype=np.uint8)
    assert not cut.fill(*sparse(field), WHOLE, method="nearest")[gap].any()


def test_a_grid_across_the_date_line() -> None:
    beam = Beam(-18.0, 179.9, 10.0, 1.0, 50.0, 100.0, 300)
    gridder = SweepGridder(beam, azimuths(), grid_around(-18.0, 179.9, 30_000, 0.01))
    index = np.array([90 * 300 + 250])
    window = gridder.window(index)
    assert window is not None
    filled = gridder.fill(index, np.array([1], dtype=np.uint8), window, method="maximum")
    assert filled.any()


def product(
    *sweeps: tuple[float, dict[str, NDArray[Any]]], mesh: NDArray[Any] | None = None, site: Site = SITE
) -> RadarProduct:
    made = []
    for number, (angle, fields) in enumerate(sweeps):
        index = np.flatnonzero(np.any([np.nan_to_num(field) > 0 for field in fields.values()], axis=0))
        values = {name: field.ravel()[index] for name, field in fields.items()}
        made.append(
            SweepProduct(number, angle, TIME, azimuths(first=0.5), np.full(360, angle), 50.0, 100.0, 300, index, values)
        )
    columns = None
    if mesh is not None:
        index = np.flatnonzero(mesh)
        columns = ColumnProduct(0, index, {"MESH": mesh.ravel()[index]}, 0.0, 30_000.0, "blend", len(made))
    return RadarProduct("hail", site, TIME, tuple(made), columns, {"sounding": "none"})


def block(value: float, dtype: Any = np.uint8, gates: slice = slice(150, 200)) -> NDArray[Any]:
    field = np.zeros((360, 300), dtype=dtype)
    field[80:100, gates] = value
    return field


def test_sweeps_of_a_volume_are_joined() -> None:
    low = {
        "hydrometeor_class": block(2),
        "hail_class": block(1),
        "hail_size_class": block(1),
        "hail_size": block(5.0, float),
    }
    high = {
        "hydrometeor_class": block(9),
        "hail_class": block(2),
        "hail_size_class": block(3),
        "hail_size": block(50.0, float),
    }
    hail = grid_product(product((4.0, high), (1.0, low)), GridOptions(spacing_deg=0.01))
    inside = hail.fields["hail_class"] > 0
    assert inside.any()
    assert set(np.unique(hail.fields["hail_class"][inside])) <= {1, 2, 3}
    assert (hail.fields["hail_class"] == 3).sum() > 0.7 * inside.sum()
    core = hail.fields["hail_class"] == 3
    assert (hail.fields["hail_size"][core] == 50.0).all()
    assert set(np.unique(hail.fields["hydrometeor_class"])) == {NOT_OBSERVED, 0, 2, 9}
    assert (hail.fields["hydrometeor_class"] == 2).sum() > (hail.fields["hydrometeor_class"] == 9).sum()
    lowest = hail.fields["hail_height"][core]
    assert lowest.min() > 400
    assert lowest.max() < 700
    corner = (0, 0)
    assert hail.fields["hail_class"][corner] == NOT_OBSERVED
    assert hail.fields["beam_height"][corner] == NO_HEIGHT_M


def test_mesh_counts_only_where_there_is_hail() -> None:
    mesh = block(40.0, np.float32, slice(150, 260))
    hail = grid_product(product((1.0, {"hail_class": block(3)}), mesh=mesh), GridOptions(spacing_deg=0.01))
    assert (hail.fields["mesh"] > 0).sum() > 1.5 * (hail.fields["hail_size"] > 0).sum() > 0
    assert not (hail.fields["hail_size"][hail.fields["hail_class"] <= 0] > 0).any()
    assert hail.sources["mesh_method"] == "blend"


def test_a_band_without_sizes_has_none() -> None:
    fields = {"hail_class": block(3), "hail_size_class": block(0), "hail_size": np.full((360, 300), np.nan)}
    hail = grid_product(product((1.0, fields)))
    assert "hail_size" not in hail.fields
    assert (hail.fields["hail_class"] == 3).any()


def test_range_is_limited() -> None:
    near = grid_product(product((1.0, {"hail_class": block(3)})), GridOptions(max_range_m=10_000))
    assert not (near.fields["hail_class"] > 0).any()
    far = grid_product(product((1.0, {"hail_class": block(3)})))
    assert far.grid.nlat > 2 * near.grid.nlat
    with pytest.raises(InputError, match="no sweep"):
        grid_product(product())
