"""Looking into an input file from many threads: the NetCDF library is not thread-safe, so one at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from dynamo.workflows.model import InputFacts

_netcdf = threading.Lock()


def inspect(path: Path, levels: Sequence[float]) -> InputFacts:
    """Return what the file says of the work it will cause.

    Raises
    ------
    InputError
        If it is not a complete input file.
    """
    from dynamo.formats.inspect import inspect_input

    with _netcdf:
        return inspect_input(path, levels)
