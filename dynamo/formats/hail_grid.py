"""Hail on a latitude/longitude grid as CF NetCDF: of one radar, or a composite of several.

`{radar}-{YYYYmmdd}-{HHMMSS}.hc.cart.netcdf` holds one sweep or volume, `COMPOSITE_{YYYYmmdd-HHMMSS}.nc` what the radars
of a network saw. Both have the same variables on ``(latitude, longitude)``, row 0 the southern one; a composite also
has for each node the radar used (``radar``) and the age of its data (``age``). Small grids are NetCDF-3
classic (64-bit offset), large ones NetCDF-4 with deflate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.files import replacing
from dynamo.formats import origin
from dynamo.formats.checks import check_values
from dynamo.formats.nowcast import check_size, opened
from dynamo.formats.radar.model import Site
from dynamo.radar.grid import LatLonGrid
from dynamo.radar.hail.hsda import SIZES
from dynamo.radar.hail.hydroclass_tables import CLASSES
from dynamo.radar.hail.sweep import HAIL_CLASSES
from dynamo.times import file_stamp, is_plausible, parse_time, to_iso

Kind = Literal["radar", "composite"]
FORMAT = "hail-grid"
MAX_NODES = 25_000_000
_CLASSIC_NODES = 200_000
#: Values of nodes that no radar covers, in the variables that have one.
NOT_OBSERVED = -1
NO_HEIGHT_M = -32768
NO_AGE_S = -32768
_BROKEN = (KeyError, AttributeError, ValueError, IndexError, TypeError, OverflowError, RuntimeError, OSError)


@dataclass(frozen=True)
class StoredField:
    """How a field is stored."""

    dtype: str
    fill: float | None
    attributes: Mapping[str, Any]


def _flags(long_name: str, none: str, names: tuple[str, ...]) -> StoredField:
    attributes = {
        "long_name": long_name,
        "units": "1",
        "flag_values": np.arange(len(names) + 1, dtype=np.int8),
        "flag_meanings": " ".join((none, *names)),
    }
    return StoredField("i1", NOT_OBSERVED, attributes)


#: The fields by name.
FIELDS: Mapping[str, StoredField] = {
    "hydrometeor_class": _flags("hydrometeor class", "not_classified", CLASSES),
    "hail_class": _flags("what found hail", "no_hail", HAIL_CLASSES),
    "hail_size_class": _flags("hail size class (HSDA)", "not_told", SIZES),
    "hail_size": StoredField(
        "f4", 0.0, {"long_name": "largest hail diameter known, 0 without hail or where not told", "units": "mm"}
    ),
    "mesh": StoredField("f4", 0.0, {"long_name": "maximum expected size of hail", "units": "mm"}),
    "reflectivity": StoredField(
        "f4",
        0.0,
        {
            "standard_name": "equivalent_reflectivity_factor",
            "long_name": "largest reflectivity of the hail gates, 0 without hail",
            "units": "dBZ",
        },
    ),
    "beam_height": StoredField(
        "i2", NO_HEIGHT_M, {"standard_name": "altitude", "long_name": "lowest beam over the node", "units": "m"}
    ),
    "hail_height": StoredField(
        "i2", NO_HEIGHT_M, {"standard_name": "altitude", "long_name": "lowest beam that saw hail", "units": "m"}
    ),
    "radar": StoredField("i1", NOT_OBSERVED, {"long_name": "radar that counts, position in radars", "units": "1"}),
    "age": StoredField("i2", NO_AGE_S, {"long_name": "age of the view at the time of the file", "units": "s"}),
}


@dataclass(frozen=True)
class RadarView:
    """A radar of a grid: its name, position, and the start of its sweep or volume."""

    name: str
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    time: datetime


@dataclass(frozen=True, eq=False)
class HailGrid:
    """Hail on a grid.

    Parameters
    ----------
    kind
        ``radar`` or ``composite``.
    grid
        Its nodes.
    time
        Valid time: the start of the sweep or volume; for a composite, its minute.
    radars
        The radars in it.
    fields
        By name of `FIELDS`, shape of the grid; ``hydrometeor_class``, ``hail_class`` and ``beam_height`` always.
    missing
        Radars that were expected but are missing.
    sources
        Inputs (sounding, heights, parameters), as plain values.
    flags
        Known problems.
    """

    kind: Kind
    grid: LatLonGrid
    time: datetime
    radars: tuple[RadarView, ...]
    fields: Mapping[str, NDArray[Any]]
    missing: tuple[str, ...] = ()
    sources: Mapping[str, object] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def get(self, name: str) -> NDArray[Any] | None:
        """Return a field, or None if the grid does not have it."""
        return self.fields.get(name)

    @property
    def classes_only(self) -> bool:
        """Whether the grid has hydrometeor classes, but hail was not looked for."""
        return self.sources.get("product") == "classes"

    @property
    def blind(self) -> bool:
        """Whether a radar's product says that hail was looked for in none of its sweeps."""
        return self.sources.get("sweeps_examined") == 0

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Which nodes a radar covers."""
        observed: NDArray[np.bool_] = self.fields["hail_class"] != NOT_OBSERVED
        return observed


def grid_name(radar: str, time: datetime) -> str:
    """Return the file name of one radar's grid."""
    return f"{radar}-{file_stamp(time)}.hc.cart.netcdf"


