"""Composites of several radars: which view counts, how old it is, who is missing; and the grid's file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.hail_geojson import trace_hail
from dynamo.formats.hail_grid import (
    FIELDS,
    NO_AGE_S,
    NOT_OBSERVED,
    HailGrid,
    RadarView,
    composite_name,
    grid_name,
    read_hail_grid,
    write_hail_grid,
)
from dynamo.processing.hail_composite import astray, composite_grids
from dynamo.radar.compositing import union_grid
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.gridding import grid_around

TIME = datetime(2019, 6, 10, 0, 20, tzinfo=UTC)


def view(
    name: str,
    lat: float,
    lon: float,
    hail: NDArray[Any] | float = 0,
    *,
    size: float | None = None,
    seconds: float = 0,
    reach_m: float = 20_000,
    spacing: float = 0.01,
) -> HailGrid:
    """Return a radar's grid with the same hail everywhere, or an array of it."""
    grid = grid_around(lat, lon, reach_m, spacing)
    classes = np.broadcast_to(np.asarray(hail, dtype=np.int8), grid.shape).copy()
    fields: dict[str, NDArray[Any]] = {
        "hydrometeor_class": np.where(classes > 0, 9, 2).astype(np.int8),
        "hail_class": classes,
        "beam_height": np.full(grid.shape, 500, dtype=np.int16),
    }
    if size is not None:
        fields["hail_size"] = np.where(classes > 0, size, 0).astype(np.float32)
    time = TIME + timedelta(seconds=seconds)
    return HailGrid("radar", grid, time, (RadarView(name, lat, lon, 200.0, time),), fields, flags=("a remark",))


def at(hail: HailGrid, name: str, lat: float, lon: float) -> float:
    row = round((lat - float(hail.grid.latitudes[0])) / hail.grid.dlat_deg)
    column = round((lon - hail.grid.west_deg) / hail.grid.dlon_deg)
    return float(hail.fields[name][row, column])


WEST, EAST = (33.0, -97.1), (33.0, -96.9)


def test_maximum_takes_the_largest_hail() -> None:
    both = composite_grids([view("W", *WEST, 0), view("E", *EAST, 3, seconds=-25)])
    near_west = (33.0, -97.05)
    assert at(both, "hail_class", *near_west) == 3
    assert both.radars[int(at(both, "radar", *near_west))].name == "E"
    assert at(both, "age", *near_west) == 25
    assert at(both, "hydrometeor_class", *near_west) == 9
    assert both.time == TIME


def test_nearest_takes_the_nearest_radar_even_without_hail() -> None:
    both = composite_grids([view("W", *WEST, 0), view("E", *EAST, 3)], method="nearest")
    assert at(both, "hail_class", 33.0, -97.05) == 0
    assert at(both, "hail_class", 33.0, -96.95) == 3
    # Only one covers the far side.
    assert at(both, "hail_class", 33.0, -97.25) == 0


def test_size_comes_before_evidence() -> None:
    both = composite_grids([view("W", *WEST, 1, size=50.0), view("E", *EAST, 3, size=5.0)])
    assert at(both, "hail_size", 33.0, -97.0) == 50.0
    assert at(both, "hail_class", 33.0, -97.0) == 1
    mixed = composite_grids([view("W", *WEST, 1, size=5.0), view("E", *EAST, 3)])
    assert at(mixed, "hail_size", 33.0, -97.0) == 5.0


def test_what_no_radar_covers_is_not_observed() -> None:
    far = composite_grids([view("A", 33.0, -97.0), view("B", 34.0, -97.0)])
    assert at(far, "hail_class", 33.5, -97.0) == NOT_OBSERVED
    assert at(far, "radar", 33.5, -97.0) == NOT_OBSERVED
    assert at(far, "age", 33.5, -97.0) == NO_AGE_S
    assert at(far, "hail_class", 34.1, -97.0) == 0
    # A node that a radar's own grid holds but its beam does not reach.
    grid = view("A", 33.0, -97.0, 3)
    grid.fields["hail_class"][:10] = NOT_OBSERVED
    assert (composite_grids([grid]).fields["hail_class"][:10] == NOT_OBSERVED).all()


def test_missing_old_and_future_radars_are_told() -> None:
    views = [view("A", *WEST), view("old", *EAST, 3, seconds=-400), view("ahead", *EAST, 3, seconds=4000)]
    made = composite_grids(views, expected=["A", "old", "ahead", "silent"], time=TIME)
    assert made.missing == ("old", "ahead", "silent")
    assert [radar.name for radar in made.radars] == ["A"]
    assert sum("more than 300 s" in flag for flag in made.flags) == 2
    assert "A: a remark" in made.flags
    assert not (made.fields["hail_class"] > 0).any()
    with pytest.raises(InputError, match="no grid within"):
        composite_grids(views[1:], time=TIME)


