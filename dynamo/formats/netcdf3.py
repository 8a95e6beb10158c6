"""Parse NetCDF-3 classic headers from bytes, without copying the data.

Big sweeps are read many times faster if only the requested variables are touched (format: NetCDF Classic Format
Specification, Unidata; all numbers are big-endian, names and values padded to 4 bytes).
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError

MAGIC = (b"CDF\x01", b"CDF\x02")
#: The bytes of a file, read or mapped.
Buffer = bytes | mmap.mmap
_TYPES = {1: ">i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_MOST_ENTRIES = 1000


@dataclass(frozen=True)
class NetcdfVariable:
    """One variable and the location of its values."""

    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]
    begin: int
    #: Whether the first dimension is the record dimension: the records of all such variables are interleaved.
    records: bool = False

    @property
    def row_bytes(self) -> int:
        """Bytes of one record, or of the whole variable without records."""
        return math.prod(self.shape[1:] if self.records else self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Classic:
    """The header of a classic file over its bytes."""

    data: Buffer
    dimensions: Mapping[str, int]
    attributes: Mapping[str, Any]
    variables: Mapping[str, NetcdfVariable]
    record_bytes: int = 0

    def read(self, name: str) -> NDArray[Any]:
        """Return the values of a variable as a read-only view, big-endian.

        Raises
        ------
        InputError
            If the variable does not exist, or the file ends before its last value.
        """
        variable = self.whole(name)
        if not variable.records:
            flat = np.frombuffer(self.data, variable.dtype, math.prod(variable.shape), variable.begin)
            return flat.reshape(variable.shape)
        sizes = variable.shape
        inner = [math.prod(sizes[axis + 1 :]) * variable.dtype.itemsize for axis in range(1, len(sizes))]
        return np.ndarray(
            variable.shape, variable.dtype, self.data, variable.begin, strides=(self.record_bytes, *inner)
        )

    def whole(self, name: str) -> NetcdfVariable:
        """Return a variable all of whose values are in the file; raises as `read`."""
        if name not in self.variables:
            raise InputError(f"no variable {name}", expected=", ".join(self.variables) or "variables")
        variable = self.variables[name]
        end = variable.begin + variable.row_bytes
        if variable.records:
            end += (variable.shape[0] - 1) * self.record_bytes
        if variable.begin < 0 or end > len(self.data):
            raise InputError(f"variable {name} ends at byte {end:,} of {len(self.data):,}", expected="a complete file")
        return variable


def check_whole(data: Buffer) -> None:
    """Raise `InputError` if a NetCDF-3 file ends before the last value of a variable; other formats pass.

    The NetCDF library reads what is missing as zeros.
    """
    if bytes(data[:4]) not in MAGIC:
        return
    file = parse(data)
    for name in file.variables:
        file.whole(name)


def parse(data: Buffer) -> Classic:
    """Parse the header of a NetCDF-3 classic or 64-bit-offset file.

    Raises
    ------
    InputError
        If it is not one, or is truncated inside the header.
    """
    if bytes(data[:4]) not in MAGIC:
        raise InputError("not a NetCDF-3 classic file")
    try:
        return _Header(data).parse()
    except (struct.error, UnicodeDecodeError, KeyError, IndexError, ValueError) as error:
        raise InputError(f"damaged NetCDF-3 header: {error!r:.80}", expected="a complete file") from error


class _Header:
    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.place = 4
        self.wide = data[3] == 2

    def parse(self) -> Classic:
        records = self.number()
        dimensions = [(self.text(), self.number()) for _ in range(self.entries(_DIMENSION))]
        if any(length < 0 for _, length in dimensions) or records < 0:
            raise ValueError("a length below zero")
        # The record dimension has length 0 in the list; its true length precedes the list.
        lengths = [length or records for _, length in dimensions]
        attributes = self.attributes()
        variables: dict[str, NetcdfVariable] = {}
        for _ in range(self.entries(_VARIABLE)):
            name = self.text()
            ids = [self.number() for _ in range(self.count())]
            own = self.attributes()
            dtype = np.dtype(_TYPES[self.number()])
            self.number()  # the padded size, which is wrong for large variables
            begin = struct.unpack_from(">q" if self.wide else ">i", self.data, self.place)[0]
            self.place += 8 if self.wide else 4
            variables[name] = NetcdfVariable(
                tuple(dimensions[index][0] for index in ids),
                tuple(lengths[index] for index in ids),
                dtype,
                own,
                begin,
                records=bool(ids) and dimensions[ids[0]][1] == 0,
            )
        rows = [variable.row_bytes for variable in variables.values() if variable.records]
        # Records are padded to 4 bytes, unless only one variable has them.
        record_bytes = rows[0] if len(rows) == 1 else sum(-(-row // 4) * 4 for row in rows)
        named = {name: length for (name, _), length in zip(dimensions, lengths, strict=True)}
        return Classic(self.data, named, attributes, variables, record_bytes)

    def number(self) -> int:
        (value,) = struct.unpack_from(">i", self.data, self.place)
        self.place += 4
        return int(value)

    def count(self) -> int:
        count = self.number()
        if not 0 <= count <= _MOST_ENTRIES:
            raise ValueError(f"a list of {count}")
        return count

    def entries(self, kind: int) -> int:
        tag = self.number()
        count = self.count()
        if tag != kind and (tag, count) != (0, 0):
            raise ValueError(f"list of kind {tag}")
        return count

    def raw(self, nbytes: int) -> bytes:
        if nbytes < 0 or self.place + nbytes > len(self.data):
            raise ValueError("the header is cut")
        value = bytes(self.data[self.place : self.place + nbytes])
        self.place += -(-nbytes // 4) * 4
        return value

    def text(self) -> str:
        return self.raw(self.number()).decode()

    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self.entries(_ATTRIBUTE)):
            name = self.text()
            dtype = np.dtype(_TYPES[self.number()])
            raw = self.raw(self.number() * dtype.itemsize)
            if dtype.kind == "S":
                found[name] = raw.decode(errors="replace").rstrip("\0 ")
            else:
                values = np.frombuffer(raw, dtype)
                found[name] = values[0].item() if values.size == 1 else values
        return found
