"""Check the values of products that are read back against physical limits: outside them, the file is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.radar.hail.hsda import SIZES
from dynamo.radar.hail.hydroclass_tables import CLASSES
from dynamo.radar.hail.sweep import HAIL_CLASSES
from dynamo.radar.limits import HAIL_SIZE_MM, MOMENTS

#: Of radars and beams above sea level, meters.
HEIGHT_M = (-500.0, 32_767.0)
#: Smallest and largest value of each variable; -1 marks nodes without a radar.
LIMITS: Mapping[str, tuple[float, float]] = {
    "hydrometeor_class": (-1, len(CLASSES)),
    "hail_class": (-1, len(HAIL_CLASSES)),
    "hail_size_class": (-1, len(SIZES)),
    "hail_size": HAIL_SIZE_MM,
    "mesh": HAIL_SIZE_MM,
    "MESH": HAIL_SIZE_MM,
    "reflectivity": MOMENTS["DBZH"],
    "SHI": (0.0, 1e6),
    "POSH": (0.0, 100.0),
    "beam_height": HEIGHT_M,
    "hail_height": HEIGHT_M,
}


def check_values(name: str, values: NDArray[Any], *, missing: float | None = None) -> None:
    """Check a variable of `LIMITS`; others pass.

    Parameters
    ----------
    name, values
        The variable.
    missing
        A value without meaning; NaN is another.

    Raises
    ------
    InputError
        If a value is impossible.
    """
    if name not in LIMITS or not values.size:
        return
    low, high = LIMITS[name]
    bad = (values < low) | (values > high)
    if missing is not None:
        bad &= values != missing
    if bad.any():
        worst = values[bad].reshape(-1)[0]
        raise InputError(
            f"{np.count_nonzero(bad)} impossible values of {name}, such as {worst:g}", expected=f"{low:g} to {high:g}"
        )
