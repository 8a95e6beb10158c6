"""Products on a radar's polar grid as CF NetCDF: hydrometeor classes, hail, its sizes, and column hail.

One file holds the sweeps of one input file (one sweep or a volume). Values are kept only for the gates that have
them, so the file of a quiet sweep has a few kilobytes: the dimension ``gate`` runs over the gates of all sweeps, and
``gate_index`` is the position of each in its sweep's flattened (ray, range) field; ``gates_of_sweep`` says how many
belong to each sweep, in order (a CF contiguous ragged array), as ``rays_of_sweep`` does for the rays. ``columns``
(SHI, MESH, POSH of a volume) are on the polar grid of the sweep ``column_sweep``.

The file is classic NetCDF with 64-bit offsets: ten times faster to write than NetCDF-4 at this size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.files import replacing
from dynamo.formats import origin
from dynamo.formats.checks import check_values
from dynamo.formats.nowcast import opened
from dynamo.formats.radar.model import LARGEST_RANGE_M, Band, Site
from dynamo.formats.radar.model import MAX_GATES as MOST_GATES
from dynamo.formats.radar_product_model import (
    COLUMN_QUANTITIES,
    KINDS,
    MAX_GATES,
    QUANTITIES,
    ColumnProduct,
    Quantity,
    RadarProduct,
    SweepProduct,
)
from dynamo.radar.limits import GATE_M
from dynamo.times import PLAUSIBLE_YEARS, from_epoch, is_plausible, parse_time, to_iso

__all__ = (
    "COLUMN_QUANTITIES",
    "KINDS",
    "QUANTITIES",
    "ColumnProduct",
    "Quantity",
    "RadarProduct",
    "SweepProduct",
    "read_radar_product",
    "write_radar_product",
)

_END, _END_MARK = "end", 0x48414C45
#: Type, data and attributes of a variable.
_Table = dict[str, tuple[str, Any, Mapping[str, object]]]


def write_radar_product(path: Path, product: RadarProduct) -> None:
    """Write the product atomically.

    Raises
    ------
    InputError
        If a variable is unknown or does not match its gates.
    """
    with replacing(path) as partial, netCDF4.Dataset(partial, "w", format="NETCDF3_64BIT_OFFSET") as dataset:
        dataset.set_fill_off()
        _write_globals(dataset, product)
        sweeps = product.sweeps
        table: _Table = {
            "sweep_number": ("i4", [sweep.number for sweep in sweeps], {"long_name": "number of the sweep"}),
            "fixed_angle": ("f4", [sweep.fixed_angle_deg for sweep in sweeps], {"units": "degrees"}),
            "time": (
                "f8",
                [sweep.start_time.timestamp() for sweep in sweeps],
                {"standard_name": "time", "units": "seconds since 1970-01-01T00:00:00Z", "calendar": "standard"},
            ),
            "range_start": ("f8", [sweep.range_start_m for sweep in sweeps], {"units": "m"}),
            "range_step": ("f8", [sweep.range_step_m for sweep in sweeps], {"units": "m"}),
            "range_gates": ("i4", [sweep.gates for sweep in sweeps], {"long_name": "gates of a ray"}),
            "rays_of_sweep": ("i4", [sweep.azimuth_deg.size for sweep in sweeps], {"sample_dimension": "ray"}),
            "gates_of_sweep": ("i4", [sweep.index.size for sweep in sweeps], {"sample_dimension": "gate"}),
        }
        reasons = list(dict.fromkeys(reason for sweep in sweeps for reason in sweep.counts))
        for reason in reasons:
            numbers = [sweep.counts.get(reason, 0) for sweep in sweeps]
            table[f"count_{reason}"] = (
                "i4",
                numbers,
                {"long_name": f"gates: {reason.replace('_', ' ')}", "units": "1"},
            )
        rays: _Table = {
            "azimuth": ("f4", _joined(sweep.azimuth_deg for sweep in sweeps), {"units": "degrees"}),
            "elevation": ("f4", _joined(sweep.elevation_deg for sweep in sweeps), {"units": "degrees"}),
        }
        gates: _Table = {
            "gate_index": (
                "i4",
                _joined(sweep.index for sweep in sweeps),
                {"long_name": "position in the flattened (ray, range) field of the sweep"},
            )
        }
        for name in sweeps[0].values if sweeps else ():
            for sweep in sweeps:
                _check_values(sweep.values.get(name), name, sweep.index)
            gates[name] = _stored(name, _joined(sweep.values[name] for sweep in sweeps))
        tables = {"sweep": table, "ray": rays, "gate": gates}
        if product.columns is not None:
            columns = product.columns
            tables["column"] = {
                "column_index": ("i4", columns.index, {"long_name": "position in the field of the sweep column_sweep"})
            }
            for name, values in columns.values.items():
                _check_values(values, name, columns.index)
                kind, data, attributes = _stored(name, values)
                if name == "MESH":
                    attributes = {**attributes, "mesh_method": columns.mesh_method}
                tables["column"][name] = (kind, data, attributes)
        _write_tables(dataset, tables)


def _write_globals(dataset: netCDF4.Dataset, product: RadarProduct) -> None:
    if product.kind not in KINDS:
        raise InputError(f"unknown kind of product {product.kind!r:.40}", expected=" or ".join(KINDS))
    site = product.site
    attributes: dict[str, Any] = {
        "Conventions": "CF-1.11",
        "title": {"classes": "Hydrometeor classes of radar sweeps", "hail": "Hail in radar sweeps"}[product.kind],
        "product": product.kind,
        "radar": site.radar,
        "latitude": site.latitude_deg,
        "longitude": site.longitude_deg,
        "altitude_m": site.altitude_m,
        "band": site.band,
        "volume_time": to_iso(product.time),
        "flags": json.dumps(list(product.flags)),
        "sweep_flags": json.dumps([list(sweep.flags) for sweep in product.sweeps]),
        "sources": json.dumps(dict(product.sources)),
    }
    if product.columns is not None:
        columns = product.columns
        attributes |= {
            "column_sweep": np.int32(columns.sweep),
            "column_min_range_m": columns.min_range_m,
            "column_max_range_m": columns.max_range_m,
            "column_elevations": np.int32(columns.elevations),
            "mesh_method": columns.mesh_method,
        }
    dataset.setncatts({**attributes, **origin.attributes()})


def _write_tables(dataset: netCDF4.Dataset, tables: Mapping[str, _Table]) -> None:
    # All definitions first: adding one after data rewrites a classic file.
    for dimension, variables in tables.items():
        size = len(next(iter(variables.values()))[1])
        # A classic dimension of length 0 would be the unlimited one.
        dataset.createDimension(dimension, max(size, 1))
        for name, (kind, _, attributes) in variables.items():
            variable = dataset.createVariable(name, kind, (dimension,))
            variable.setncatts(dict(attributes))
    # Data is stored in order of definition: a truncated file does not end with this.
    dataset.createVariable(_END, "i4", ()).long_name = "mark of the end of the file"
    for dimension, variables in tables.items():
        dataset.setncattr(f"{dimension}_count", np.int32(len(next(iter(variables.values()))[1])))
    for variables in tables.values():
        for name, (kind, data, _) in variables.items():
            values = np.asarray(data, dtype=kind)
            dataset.variables[name][:] = values if values.size else np.zeros(1, dtype=kind)
    dataset.variables[_END][...] = _END_MARK


def _stored(name: str, values: NDArray[Any]) -> tuple[str, NDArray[Any], Mapping[str, object]]:
    quantity = QUANTITIES[name]
    return quantity.dtype, values, quantity.attributes


def _joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    arrays = list(parts)
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _check_values(values: NDArray[Any] | None, name: str, index: NDArray[Any]) -> None:
    if name not in QUANTITIES:
        raise InputError(f"unknown quantity {name!r:.40}", expected=", ".join(QUANTITIES))
    if values is None or values.shape != index.shape:
        raise InputError(
            f"{name} has shape {None if values is None else values.shape}", expected=f"{index.shape}, one for each gate"
        )


def read_radar_product(path: Path) -> RadarProduct:
    """Read a file written by `write_radar_product`.

    Raises
    ------
    InputError
        If the file is not a complete product of this kind.
    """
    # Casting a signalling NaN, as damage leaves it, would warn; every value is checked after.
    with opened(path) as dataset, np.errstate(invalid="ignore"):
        try:
            return _read(dataset)
        except (KeyError, AttributeError, ValueError, IndexError, TypeError, OverflowError, RuntimeError) as error:
            raise InputError(
                f"not a radar product: {error}", where=path, expected="a file of the module hail or hydroclass"
            ) from error
        except InputError as error:
            raise InputError(error.what, where=path, expected=error.expected) from error


def _read(dataset: netCDF4.Dataset) -> RadarProduct:
    kind = str(dataset.product)
    if kind not in KINDS:
        raise InputError(f"unknown kind of product {kind!r:.40}", expected=" or ".join(KINDS))
    if int(dataset.variables[_END][...]) != _END_MARK:
        raise InputError("truncated", expected="a complete product")

    def get(name: str, dimension: str) -> NDArray[Any]:
        count = int(dataset.getncattr(f"{dimension}_count"))
        variable = dataset.variables[name]
        if variable.dimensions != (dimension,) or not 0 <= count <= variable.shape[0] <= MAX_GATES:
            raise InputError(f"{name} has {variable.shape} values, {count} counted", expected="a complete product")
        return np.asarray(variable[:])[:count]

    def quantities(dimension: str) -> dict[str, NDArray[Any]]:
        return {
            name: get(name, dimension)
            for name, variable in dataset.variables.items()
            if name in QUANTITIES and variable.dimensions == (dimension,)
        }

    gate_values, gate_index = quantities("gate"), get("gate_index", "gate")
    azimuth, elevation = get("azimuth", "ray").astype(np.float64), get("elevation", "ray").astype(np.float64)
    rays, gates = get("rays_of_sweep", "sweep"), get("gates_of_sweep", "sweep")
    if (rays < 0).any() or (gates < 0).any() or rays.sum() != azimuth.size or gates.sum() != gate_index.size:
        raise InputError("the counts of rays and gates do not add up", expected="a complete product")
    ray_ends, gate_ends = np.cumsum(rays), np.cumsum(gates)
    reasons = [name.removeprefix("count_") for name in dataset.variables if name.startswith("count_")]
    counts = {reason: get(f"count_{reason}", "sweep") for reason in reasons}
    plain = {
        name: get(name, "sweep")
        for name in ("sweep_number", "fixed_angle", "time", "range_start", "range_step", "range_gates")
    }
    flags = json.loads(dataset.sweep_flags)
    sweeps = []
    for number, (ray_end, gate_end) in enumerate(zip(ray_ends.tolist(), gate_ends.tolist(), strict=True)):
        rows = slice(ray_end - int(rays[number]), ray_end)
        part = slice(gate_end - int(gates[number]), gate_end)
        sweep = SweepProduct(
            number=int(plain["sweep_number"][number]),
            fixed_angle_deg=float(plain["fixed_angle"][number]),
            start_time=from_epoch(float(plain["time"][number])),
            azimuth_deg=azimuth[rows],
            elevation_deg=elevation[rows],
            range_start_m=float(plain["range_start"][number]),
            range_step_m=float(plain["range_step"][number]),
            gates=int(plain["range_gates"][number]),
            index=gate_index[part],
            values={name: values[part] for name, values in gate_values.items()},
            counts={reason: int(numbers[number]) for reason, numbers in counts.items()},
            flags=tuple(flags[number]),
        )
        _check_sweep(sweep)
        sweeps.append(sweep)
    columns = None
    if "column" in dataset.dimensions:
        columns = ColumnProduct(
            sweep=int(dataset.column_sweep),
            index=get("column_index", "column"),
            values=quantities("column"),
            min_range_m=float(dataset.column_min_range_m),
            max_range_m=float(dataset.column_max_range_m),
            mesh_method=str(dataset.mesh_method),
            elevations=int(dataset.column_elevations),
        )
        _check_index(columns.index, sweeps[columns.sweep].shape)
        for name, values in columns.values.items():
            check_values(name, values)
    sources, time = json.loads(dataset.sources), parse_time(str(dataset.volume_time))
    if not isinstance(sources, dict) or not is_plausible(time) or str(dataset.band) not in get_args(Band):
        raise InputError(
            f"volume of {to_iso(time)}, {dataset.band!s:.20} band", expected=f"{PLAUSIBLE_YEARS}; S, C or X band"
        )
    return RadarProduct(
        kind=kind,
        site=Site(
            str(dataset.radar),
            float(dataset.latitude),
            float(dataset.longitude),
            float(dataset.altitude_m),
            str(dataset.band),  # type: ignore[arg-type]
        ),
        time=time,
        sweeps=tuple(sweeps),
        columns=columns,
        sources=sources,
        flags=tuple(json.loads(dataset.flags)),
    )


def _check_sweep(sweep: SweepProduct) -> None:
    _check_index(sweep.index, sweep.shape)
    start_m, step_m = sweep.range_start_m, sweep.range_step_m
    if not (GATE_M[0] <= step_m <= GATE_M[1] and abs(start_m) <= LARGEST_RANGE_M and 2 <= sweep.gates <= MOST_GATES):
        raise InputError(f"{sweep.gates} gates of {step_m:g} m from {start_m:g} m", expected="the gates of a radar")
    angles = np.append(sweep.elevation_deg, sweep.fixed_angle_deg)
    if not ((np.abs(sweep.azimuth_deg) <= 360).all() and (np.abs(angles - 42.5) <= 52.5).all()):
        raise InputError("a ray has no direction", expected="azimuths and elevations in degrees")
    if not is_plausible(sweep.start_time):
        raise InputError(f"a sweep of {to_iso(sweep.start_time)}", expected=PLAUSIBLE_YEARS)
    for name, values in sweep.values.items():
        check_values(name, values)


def _check_index(index: NDArray[Any], shape: tuple[int, int]) -> None:
    if index.size and not (index.min() >= 0 and index.max() < shape[0] * shape[1]):
        raise InputError("a gate lies outside its sweep", expected=f"positions below {shape[0] * shape[1]}")
