"""What holds for any field: hail is a part of what was examined, turning the sweep turns the hail, files give back."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynamo.formats.radar_products import read_radar_product, write_radar_product
from dynamo.processing.hail import hail_product
from dynamo.radar.geometry import beam_height_m, ground_range_m, slant_range_m
from dynamo.radar.hail.mesh import matching_rays
from dynamo.radar.hail.sweep import find_hail, limits_for
from dynamo.radar.quality.screening import limits_for as quality_for
from tests.hail_cases import sweep, temperatures, volume

#: Hundreds of files.
pytestmark = pytest.mark.slow

_RAYS, _GATES = 60, 40
_seeds = st.integers(0, 2**32 - 1)


def _field(seed: int) -> dict[str, NDArray[np.float32]]:
    """Blobs of anything, with holes."""
    random = np.random.default_rng(seed)
    shape = (_RAYS, _GATES)
    coarse = random.uniform(20, 75, (_RAYS // 6, _GATES // 5))
    dbz = np.kron(coarse, np.ones((6, 5))) + random.normal(0, 2, shape)
    dbz[random.random(shape) < 0.1] = np.nan
    moments = {
        "DBZH": dbz,
        "ZDR": np.kron(random.uniform(-2, 5, coarse.shape), np.ones((6, 5))),
        "RHOHV": np.kron(random.uniform(0.5, 1.0, coarse.shape), np.ones((6, 5))),
        "VRADH": random.normal(0, 5, shape),
    }
    return {name: data.astype(np.float32) for name, data in moments.items()}


def _hail(moments: dict[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    found = find_hail(
        moments,
        band="S",
        azimuth_deg=(np.arange(_RAYS) + 0.5) * 6,
        range_m=500.0 * np.arange(1, _GATES + 1),
        elevation_deg=1.0,
        temperature_c=np.full(_GATES, 10.0),
        quality=quality_for("S"),
        limits=limits_for("S"),
    )
    assert found.counts["examined"] == found.index.size + found.removed.size
    assert (np.diff(found.index) > 0).all()
    mask = np.zeros((_RAYS, _GATES), dtype=bool)
    mask.ravel()[found.hail_index] = True
    return mask


@given(_seeds)
@settings(max_examples=60, deadline=None)
def test_hail_is_strong_echo(seed: int) -> None:
    moments = _field(seed)
    hail = _hail(moments)
    assert (moments["DBZH"][hail] >= limits_for("S").edge_dbz).all()
    assert not np.isnan(moments["ZDR"][hail]).any()


@given(_seeds, st.integers(1, _RAYS - 1))
@settings(max_examples=60, deadline=None)
def test_turning_the_sweep_turns_the_hail(seed: int, turn: int) -> None:
    moments = _field(seed)
    turned = {name: np.roll(data, turn, axis=0) for name, data in moments.items()}
    assert np.array_equal(np.roll(_hail(moments), turn, axis=0), _hail(turned))


@given(
    st.floats(-1, 60),
    st.floats(100, 460_000),
)
def test_beam_geometry_inverts_and_rises(elevation: float, slant: float) -> None:
    ground = ground_range_m(slant, elevation)
    assert np.isclose(slant_range_m(ground, elevation), slant, rtol=1e-8)
    assert beam_height_m(slant, elevation + 1) > beam_height_m(slant, elevation)


@given(st.lists(st.floats(0, 359.99), min_size=1, max_size=50, unique=True), st.floats(0, 359.99))
def test_the_matched_ray_is_the_nearest(azimuths: list[float], wanted: float) -> None:
    rays = np.sort(np.array(azimuths))
    found = int(matching_rays(np.array([wanted]), rays)[0])
    away = np.abs((rays - wanted + 180) % 360 - 180)
    if found >= 0:
        assert away[found] == away.min()
    else:
        assert away.min() > 360.0 / rays.size


@given(st.lists(st.tuples(st.floats(0, 359), st.integers(10, 230)), max_size=4))
@settings(max_examples=20, deadline=None)
def test_files_give_back_the_hail(cores: list[tuple[float, int]]) -> None:
    product = hail_product(volume(sweep(cores=tuple(cores))), temperatures())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hail.nc"
        write_radar_product(path, product)
        back = read_radar_product(path)
    assert np.array_equal(product.sweeps[0].dense("hail_class"), back.sweeps[0].dense("hail_class"))
