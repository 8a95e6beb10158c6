"""NEXRAD real-time chunks `YYYYmmdd-HHMMSS-NNN-K`: assemble a volume as its pieces arrive.

``K`` is S (start: volume header and metadata), I (intermediate) or E (end). Pure: no files, no clock; the caller
passes what arrived and decides when it is too late. Each chunk is decoded once, and may arrive late, twice, or out of
order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import xarray as xr

from dynamo.errors import InputError
from dynamo.formats.radar.model import Volume
from dynamo.formats.radar.nexrad_rays import Ray
from dynamo.formats.radar.nexrad_records import is_record, is_volume
from dynamo.formats.radar.nexrad_sweeps import completeness, decode, group, is_whole, sweeps_of
from dynamo.formats.radar.rays import merge_flags
from dynamo.formats.radar.source import MAX_BYTES
from dynamo.formats.radar.volume import make_volume

_NAME = re.compile(r"(\d{8}-\d{6})-(\d{3})-([SIE])\Z")
_MOST_NAMED = 10
_SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class ChunkName:
    """A chunk's name: the start of its volume, its number from 1, its kind."""

    volume: str
    number: int
    kind: str

    @property
    def time(self) -> datetime:
        """The start of the volume."""
        return datetime.strptime(self.volume, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)


def chunk_name(name: str) -> ChunkName:
    """Parse a chunk's file name; raises `InputError` if it is not one."""
    match = _NAME.search(name)
    if match is None:
        raise InputError("not a chunk name", where=name, expected="YYYYmmdd-HHMMSS-NNN-S, -I or -E")
    found = ChunkName(match[1], int(match[2]), match[3])
    try:
        _ = found.time
    except ValueError:
        raise InputError("invalid time", where=name, expected="YYYYmmdd-HHMMSS") from None
    return found