def composite_name(time: datetime) -> str:
    """Return the file name of a composite."""
    return f"COMPOSITE_{file_stamp(time)}.nc"


def write_hail_grid(path: Path, hail: HailGrid) -> None:
    """Write the grid atomically.

    Raises
    ------
    InputError
        If a field is unknown or its shape differs from the grid's.
    """
    for name, data in hail.fields.items():
        if name not in FIELDS or data.shape != hail.grid.shape:
            raise InputError(f"field {name} of shape {data.shape}", where=path, expected=f"{hail.grid.shape}")
    large = hail.grid.nlat * hail.grid.nlon > _CLASSIC_NODES
    options: dict[str, Any] = {"zlib": True, "complevel": 1, "shuffle": True} if large else {}
    with (
        replacing(path) as partial,
        netCDF4.Dataset(partial, "w", format="NETCDF4" if large else "NETCDF3_64BIT_OFFSET") as dataset,
    ):
        dataset.set_fill_off()
        dataset.setncatts({**_globals(hail), **origin.attributes()})
        dataset.createDimension("latitude", hail.grid.nlat)
        dataset.createDimension("longitude", hail.grid.nlon)
        _define(dataset, "latitude", "f8", ("latitude",), {"standard_name": "latitude", "units": "degrees_north"})
        _define(dataset, "longitude", "f8", ("longitude",), {"standard_name": "longitude", "units": "degrees_east"})
        _define(
            dataset,
            "time",
            "f8",
            (),
            {"standard_name": "time", "units": "seconds since 1970-01-01T00:00:00Z", "calendar": "standard"},
        )
        _define(
            dataset,
            "crs",
            "i4",
            (),
            {
                "grid_mapping_name": "latitude_longitude",
                "semi_major_axis": 6378137.0,
                "inverse_flattening": 298.257223563,
            },
        )
        for name in hail.fields:
            stored = FIELDS[name]
            nodes = ("latitude", "longitude")
            variable = dataset.createVariable(name, stored.dtype, nodes, fill_value=False, **options)
            variable.setncatts({**stored.attributes, "coordinates": "time", "grid_mapping": "crs"})
            if stored.fill is not None and stored.fill < 0:
                variable.setncattr("missing_value", np.array(stored.fill, dtype=stored.dtype))
            variable.set_auto_maskandscale(False)
        # Data only after all definitions: a classic file is rewritten at each new one.
        dataset.variables["latitude"][:] = hail.grid.latitudes
        dataset.variables["longitude"][:] = hail.grid.longitudes
        dataset.variables["time"][...] = hail.time.timestamp()
        dataset.variables["crs"][...] = 0
        for name, data in hail.fields.items():
            dataset.variables[name][:] = np.asarray(data, dtype=FIELDS[name].dtype)


def _define(
    dataset: netCDF4.Dataset, name: str, dtype: str, dimensions: tuple[str, ...], facts: Mapping[str, object]
) -> None:
    dataset.createVariable(name, dtype, dimensions, fill_value=False).setncatts(dict(facts))


