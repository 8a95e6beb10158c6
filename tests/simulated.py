"""Small simulated files of each real format, for tests that need a file and no particular weather."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamo.simulate.composites import CompositeName, CompositeSimulator
from dynamo.simulate.formats.radar import FormatName
from dynamo.simulate.formats.sounding import encode
from dynamo.simulate.radar import RadarSimulator
from dynamo.simulate.radar_storms import RegimeName

START = datetime(2019, 6, 10, 0, 20, tzinfo=UTC)
ZERO_C_M, MINUS_20_C_M = 4300.0, 7300.0
#: Rays and gates with gates of whole metres, coarse ones.
SHAPES: dict[FormatName, tuple[int, int]] = {
    "casa": (180, 240),
    # Records have 120 rays.
    "nexrad": (240, 225),
    "nexrad-chunks": (240, 225),
    "odim": (180, 150),
    "cfradial": (180, 210),
    "gamic": (180, 200),
}


def network(file_format: FormatName, regime: RegimeName = "cells", **options: Any) -> RadarSimulator:
    """Return a simulator of one radar at Addison, and of few gates, if the options say nothing else."""
    options = {"radars": 1, "seed": 3, "shape": SHAPES[file_format], **options}
    return RadarSimulator(regime, START, file_format=file_format, **options)


def radar_files(folder: Path, file_format: FormatName, regime: RegimeName = "cells", **options: Any) -> list[Path]:
    """Write the first file (or the chunks of the first volume) of `network`."""
    simulator = network(file_format, regime, **options)
    return simulator.write_file(folder, next(simulator.files()))


def composite_files(folder: Path, service: CompositeName, count: int, regime: RegimeName = "cells") -> list[Path]:
    """Write composites."""
    simulator = CompositeSimulator(service, regime, START, count, seed=4)
    return [simulator.write(folder, index) for index in range(count)]


def sounding_file(folder: Path, time: datetime = START) -> Path:
    """Write a sounding that tells its time, with 0 C at `ZERO_C_M`."""
    path = folder / "sounding.txt"
    path.write_text(encode(time=time, zero_c_m=ZERO_C_M, minus_20_c_m=MINUS_20_C_M))
    return path
