"""Looking into an input file from many threads: the NetCDF library is not thread-safe, so one at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from dynamo.workflows.model import InputFacts

#: Formats that say what work they cause; files of others are taken as they are.
RADAR = frozenset({"radar-sweep", "radar-volume"})
INSPECTED = frozenset({"casa-nowcast", "hail-grid"}) | RADAR

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


def inspect_port(format_: str, paths: Sequence[Path], levels: Sequence[float]) -> InputFacts | None:
    """Return what the files of one input say of the work they will cause; None for formats that say nothing.

    Parameters
    ----------
    format_
        The format of the input, or several with ``|`` between.
    paths
        Its files: one, the files of one radar volume, or several that each stand alone.
    levels
        See `inspect`.

    Raises
    ------
    InputError
        If a file is not complete, or the files do not belong together.
    """
    from dynamo.formats.inspect import inspect_inputs, inspect_radar

    formats = set(format_.split("|"))
    if not INSPECTED & formats:
        return None
    with _netcdf:
        if formats <= RADAR:
            # Asked for a radar file, the error is about radar files.
            return inspect_radar(paths, levels)
        return inspect_inputs(paths, levels)
