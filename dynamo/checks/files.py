"""Examine a file of any kind outside a run: a radar file, a composite, a nowcast, or a product."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

from dynamo.checks.examine import FieldsCollector, examine_fields, examine_volume, nowcast_series
from dynamo.checks.model import Examination
from dynamo.checks.products import examine_product, product_series
from dynamo.errors import InputError
from dynamo.radar.quality.fields import DBZ, RAIN
from dynamo.times import utc_now

_MAX_JSON_BYTES = 256 * 1024 * 1024


def examine_file(path: Path | Sequence[Path]) -> Examination:
    """Return what the checks measure in a file, or in the files of one volume; its kind is told by its content.

    Raises
    ------
    InputError
        If it cannot be read at all.
    """
    from dynamo.formats.radar.formats import find_format
    from dynamo.formats.radar.read import read_volume
    from dynamo.formats.radar.source import load

    paths = [path] if isinstance(path, Path) else list(path)
    if len(paths) > 1 or find_format(load(paths[0])) is not None:
        return examine_volume(read_volume(paths, now=utc_now()), paths[0].name)
    one = paths[0]
    with one.open("rb") as stream:
        head = stream.read(64)
    if head.lstrip().startswith(b"{"):
        return _product(one)
    if head.startswith((b"CDF", b"\x89HDF")) and _is_nowcast(one):
        return _nowcast(one)
    from dynamo.formats.composites import read_composite

    composite = read_composite(one)
    return examine_fields(
        [(0, composite.rain_rate)],
        RAIN,
        series=composite.source,
        file=one.name,
        valid_at=composite.valid_time,
        impossible=composite.implausible / composite.rain_rate.size,
    )


def _is_nowcast(path: Path) -> bool:
    from dynamo.formats.nowcast import opened

    with opened(path) as dataset:
        return any(str(name).startswith("PredictedReflectivity") for name in dataset.variables)


def _nowcast(path: Path) -> Examination:
    from dynamo.formats.split import read_grids

    collector, header, count, cells = FieldsCollector(DBZ), None, 0, 1
    for grid in read_grids(path):
        header, count, cells = grid.header, max(count, grid.header.implausible), grid.field.size
        collector.add(grid.lead, np.asarray(grid.field))
    if header is None:
        raise InputError("holds no grid", where=path, expected="a nowcast")
    return collector.examination(
        series=nowcast_series(header.grid), file=path.name, valid_at=header.issue_time, impossible=count / cells
    )


def _product(path: Path) -> Examination:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise InputError(f"has {path.stat().st_size:,} bytes", where=path, expected="GeoJSON of up to 256 MiB")
    try:
        collection = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=path, expected="GeoJSON") from error
    if not isinstance(collection, dict):
        raise InputError("not a FeatureCollection", where=path, expected="GeoJSON with features")
    return examine_product(collection, series=product_series(collection), file=path.name)


def main() -> None:
    """Entry point of ``python -m dynamo.checks.files``: examine the lists of paths on standard input, a line for each.

    Files of kinds without checks give no line.
    """
    for group in orjson.loads(sys.stdin.buffer.read()):
        try:
            line = orjson.dumps(examine_file([Path(path) for path in group]).to_json())
        except Exception as error:  # broken files make the libraries fail in every way
            sys.stderr.write(f"{group[0]}: {error}\n")
            continue
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
