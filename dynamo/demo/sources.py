"""Input for the demo: simulated storms, or nowcasts made from real composites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from dynamo.errors import NotFoundError
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.storms import RegimeName

#: Texas, site of the storms of 2019-06-10: south, west, north, east, degrees.
TEXAS = (28.0, -102.0, 36.0, -92.0)
#: In the real sequence, a nowcast is issued every five frames (10 minutes), once three frames are known.
_FRAME_STEP = 5
_FIRST_ISSUE = 5

#: Progress callback: stage, amount done, total.
Progress = Callable[[str, int, int], None]


class NowcastSource(Protocol):
    """A sequence of nowcasts to write to a feed."""

    @property
    def title(self) -> str:
        """Description of the data."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """Label of each nowcast, in order."""
        ...

    def write(self, index: int, folder: Path, progress: Progress) -> Path:
        """Write nowcast ``index`` into ``folder`` and return its path."""
        ...


@dataclass(frozen=True)
class SimulatedSource:
    """Clear weather, then isolated cells, then widespread convection; the last nowcast is of this minute."""

    now: datetime
    shape: tuple[int, int] = (201, 201)
    each: int = 2
    seed: int = 1
    title: str = "simulated storms over Dallas/Fort Worth"

    @property
    def labels(self) -> Sequence[str]:
        """The regime of each nowcast."""
        return [regime for regime in _REGIMES for _ in range(self.each)]

    def write(self, index: int, folder: Path, progress: Progress) -> Path:
        """Write nowcast ``index``."""
        regime = _REGIMES[index // self.each]
        progress(f"simulating {regime}", 0, 1)
        regime_first = self.each * (index // self.each)
        begin = self.now.replace(second=0, microsecond=0) - timedelta(minutes=len(self.labels) - 1)
        start = begin + timedelta(minutes=regime_first)
        return NowcastSimulator(regime, self.shape, start, self.each, seed=self.seed).write(folder, index % self.each)


_REGIMES: tuple[RegimeName, ...] = ("clear", "cells", "wide")


class MrmsSource:
    """The real MRMS sequence of 2019-06-10 over Texas.

    Parameters
    ----------
    data
        Folder that contains ``composites/mrms_20190610``.

    Raises
    ------
    NotFoundError
        If the folder does not contain it.
    """

    def __init__(self, data: Path) -> None:
        folder = data / "composites" / "mrms_20190610"
        self._frames = sorted(folder.glob("*.grib2"))
        if len(self._frames) <= _FIRST_ISSUE:
            raise NotFoundError(
                f"{len(self._frames)} GRIB2 files",
                where=folder,
                expected="the MRMS sequence, 16 files two minutes apart",
            )
        self.title = "real MRMS composites of 2019-06-10 over Texas"
        self._issues = list(range(_FIRST_ISSUE, len(self._frames), _FRAME_STEP))

    @property
    def labels(self) -> Sequence[str]:
        """The last frame of each nowcast."""
        return [f"MRMS {self._frames[last].stem[-6:-2]} UTC" for last in self._issues]

    def write(self, index: int, folder: Path, progress: Progress) -> Path:
        """Make nowcast ``index`` from the frames up to its issue time."""
        from dynamo.formats.nowcast import nowcast_name
        from dynamo.processing.nowcast import make_nowcast

        last = self._issues[index]
        made = folder / ".making.nc"
        frames = self._frames[max(0, last - 5) : last + 1]
        header = make_nowcast(frames, made, bbox=TEXAS, progress=progress)
        # The feed accepts files that are renamed into place.
        return made.replace(folder / nowcast_name(header.issue_time))
