"""Beam geometry over a 4/3 Earth."""

from __future__ import annotations

import numpy as np
import pytest

from dynamo.radar.geometry import beam_height_m, ground_range_m, position_deg, slant_range_m


def test_height_of_a_low_beam_is_the_textbook_value() -> None:
    # r sin(e) + r^2 / (2 R): 873 m + 588 m.
    assert float(beam_height_m(100_000.0, 0.5)) == pytest.approx(1461, abs=3)


def test_height_counts_from_sea_level() -> None:
    assert float(beam_height_m(0.0, 10.0, 236.0)) == pytest.approx(236.0)
    assert float(beam_height_m(1000.0, 90.0, 100.0)) == pytest.approx(1100.0)


def test_ground_range_is_shorter_than_slant_range() -> None:
    slant = np.array([1e3, 1e4, 1e5])
    ground = ground_range_m(slant, 19.5)
    assert (ground < slant).all()
    assert ground[0] == pytest.approx(1000 * np.cos(np.deg2rad(19.5)), rel=1e-3)


def test_slant_range_inverts_ground_range() -> None:
    slant = np.linspace(250.0, 460_000.0, 500)
    for elevation in (0.0, 0.5, 19.5, 60.0):
        assert np.allclose(slant_range_m(ground_range_m(slant, elevation), elevation), slant, rtol=1e-9)


def test_a_vertical_beam_never_gets_away() -> None:
    assert np.isnan(slant_range_m(1000.0, 90.0))


def test_position_goes_the_right_way() -> None:
    latitude, longitude = position_deg(32.0, -97.0, np.array([0.0, 90.0, 180.0, 270.0]), 100_000.0)
    assert latitude[0] == pytest.approx(32.899, abs=1e-3)
    assert latitude[2] == pytest.approx(31.101, abs=1e-3)
    assert longitude[1] == pytest.approx(-95.940, abs=1e-3)
    assert longitude[3] == pytest.approx(-98.060, abs=1e-3)


def test_position_crosses_the_date_line() -> None:
    _, longitude = position_deg(0.0, 179.9, 90.0, 50_000.0)
    assert -180.0 <= float(longitude) < -179.6
