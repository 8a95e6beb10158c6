"""Numbers that several modules record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamo.contract import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRIDS = Number("grids", "Grids that were read.")
IMPLAUSIBLE = Number("implausible_values", "Physically impossible values that were left out.")
CHECK_FLAG = Number(
    "check_flag",
    "Worst QARTOD flag of the job's data by the checks' own limits: 1 good, 2 not evaluated, 3 suspect, 4 bad, "
    "9 missing.",
)
MAX_DBZ = Number("max_dbz", "Largest reflectivity of all grids; none without any value.", unit="dBZ")


def largest(values: NDArray[Any]) -> float:
    """Return the largest value that is not NaN; NaN without any."""
    import numpy as np

    return float(np.fmax.reduce(values, axis=None))
