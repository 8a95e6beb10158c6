"""SHI, POSH and MESH: a column worked by hand, matching of rays, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.geometry import beam_height_m, ground_range_m
from dynamo.radar.hail.mesh import MESH_METHODS, Columns, PolarSweep, columns, elevations, matching_rays, posh

_ANGLES = (0.5, 2.0, 4.0, 7.0, 11.0, 16.0)


def _sweep(angle: float, dbz: float, rays: int = 360) -> PolarSweep:
    azimuth = (np.arange(rays) + 0.5) * 360.0 / rays
    field = np.full((rays, 400), np.nan, dtype=np.float32)
    # A storm in the east, 30 to 40 km away.
    east = (azimuth > 80) & (azimuth < 100)
    field[np.ix_(east, np.arange(120, 160))] = dbz
    return PolarSweep(field, azimuth, 125.0 + 250.0 * np.arange(400), angle)


def _columns(sweeps: list[PolarSweep], band: str = "S", method: str = "witt1998") -> Columns:
    return columns(sweeps, altitude_m=200.0, melting_level_m=4000.0, minus20_level_m=7000.0, band=band, method=method)


def test_a_column_by_hand() -> None:
    sweeps = [_sweep(angle, 60.0) for angle in _ANGLES]
    found = _columns(sweeps)
    ray, gate = 90, 140
    ground = float(ground_range_m(sweeps[0].range_m[gate], 0.5))
    heights, energies = [], []
    for sweep in sweeps:
        nearest = int(np.argmin(np.abs(ground_range_m(sweep.range_m, sweep.elevation_deg) - ground)))
        height = float(beam_height_m(sweep.range_m[nearest], sweep.elevation_deg, 200.0))
        heights.append(height)
        dbz = float(sweep.dbz[ray, nearest])
        energies.append(
            0.0 if np.isnan(dbz) else 5e-6 * 10 ** (0.084 * dbz) * np.clip((height - 4000.0) / 3000.0, 0, 1)
        )
    layers = np.array(
        [heights[1] - heights[0], *((np.array(heights[2:]) - heights[:-2]) / 2), heights[-1] - heights[-2]]
    )
    expected = 0.1 * float(np.sum(np.array(energies) * layers))
    at = int(np.flatnonzero(found.index == ray * 400 + gate)[0])
    assert expected > 0
    assert found.shi[at] == pytest.approx(expected, rel=1e-9)
    assert found.mesh[at] == pytest.approx(2.54 * np.sqrt(expected), rel=1e-9)
    assert found.posh[at] == pytest.approx(np.clip(29 * np.log(expected / (57.5 * 4.0 - 121)) + 50, 0, 100), rel=1e-9)


def test_rain_below_40_dbz_and_below_melting_gives_nothing() -> None:
    assert _columns([_sweep(angle, 39.0) for angle in _ANGLES]).index.size == 0
    low = [_sweep(angle, 60.0 if angle < 3 else 10.0) for angle in _ANGLES]
    assert _columns(low).index.size == 0


def test_c_band_is_corrected_upward_at_high_reflectivity() -> None:
    sweeps = [_sweep(angle, 55.0) for angle in _ANGLES]
    assert _columns(sweeps, band="C").shi.max() > 1.5 * _columns(sweeps).shi.max()


def test_the_order_of_sweeps_does_not_matter_and_repeats_are_left_out() -> None:
    sweeps = [_sweep(angle, 60.0) for angle in _ANGLES]
    straight = _columns(sweeps)
    shuffled = _columns([*sweeps[::-1], _sweep(0.5, 70.0)])
    assert shuffled.base == 5
    assert np.array_equal(shuffled.index, straight.index)
    assert np.allclose(shuffled.mesh, straight.mesh)
    assert elevations([*sweeps, _sweep(0.55, 1.0)]) == [0, 1, 2, 3, 4, 5]


def test_sweeps_of_720_and_360_rays_are_matched_by_azimuth() -> None:
    mixed = _columns([_sweep(0.5, 60.0, rays=720), *(_sweep(angle, 60.0) for angle in _ANGLES[1:])])
    rays = np.unique(mixed.index // 400)
    assert rays.min() * 0.5 == pytest.approx(80, abs=1)
    assert rays.max() * 0.5 == pytest.approx(100, abs=1)


def test_only_the_given_ranges() -> None:
    sweeps = [_sweep(angle, 60.0) for angle in _ANGLES]
    found = columns(
        sweeps,
        altitude_m=200.0,
        melting_level_m=4000.0,
        minus20_level_m=7000.0,
        band="S",
        min_range_m=35_000.0,
        max_range_m=38_000.0,
    )
    distance = ground_range_m(sweeps[0].range_m, 0.5)[found.index % 400]
    assert distance.min() >= 35_000
    assert distance.max() <= 38_000


def test_matching_rays_over_the_north_and_in_gaps() -> None:
    base = np.array([0.2, 90.0, 180.0, 359.9])
    other: NDArray[np.float64] = np.arange(0, 300, 1.0)
    assert matching_rays(base, other).tolist() == [0, 90, 180, 0]
    assert matching_rays(np.array([330.0]), other).tolist() == [-1]


@pytest.mark.parametrize("method", sorted(MESH_METHODS))
def test_methods_grow_with_shi(method: str) -> None:
    sizes = MESH_METHODS[method](np.array([1.0, 10.0, 100.0, 430.0, 2000.0]))
    assert (np.diff(sizes) > 0).all()
    assert 10 < sizes[2] < 70


def test_the_threshold_of_posh_stays_positive_in_winter() -> None:
    assert posh(np.array([20.0]), 500.0)[0] == pytest.approx(50.0)
    assert posh(np.array([0.0]), 4000.0)[0] == 0.0


def test_refusals() -> None:
    sweeps = [_sweep(angle, 60.0) for angle in _ANGLES]
    with pytest.raises(InputError, match="band 'X'"):
        _columns(sweeps, band="X")
    with pytest.raises(InputError, match="unknown MESH"):
        _columns(sweeps, method="guess")
    with pytest.raises(InputError, match="4 elevations"):
        _columns(sweeps[:4])
    with pytest.raises(InputError, match="not above"):
        columns(sweeps, altitude_m=0, melting_level_m=7000, minus20_level_m=4000, band="S")