def test_a_radar_at_a_wrong_place_is_left_out_and_told() -> None:
    lost = view("lost", -33.0, 97.0, 3, seconds=5)
    good = [view("W", *WEST, 3), view("E", *EAST, 0)]
    made = composite_grids([lost, *good], expected=["W", "E", "lost"])
    assert {radar.name for radar in made.radars} == {"W", "E"}
    assert made.missing == ("lost",)
    assert [flag for flag in made.flags if flag.startswith("lost")] == [
        "lost: says to be at -33.000 97.000, more than 1000 km from the others: left out"
    ]
    assert np.array_equal(made.fields["hail_class"], composite_grids(good).fields["hail_class"])
    # Two with the same wrong place are no network against three; of two radars nobody can say which is wrong.
    null = [view(name, 0.0, 0.0) for name in "NO"]
    assert set(astray([*null, *good, view("S", 32.9, -97.0)])) == set(null)
    assert astray([lost, good[0]]) == []
    with pytest.raises(InputError, match="nodes"):
        composite_grids([lost, good[0]])


def test_a_wide_network_and_the_antimeridian_hold_together() -> None:
    chain = [view(name, 40.0, -120.0 + 10 * number) for number, name in enumerate("ABCDE")]
    assert astray([chain[0], chain[4], chain[2], chain[1], chain[3]]) == []
    assert astray([view("A", -17.0, 179.5), view("B", -17.0, -179.5), view("C", -17.5, 178.0)]) == []


def test_the_newest_view_of_a_radar_counts_first() -> None:
    made = composite_grids([view("A", *WEST, 1, seconds=-40), view("A", *WEST, 1)], time=TIME + timedelta(seconds=5))
    assert set(np.unique(made.fields["age"])) == {5}
    assert len(made.radars) == 1
    assert made.radars[0].time == TIME


def test_grids_of_other_spacings_are_taken_by_the_nearest_node() -> None:
    coarse = view("S", 33.0, -97.0, 3, spacing=0.02)
    made = composite_grids([view("X", *EAST, 0), coarse])
    assert made.grid.dlat_deg == 0.01
    assert at(made, "hail_class", 33.0, -97.07) == 3


def test_bad_sets_are_refused() -> None:
    with pytest.raises(InputError, match="no grid"):
        composite_grids([])
    with pytest.raises(InputError, match="single radars"):
        composite_grids([composite_grids([view("A", *WEST)])])
    classes = replace(view("A", *WEST), sources={"product": "classes"})
    with pytest.raises(InputError, match="classes only"):
        composite_grids([classes])
    with pytest.raises(InputError, match="hydrometeor classes only"):
        trace_hail(classes)
    with pytest.raises(InputError, match="one network"):
        union_grid([LatLonGrid(50, -120, 0.005, 0.005, 100, 100), LatLonGrid(20, 60, 0.005, 0.005, 100, 100)])


@pytest.mark.parametrize("spacing", [0.01, 0.0005])
def test_the_file_gives_back_what_was_written(tmp_path: Path, spacing: float) -> None:
    made = composite_grids(
        [view("W", *WEST, 1, size=25.0, spacing=spacing, reach_m=15_000), view("E", *EAST, spacing=spacing)],
        expected=["W", "E", "missing"],
    )
    path = tmp_path / composite_name(made.time)
    write_hail_grid(path, made)
    found = read_hail_grid(path)
    assert (found.kind, found.grid, found.time, found.radars) == ("composite", made.grid, made.time, made.radars)
    assert (found.missing, found.flags, dict(found.sources)) == (made.missing, made.flags, dict(made.sources))
    assert found.fields.keys() == made.fields.keys()
    for name, data in made.fields.items():
        np.testing.assert_array_equal(found.fields[name], data)


def test_the_file_is_cf(tmp_path: Path) -> None:
    path = tmp_path / grid_name("XADD", TIME)
    write_hail_grid(path, view("XADD", *WEST, 1, size=25.0))
    assert path.name == "XADD-20190610-002000.hc.cart.netcdf"
    with netCDF4.Dataset(path) as dataset:
        assert dataset.Conventions.startswith("CF-")
        assert dataset["latitude"].standard_name == "latitude"
        assert dataset["latitude"][0] < dataset["latitude"][-1]
        assert dataset["crs"].grid_mapping_name == "latitude_longitude"
        hail = dataset["hail_class"]
        assert len(hail.flag_values) == len(hail.flag_meanings.split())
        assert hail.grid_mapping == "crs"
        for name in set(dataset.variables) & set(FIELDS):
            assert dataset[name].units


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.nc"
    write_hail_grid(path, view("A", *WEST))
    whole = path.read_bytes()
    for size in (0, 10, 500, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            read_hail_grid(path)
    path.write_bytes(whole.replace(b"hail-grid", b"hail-girl"))
    with pytest.raises(InputError, match="not a hail grid"):
        read_hail_grid(path)
    with pytest.raises(InputError, match="field"):
        write_hail_grid(path, HailGrid("radar", view("A", *WEST).grid, TIME, (), {"hail_class": np.zeros((2, 2))}))
