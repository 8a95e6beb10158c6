"""Hydrometeor classes: against the formula written out, and what is not classified."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.hail.hydroclass import classify
from dynamo.radar.hail.hydroclass_tables import CLASSES, HAIL, TABLES, WEIGHTS, Variable

_ORDER: tuple[Variable, ...] = ("zdr", "kdp", "rhohv")


def _plain(values: dict[Variable, float], band: str) -> int:
    """The scheme in words: weighted mean of polarimetric memberships, times those of temperature and reflectivity."""
    scores = []
    for number in range(len(CLASSES)):

        def member(name: Variable, number: int = number) -> float:
            m, a, b = TABLES[band][name][number]
            return 1.0 / (1.0 + (((values[name] - m) / a) ** 2) ** b)

        used = [name for name in _ORDER if name in values]
        score = sum(WEIGHTS[name] * member(name) for name in used) / sum(WEIGHTS[name] for name in used)
        scores.append(score * member("dbz") * (member("temperature") if "temperature" in values else 1.0))
    return int(np.argmax(scores)) + 1


def _gates(count: int, seed: int = 3) -> dict[Variable, NDArray[Any]]:
    random = np.random.default_rng(seed)
    return {
        "dbz": random.uniform(0, 70, count).astype(np.float32),
        "zdr": random.uniform(-2, 6, count).astype(np.float32),
        "rhohv": random.uniform(0.7, 1.0, count).astype(np.float32),
        "temperature": random.uniform(-40, 35, count).astype(np.float32),
        "kdp": random.uniform(-1, 6, count).astype(np.float32),
    }


@pytest.mark.parametrize("band", ["S", "C", "X"])
@pytest.mark.parametrize("with_kdp", [False, True])
def test_classes_are_those_of_the_formula(band: str, with_kdp: bool) -> None:
    gates = _gates(400)
    if not with_kdp:
        del gates["kdp"]
    found = classify(gates["dbz"], gates["zdr"], gates["rhohv"], gates["temperature"], band=band, kdp=gates.get("kdp"))
    expected = [_plain({name: float(data[i]) for name, data in gates.items()}, band) for i in range(400)]
    # In double precision throughout a tie may fall otherwise; none does here.
    assert found.tolist() == expected


def test_hail_and_rain_are_told_apart() -> None:
    found = classify(
        np.array([60.0, 45.0]), np.array([0.0, 2.0]), np.array([0.93, 0.99]), np.array([20.0, 20.0]), band="S"
    )
    assert [CLASSES[number - 1] for number in found] == ["hail", "rain"]
    assert found[0] == HAIL


def test_a_gate_with_a_missing_value_is_not_classified() -> None:
    nan = np.nan
    found = classify(
        np.array([nan, 50.0, 50.0, 50.0]),
        np.array([1.0, nan, 1.0, 1.0]),
        np.array([0.99, 0.99, nan, 0.99]),
        np.array([5.0, 5.0, 5.0, nan]),
        band="C",
    )
    assert found.tolist() == [0, 0, 0, 0]


def test_a_gate_without_kdp_is_classified_without_it() -> None:
    gates = _gates(50)
    holes = gates["kdp"].copy()
    holes[::2] = np.nan
    args = (gates["dbz"], gates["zdr"], gates["rhohv"], gates["temperature"])
    mixed = classify(*args, band="X", kdp=holes)
    assert (mixed[1::2] == classify(*args, band="X", kdp=gates["kdp"])[1::2]).all()
    assert (mixed[::2] == classify(*args, band="X")[::2]).all()


def test_more_gates_than_a_chunk_and_none_at_all() -> None:
    gates = _gates(20_000)
    args = [gates[name] for name in ("dbz", "zdr", "rhohv", "temperature")]
    whole = classify(args[0], args[1], args[2], args[3], band="S")
    tail = classify(*(data[-5:] for data in args), band="S")
    assert (whole[-5:] == tail).all()
    nothing = np.zeros(0)
    assert classify(nothing, nothing, nothing, nothing, band="S").size == 0


def test_without_temperature() -> None:
    gates = _gates(100)
    found = classify(gates["dbz"], gates["zdr"], gates["rhohv"], None, band="S")
    del gates["temperature"], gates["kdp"]
    assert found.tolist() == [_plain({name: float(data[i]) for name, data in gates.items()}, "S") for i in range(100)]


def test_far_out_values_give_a_class_and_no_warning() -> None:
    with np.errstate(all="raise"):
        found = classify(
            np.array([-60.0, 95.0]), np.array([-30.0, 30.0]), np.array([0.0, 1.2]), np.array([-90.0, 60.0]), band="X"
        )
    assert ((found >= 1) & (found <= 10)).all()


def test_unknown_band_and_unequal_arrays_are_refused() -> None:
    one = np.ones(1)
    with pytest.raises(InputError, match="band 'L'"):
        classify(one, one, one, one, band="L")
    with pytest.raises(InputError, match="shapes"):
        classify(one, np.ones(2), one, one, band="S")
    with pytest.raises(InputError, match="KDP"):
        classify(one, one, one, one, band="S", kdp=np.ones(2))