class ChunkVolume:
    """One volume while its chunks arrive.

    Parameters
    ----------
    volume
        The common stamp of its chunks, ``YYYYmmdd-HHMMSS``.
    """

    def __init__(self, volume: str) -> None:
        self.volume = volume
        self.station = ""
        self.last_at: datetime | None = None
        self._rays: dict[int, list[Ray]] = {}
        self._sizes: dict[int, int] = {}
        self._unpacked = 0
        self._flags: tuple[str, ...] = ()
        self._remarks: tuple[str, ...] = ()
        self._end: int | None = None
        self._released: set[int] = set()

    def add(self, name: str, data: bytes, *, at: datetime | None = None) -> bool:
        """Add a chunk; return False for a duplicate.

        Parameters
        ----------
        name
            Its file name.
        data
            Its bytes. A damaged chunk is flagged, and used as far as it can be read.
        at
            When it arrived, for `expired`.

        Raises
        ------
        InputError
            If it belongs to another volume or is not a chunk, or if the unpacked chunks are too large.
        """
        return self._take(self._check(name, data), name, data, at, None)

    def add_all(self, chunks: Sequence[tuple[str, bytes]]) -> None:
        """Add many chunks at once, unpacking them in parallel; see `add`."""
        for name, data in chunks:
            self._check(name, data)
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, os.cpu_count() or 1)) as pool:
            # A few at a time, so that oversized data is rejected before all of it is in memory.
            for start in range(0, len(chunks), _SIDE_BY_SIDE):
                few = chunks[start : start + _SIDE_BY_SIDE]
                decoded = pool.map(decode, [data for _, data in few])
                for (name, data), parts in zip(few, decoded, strict=True):
                    self._take(chunk_name(name), name, data, None, parts)

    def _check(self, name: str, data: bytes) -> ChunkName:
        chunk = chunk_name(name)
        if chunk.volume != self.volume:
            raise InputError(f"a chunk of volume {chunk.volume}", where=name, expected=f"volume {self.volume}")
        if not (is_volume(data[:24]) or is_record(data[:14])):
            raise InputError("not a chunk of a NEXRAD Level II volume", where=name, expected="a bzip2 record")
        return chunk

    def _take(
        self,
        chunk: ChunkName,
        name: str,
        data: bytes,
        at: datetime | None,
        decoded: tuple[list[Ray], str, tuple[str, ...]] | None,
    ) -> bool:
        if chunk.number in self._rays:
            if len(data) != self._sizes[chunk.number]:
                self._flags = merge_flags(self._flags, [f"chunk {chunk.number} came twice with different content"])
            return False
        rays, station, flags = decoded or decode(data)
        other = next((ray.station for ray in rays if ray.station), station)
        if self.station and other and other != self.station:
            raise InputError(f"a chunk of {other}", where=name, expected=f"radar {self.station}")
        # A block lives as long as any of its rays.
        self._unpacked += sum({id(ray.block): len(ray.block) for ray in rays}.values())
        if self._unpacked > MAX_BYTES:
            raise InputError("unpacked chunks too large", where=name, expected=f"up to {MAX_BYTES:,} bytes")
        self.station = self.station or other
        self._rays[chunk.number] = rays
        self._sizes[chunk.number] = len(data)
        self._flags = merge_flags(self._flags, [f"chunk {chunk.number}: {flag}" for flag in flags])
        if chunk.kind == "E":
            self._end = chunk.number
        if at is not None:
            self.last_at = at if self.last_at is None else max(at, self.last_at)
        return True

    @property
    def complete(self) -> bool:
        """Whether the end chunk and every chunk before it have arrived."""
        return self._end is not None and not self.missing

    @property
    def missing(self) -> tuple[int, ...]:
        """Missing numbers below the last one that arrived."""
        last = self._end if self._end is not None else max(self._rays, default=0)
        return tuple(number for number in range(1, last + 1) if number not in self._rays)

    def expired(self, now: datetime, timeout_s: float) -> bool:
        """Whether nothing arrived for ``timeout_s`` although the volume is incomplete."""
        return not self.complete and self.last_at is not None and (now - self.last_at).total_seconds() > timeout_s

    def flags(self) -> tuple[str, ...]:
        """Return the flags of the volume if it were used now, and of the sweeps built last."""
        flags = merge_flags(self._flags, self._remarks)
        if self.missing:
            named = ", ".join(map(str, self.missing[:_MOST_NAMED])) + ", ..." * (len(self.missing) > _MOST_NAMED)
            flags = (*flags, f"incomplete: {len(self.missing)} chunks missing ({named})")
        if self._end is None:
            flags = (*flags, "incomplete: no end chunk")
        return merge_flags(flags, completeness(self._ordered()))

    def sweeps(self, moments: Collection[str] | None = None) -> list[xr.Dataset]:
        """Return the sweeps of all rays so far; raises `InputError` if there are none."""
        rays = self._ordered()
        if not rays:
            raise InputError("no ray can be read", where=f"volume {self.volume}", expected="chunks with rays")
        return self._build(rays, moments)

    def new_sweeps(self, moments: Collection[str] | None = None) -> list[xr.Dataset]:
        """Return newly completed cuts: low sweeps, long before the volume ends."""
        ready = [
            ray
            for number, cut in group(self._ordered()).items()
            if number not in self._released and is_whole(cut) and self._without_hole(cut)
            for ray in cut
        ]
        self._released |= {ray.elevation_number for ray in ready}
        return self._build(ready, moments) if ready else []

    def to_volume(self, moments: Collection[str] | None = None, *, pair: bool = True) -> Volume:
        """Return the volume so far, flagged if incomplete."""
        return make_volume(self.sweeps(moments), flags=self.flags(), pair=pair, where=f"volume {self.volume}")

    def _build(self, rays: Sequence[Ray], moments: Collection[str] | None) -> list[xr.Dataset]:
        sweeps, self._remarks = sweeps_of(rays, self.station, moments, where=f"volume {self.volume}")
        return sweeps

    def _ordered(self) -> list[Ray]:
        return [ray for number in sorted(self._rays) for ray in self._rays[number]]

    @staticmethod
    def _without_hole(cut: list[Ray]) -> bool:
        numbers = {ray.number for ray in cut}
        return len(numbers) == max(numbers) - min(numbers) + 1