def _globals(hail: HailGrid) -> dict[str, Any]:
    titles = {"radar": "Hail seen by one radar", "composite": "Hail seen by the radars of a network"}
    return {
        "Conventions": "CF-1.11",
        "title": titles[hail.kind],
        "product": FORMAT,
        "kind": hail.kind,
        "valid_time": to_iso(hail.time),
        "north_deg": hail.grid.north_deg,
        "west_deg": hail.grid.west_deg,
        "dlat_deg": hail.grid.dlat_deg,
        "dlon_deg": hail.grid.dlon_deg,
        "radars": json.dumps(
            [
                {
                    "name": view.name,
                    "latitude_deg": view.latitude_deg,
                    "longitude_deg": view.longitude_deg,
                    "altitude_m": view.altitude_m,
                    "time": to_iso(view.time),
                }
                for view in hail.radars
            ]
        ),
        "missing_radars": json.dumps(list(hail.missing)),
        "sources": json.dumps(dict(hail.sources)),
        "flags": json.dumps(list(hail.flags)),
    }


def read_hail_grid(path: Path) -> HailGrid:
    """Read what `write_hail_grid` wrote.

    Raises
    ------
    InputError
        If the file is not a complete hail grid.
    """
    with opened(path) as dataset:
        try:
            return _read(dataset, path)
        except InputError as error:
            raise InputError(error.what, where=path, expected=error.expected) from error
        except _BROKEN as error:
            raise InputError(f"not a hail grid: {error}", where=path, expected="a file of the module grid") from error


def _read(dataset: netCDF4.Dataset, path: Path) -> HailGrid:
    if str(dataset.product) != FORMAT or str(dataset.kind) not in ("radar", "composite"):
        raise ValueError(f"product {dataset.product!s:.40}")
    nlat, nlon = dataset.dimensions["latitude"].size, dataset.dimensions["longitude"].size
    if nlat * nlon > MAX_NODES:
        raise ValueError(f"{nlat} x {nlon} nodes")
    grid = LatLonGrid(
        float(dataset.north_deg), float(dataset.west_deg), float(dataset.dlat_deg), float(dataset.dlon_deg), nlat, nlon
    )
    names = [name for name in FIELDS if name in dataset.variables]
    declared = sum(nlat * nlon * dataset.variables[name].dtype.itemsize for name in names)
    check_size(path, declared, compressed=dataset.data_model.startswith("NETCDF4"))
    fields: dict[str, NDArray[Any]] = {}
    for name in names:
        data = np.asarray(dataset.variables[name][:])
        if data.shape != grid.shape:
            raise ValueError(f"{name} has shape {data.shape}")
        fields[name] = data.astype(FIELDS[name].dtype, copy=False)
        fill = FIELDS[name].fill
        check_values(name, fields[name], missing=fill if fill is not None and fill < NOT_OBSERVED else None)
    for name in ("hydrometeor_class", "hail_class", "beam_height"):
        if name not in fields:
            raise ValueError(f"no {name}")
    views = tuple(
        RadarView(
            str(view["name"]),
            float(view["latitude_deg"]),
            float(view["longitude_deg"]),
            float(view["altitude_m"]),
            parse_time(str(view["time"])),
        )
        for view in json.loads(dataset.radars)
    )
    for view in views:
        Site(view.name, view.latitude_deg, view.longitude_deg, view.altitude_m, "S")
    if "radar" in fields and not -1 <= fields["radar"].min() <= fields["radar"].max() < len(views):
        raise ValueError(f"radars {fields['radar'].min()} to {fields['radar'].max()} of {len(views)}")
    time, sources = parse_time(str(dataset.valid_time)), json.loads(dataset.sources)
    if not is_plausible(time) or not isinstance(sources, dict):
        raise ValueError(f"valid at {time:%Y-%m-%d}, sources {sources!r:.40}")
    return HailGrid(
        kind=cast("Kind", str(dataset.kind)),
        grid=grid,
        time=time,
        radars=views,
        fields=fields,
        missing=tuple(str(name) for name in json.loads(dataset.missing_radars)),
        sources=sources,
        flags=tuple(str(flag) for flag in json.loads(dataset.flags)),
    )
