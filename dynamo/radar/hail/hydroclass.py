"""Hydrometeor classes from ZH, ZDR, KDP, RHOHV and temperature by fuzzy logic, at selected gates only.

The scheme is the "hybrid" one of Dolan and Rutledge (2009): the weighted mean of the memberships of the polarimetric
variables is multiplied by the memberships of temperature and of reflectivity; the class with the highest score wins,
the first one where scores are equal.

Scores are computed in single precision, only at the selected gates. If two scores are closer than single precision can
resolve, the gate is recomputed as in CSU_RadarTools (memberships in double, stored in single), so that the classes are
those of that library at every gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.hail.hydroclass_tables import CLASSES, TABLES, WEIGHTS, Beta, Variable

#: Gates per batch: the dozen temporary arrays stay in the CPU cache.
_CHUNK = 8192
# Relative error of a single-precision score: 2 b (at most 120) times a few rounding errors of 6e-8, with a reserve.
_CLOSE = np.float32(1 - 1e-3)
# Below this a product of memberships may have lost digits to underflow.
_TINY = np.float32(1e-25)

_FACTORS: tuple[Variable, ...] = ("temperature", "dbz")
_Data = Mapping[Variable, NDArray[np.float32]]


def classify(
    dbz: NDArray[Any],
    zdr: NDArray[Any],
    rhohv: NDArray[Any],
    temperature_c: NDArray[Any] | None,
    *,
    band: str,
    kdp: NDArray[Any] | None = None,
) -> NDArray[np.uint8]:
    """Return the hydrometeor class of each gate.

    Parameters
    ----------
    dbz, zdr, rhohv
        Reflectivity (dBZ), differential reflectivity (dB) and correlation (1) of the gates, one-dimensional.
    temperature_c
        Temperature at the gates, degrees Celsius; without it, the classes of ice and rain are guesses.
    band
        ``S``, ``C`` or ``X``.
    kdp
        Specific differential phase, degrees km-1; a gate where it is NaN is classified without it.

    Returns
    -------
    numpy.ndarray
        1 to 10 as in `dynamo.radar.hail.hydroclass_tables.CLASSES`; 0 where a needed value is NaN.

    Raises
    ------
    InputError
        If the band has no table or the arrays do not match.
    """
    if band not in TABLES:
        raise InputError(f"no hydrometeor classes at band {band!r:.20}", expected=", ".join(TABLES))
    given: dict[Variable, NDArray[np.float32]] = {"dbz": _single(dbz), "zdr": _single(zdr), "rhohv": _single(rhohv)}
    if temperature_c is not None:
        given["temperature"] = _single(temperature_c)
    shape = given["dbz"].shape
    if len(shape) != 1 or any(data.shape != shape for data in given.values()):
        raise InputError(
            "the variables of the gates have shapes " + ", ".join(str(data.shape) for data in given.values()),
            expected="one dimension, all the same",
        )
    valid = np.ones(shape, dtype=bool)
    for data in given.values():
        valid &= np.isfinite(data)
    if kdp is None:
        return _subset(given, valid, band)
    phase = _single(kdp)
    if phase.shape != shape:
        raise InputError(f"KDP has shape {phase.shape}", expected=f"{shape}")
    known = np.isfinite(phase)
    classes = _subset({**given, "kdp": phase}, valid & known, band)
    if not known.all():
        classes |= _subset(given, valid & ~known, band)
    return classes


def _single(data: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(data, dtype=np.float32)


def _subset(data: _Data, chosen: NDArray[np.bool_], band: str) -> NDArray[np.uint8]:
    classes = np.zeros(chosen.size, dtype=np.uint8)
    where = np.flatnonzero(chosen)
    for start in range(0, where.size, _CHUNK):
        part = where[start : start + _CHUNK]
        chunk: dict[Variable, NDArray[np.float32]] = {name: values[part] for name, values in data.items()}
        classes[part] = _chunk(chunk, band)
    return classes


def _chunk(data: _Data, band: str) -> NDArray[np.uint8]:
    """Classify a few thousand gates in single precision, and close calls again in double."""
    tables = TABLES[band]
    count = data["dbz"].size
    polarimetric = [name for name in WEIGHTS if name in data]
    # Equal beta functions (the same temperatures for several classes) are computed once.
    done: dict[tuple[Variable, Beta], NDArray[np.float32]] = {}
    best = np.zeros(count, dtype=np.float32)
    second = np.zeros(count, dtype=np.float32)
    classes = np.ones(count, dtype=np.uint8)
    with np.errstate(over="ignore", under="ignore"):
        for number in range(len(CLASSES)):
            score = np.zeros(count, dtype=np.float32)
            for name in polarimetric:
                membership = _member(data[name], tables[name][number])
                membership *= np.float32(WEIGHTS[name])
                score += membership
            for name in _FACTORS:
                if name in data:
                    key = (name, tables[name][number])
                    if key not in done:
                        done[key] = _member(data[name], key[1])
                    score *= done[key]
            higher = score > best
            np.maximum(second, np.minimum(score, best), out=second)
            np.maximum(best, score, out=best)
            classes[higher] = number + 1
    close = np.flatnonzero((second >= best * _CLOSE) | (best < _TINY))
    if close.size:
        classes[close] = _exact({name: values[close] for name, values in data.items()}, band)
    return classes


def _member(x: NDArray[np.float32], beta: Beta) -> NDArray[np.float32]:
    """Return the membership in single precision, with the power by repeated squaring."""
    centre, width, slope = beta
    base: NDArray[np.float32] = x - np.float32(centre)
    base *= np.float32(1.0 / width)
    base *= base
    while slope & 1 == 0:
        base *= base
        slope >>= 1
    power = base.copy()
    slope >>= 1
    while slope:
        base *= base
        if slope & 1:
            power *= base
        slope >>= 1
    power += np.float32(1)
    np.reciprocal(power, out=power)
    return power


def _exact(data: _Data, band: str) -> NDArray[np.uint8]:
    """Classify in the precision of CSU_RadarTools: memberships rounded to single, products in double."""
    tables = TABLES[band]
    polarimetric = [name for name in WEIGHTS if name in data]
    total = float(sum(WEIGHTS[name] for name in polarimetric))
    scores = np.empty((len(CLASSES), data["dbz"].size), dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        for number in range(len(CLASSES)):
            mean = np.zeros(data["dbz"].size, dtype=np.float32)
            for name in polarimetric:
                mean += np.float32(WEIGHTS[name]) * _member_exact(data[name], tables[name][number])
            score = mean.astype(np.float64) / total
            for name in _FACTORS:
                if name in data:
                    score *= _member_exact(data[name], tables[name][number])
            scores[number] = score
    return np.asarray(np.argmax(scores, axis=0) + 1, dtype=np.uint8)


def _member_exact(x: NDArray[np.float32], beta: Beta) -> NDArray[np.float32]:
    centre, width, slope = beta
    scaled = (x.astype(np.float64) - centre) / width
    return np.asarray(1.0 / (1.0 + np.power(scaled * scaled, float(slope))), dtype=np.float32)
