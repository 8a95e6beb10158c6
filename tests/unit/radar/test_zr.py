"""Rain rate and reflectivity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo.errors import InputError
from dynamo.radar.zr import METEOSWISS, NO_ECHO_DBZ, WSR88D_CONVECTIVE, ZRelation

MARSHALL_PALMER = ZRelation(200.0, 1.6)


@pytest.mark.parametrize(
    ("relation", "rate_mm_h", "dbz"),
    [
        (WSR88D_CONVECTIVE, 1.0, 24.771),
        (WSR88D_CONVECTIVE, 103.8, 53.0),  # the hail cap of the WSR-88D
        (MARSHALL_PALMER, 1.0, 23.010),
        (MARSHALL_PALMER, 10.0, 39.010),
        (METEOSWISS, 10.0, 39.997),
    ],
)
def test_known_values(relation: ZRelation, rate_mm_h: float, dbz: float) -> None:
    assert relation.dbz(np.array([rate_mm_h]))[0] == pytest.approx(dbz, abs=0.01)
    assert relation.rain_rate(np.array([dbz]))[0] == pytest.approx(rate_mm_h, rel=0.002)


def test_no_rain_is_data_and_missing_stays_missing() -> None:
    dbz = WSR88D_CONVECTIVE.dbz(np.array([[0.0, 1e-9], [np.nan, 5.0]]))
    assert dbz.dtype == np.float32
    assert dbz[0].tolist() == [NO_ECHO_DBZ, NO_ECHO_DBZ]
    assert np.isnan(dbz[1, 0])
    assert dbz[1, 1] > 30


def test_floor_is_the_least_value() -> None:
    dbz = WSR88D_CONVECTIVE.dbz(np.array([0.0, 0.1, 1.0]), floor=20.0)
    assert dbz.tolist() == pytest.approx([20.0, 20.0, 24.771], abs=0.001)
    assert WSR88D_CONVECTIVE.rain_rate(np.array([NO_ECHO_DBZ, -40.0])).tolist() == [0.0, 0.0]


@given(rate=st.floats(0.001, 300.0), a=st.floats(50.0, 500.0), b=st.floats(1.0, 2.0))
def test_there_and_back(rate: float, a: float, b: float) -> None:
    relation = ZRelation(a, b)
    dbz = relation.dbz(np.array([rate]))
    if 10 * np.log10(a * rate**b) > NO_ECHO_DBZ + 0.001:
        assert relation.rain_rate(dbz)[0] == pytest.approx(rate, rel=1e-4)
    else:
        assert dbz[0] == pytest.approx(NO_ECHO_DBZ, abs=0.01)


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, 1.4), (300.0, 0.0), (-1.0, 1.0), (float("nan"), 1.4), (300.0, float("inf"))]
)
def test_impossible_relations(a: float, b: float) -> None:
    with pytest.raises(InputError, match="positive"):
        ZRelation(a, b)
