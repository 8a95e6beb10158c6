"""Rain rate and reflectivity: power laws ``Z = a R**b`` with Z in mm^6 m^-3 and R in mm/h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError

#: Value where it does not rain. It is data ("no echo here"), not missing, and below anything drawn or contoured.
NO_ECHO_DBZ = -10.0


@dataclass(frozen=True)
class ZRelation:
    """``Z = a R**b``.

    Raises
    ------
    InputError
        If ``a`` or ``b`` is not a positive finite number.
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.a) and np.isfinite(self.b) and self.a > 0 and self.b > 0):
            raise InputError(f"the Z-R relation Z = {self.a:g} R^{self.b:g}", expected="positive a and b")

    def __str__(self) -> str:
        return f"Z = {self.a:g} R^{self.b:g}"

    def dbz(self, rain_rate: NDArray[np.floating[Any]], *, floor: float = NO_ECHO_DBZ) -> NDArray[np.float32]:
        """Return reflectivity.

        Parameters
        ----------
        rain_rate
            mm/h, any shape; NaN stays NaN.
        floor
            dBZ where it does not rain, and the minimum of all values.

        Returns
        -------
        numpy.ndarray
            dBZ, float32, the shape of ``rain_rate``.

        Examples
        --------
        >>> import numpy as np
        >>> print(WSR88D_CONVECTIVE.dbz(np.array([0.0, 1.0, 103.8])).round(1))
        [-10.   24.8  53. ]
        """
        # The smallest rain rate above the floor keeps the logarithm finite.
        least = (10.0 ** (floor / 10.0) / self.a) ** (1.0 / self.b)
        result: NDArray[np.float32] = np.maximum(rain_rate, np.float32(least), dtype=np.float32)
        np.log10(result, out=result)
        result *= np.float32(10.0 * self.b)
        result += np.float32(10.0 * np.log10(self.a))
        np.maximum(result, np.float32(floor), out=result)
        return result

    def rain_rate(self, dbz: NDArray[np.floating[Any]], *, floor: float = NO_ECHO_DBZ) -> NDArray[np.float32]:
        """Return rain rate, mm/h, float32; 0 at ``floor`` and below, NaN where ``dbz`` is NaN.

        Examples
        --------
        >>> import numpy as np
        >>> print(WSR88D_CONVECTIVE.rain_rate(np.array([-10.0, 40.0, 53.0])).round(1))
        [  0.   12.2 103.8]
        """
        values = np.asarray(dbz, dtype=np.float32)
        rate = (10.0 ** (values / np.float32(10.0)) / np.float32(self.a)) ** np.float32(1.0 / self.b)
        return np.where(values <= floor, np.float32(0.0), rate).astype(np.float32)


#: The convective relation of the WSR-88D (Fulton et al. 1998, Weather and Forecasting 13, 377-395, eq. 1) and
#: of MRMS (Zhang et al. 2016, BAMS 97, 621-638), whose hail cap of 53 dBZ is 103.8 mm/h by it.
WSR88D_CONVECTIVE = ZRelation(300.0, 1.4)
#: MeteoSwiss derives rain with this one (Germann et al. 2006, QJRMS 132, 1669-1692).
METEOSWISS = ZRelation(316.0, 1.5)
