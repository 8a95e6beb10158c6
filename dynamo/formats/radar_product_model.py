"""Products on a radar's polar grid: the gates of sweeps that have values, and the columns of a volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.radar.model import Site
from dynamo.radar.hail.hsda import SIZES
from dynamo.radar.hail.hydroclass_tables import CLASSES
from dynamo.radar.hail.sweep import HAIL_CLASSES

KINDS = ("classes", "hail")
#: No product has more gates than this; a file that claims more is broken or hostile.
MAX_GATES = 100_000_000


@dataclass(frozen=True)
class Quantity:
    """How a variable is stored: type, fill value and CF attributes."""

    dtype: str
    fill: float
    attributes: Mapping[str, object]


def _flags(names: tuple[str, ...], long_name: str, none: str) -> Quantity:
    values = np.arange(len(names) + 1, dtype=np.int8)
    return Quantity(
        "i1",
        0,
        {"long_name": long_name, "flag_values": values, "flag_meanings": " ".join((none, *names)), "units": "1"},
    )


#: The variables of gates and of columns.
QUANTITIES: Mapping[str, Quantity] = {
    "hydrometeor_class": _flags(CLASSES, "hydrometeor class", "not_classified"),
    "hail_class": _flags(HAIL_CLASSES, "hail", "no_hail"),
    "hail_size_class": _flags(SIZES, "hail size class (HSDA)", "not_told"),
    "hail_size": Quantity("f4", np.nan, {"long_name": "hail diameter, at least (lower bound of class)", "units": "mm"}),
    "reflectivity": Quantity(
        "f4", np.nan, {"standard_name": "equivalent_reflectivity_factor", "long_name": "reflectivity", "units": "dBZ"}
    ),
    "SHI": Quantity("f4", 0.0, {"long_name": "severe hail index", "units": "J m-1 s-1"}),
    "MESH": Quantity("f4", 0.0, {"long_name": "maximum expected size of hail", "units": "mm"}),
    "POSH": Quantity("f4", 0.0, {"long_name": "probability of severe hail", "units": "percent"}),
}
COLUMN_QUANTITIES = ("SHI", "MESH", "POSH")


@dataclass(frozen=True)
class SweepProduct:
    """The gates of one sweep that have values, and the sweep's geometry.

    Parameters
    ----------
    number, fixed_angle_deg, start_time
        As in the sweep model.
    azimuth_deg, elevation_deg
        Of the rays, degrees; azimuths ascending.
    range_start_m, range_step_m, gates
        Center of the first gate, spacing (meters) and number of the gates of a ray.
    index
        Positions of the gates in the flattened ``(rays, gates)`` field, ascending.
    values
        By name of `QUANTITIES`, one value for each of ``index``.
    counts
        Gates examined and removed by the quality control, by reason.
    flags
        Problems of the sweep, and values not computed.
    """

    number: int
    fixed_angle_deg: float
    start_time: datetime
    azimuth_deg: NDArray[np.float64]
    elevation_deg: NDArray[np.float64]
    range_start_m: float
    range_step_m: float
    gates: int
    index: NDArray[np.integer[Any]]
    values: Mapping[str, NDArray[Any]]
    counts: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @property
    def range_m(self) -> NDArray[np.float64]:
        """Centers of the gates, meters."""
        return np.asarray(self.range_start_m + self.range_step_m * np.arange(self.gates), dtype=np.float64)

    @property
    def shape(self) -> tuple[int, int]:
        """Rays and gates."""
        return self.azimuth_deg.size, self.gates

    def dense(self, name: str) -> NDArray[Any]:
        """Return a whole ``(rays, gates)`` field, filled where the product has no value."""
        return _dense(name, self.values, self.index, self.shape)


@dataclass(frozen=True)
class ColumnProduct:
    """Column hail of a volume on the polar grid of its sweep number ``sweep`` (position in ``RadarProduct.sweeps``).

    Between the ground ranges ``min_range_m`` and ``max_range_m``, columns not in ``index`` are zero; outside they are
    unknown.
    """

    sweep: int
    index: NDArray[np.integer[Any]]
    values: Mapping[str, NDArray[Any]]
    min_range_m: float
    max_range_m: float
    mesh_method: str
    elevations: int


@dataclass(frozen=True)
class RadarProduct:
    """The product of one radar file.

    ``kind`` is one of `KINDS`; ``time`` the volume's; ``sources`` the other inputs (sounding, heights of levels,
    parameters) as plain values; ``flags`` the problems of the whole.
    """

    kind: str
    site: Site
    time: datetime
    sweeps: tuple[SweepProduct, ...]
    columns: ColumnProduct | None = None
    sources: Mapping[str, object] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def dense_column(self, name: str) -> NDArray[Any]:
        """Return SHI, MESH or POSH as a whole field on the grid of its sweep.

        Raises
        ------
        InputError
            If the product has no columns.
        """
        if self.columns is None:
            raise InputError(f"no {name} in the product", where=self.site.radar, expected="a volume's hail")
        return _dense(name, self.columns.values, self.columns.index, self.sweeps[self.columns.sweep].shape)


def _dense(name: str, values: Mapping[str, NDArray[Any]], index: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    if name not in values:
        raise InputError(f"no {name} in the product", expected=", ".join(values) or "a product with values")
    quantity = QUANTITIES[name]
    full = np.full(shape, quantity.fill, dtype=quantity.dtype)
    full.ravel()[index] = values[name]
    return full
