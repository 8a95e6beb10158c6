"""Feed kind `nexrad-chunks`: real-time chunks of NEXRAD volumes in, whole Archive II volumes out.

Chunks (`.../YYYYmmdd-HHMMSS-NNN-K`) come in any order into a folder or the folders below it, one for each radar. They
are joined in a spool folder, and what is handed over are the joined files:

- ``KLOT20210729_123848_low``: as soon as the lowest elevation is whole, minutes before the volume ends;
- ``KLOT20210729_123848``: the whole volume;
- ``KLOT20210729_123848_incomplete``: what came, when nothing came for the time-out.

The spool is the memory: a volume whose last file lies there is done, and its late chunks are left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dynamo.errors import InputError
from dynamo.feeds.base import Candidate, Sink
from dynamo.feeds.directory import DirectoryFeed
from dynamo.files import write_bytes
from dynamo.formats.radar.nexrad_records import VOLUME_HEADER_BYTES, is_record, is_volume
from dynamo.times import from_epoch, utc_now

_PATTERNS = ("*-S", "*-I", "*-E")
_Key = tuple[Path, str]


@dataclass
class _Pending:
    """A volume that is not done."""

    paths: dict[int, Path] = field(default_factory=dict)
    end: int | None = None
    station: str = ""
    last_at: datetime | None = None
    #: Ray number and status of the lowest elevation, until it was handed over.
    low: list[tuple[int, int]] = field(default_factory=list)
    low_done: bool = False

    @property
    def complete(self) -> bool:
        """Whether the end and all before it are here."""
        return self.end is not None and all(number in self.paths for number in range(1, self.end + 1))


class ChunkFeed:
    """Joins chunks; see the module.

    Parameters
    ----------
    name
        Of the feed.
    path
        The folder in which, or below which, chunks arrive.
    spool
        Where joined volumes are written; on the same machine, not inside ``path``.
    timeout_s
        A volume to which nothing came for so long is handed over as it is.
    early
        Hand over the lowest elevation before the volume ends.
    clock
        Gives the present time.

    Raises
    ------
    InputError
        If ``path`` is not a folder, or ``spool`` lies inside of it.
    BusyError
        If another daemon on this machine watches ``path``.
    """

    def __init__(
        self,
        name: str,
        *,
        path: Path,
        spool: Path,
        timeout_s: float = 420.0,
        early: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if spool.resolve().is_relative_to(path.resolve()):
            raise InputError("lies inside the watched folder", where=spool, expected="a spool folder beside it")
        self.name = name
        self.spool = spool
        self._inner = DirectoryFeed(name, path=path, patterns=_PATTERNS, recursive=True)
        self._timeout_s = timeout_s
        self._early = early
        self._clock = clock
        self._pending: dict[_Key, _Pending] = {}
        self._done: set[_Key] = set()
        self._guard = threading.Lock()

    def start(self, sink: Sink) -> None:
        """Begin to join what is closed or moved in."""
        self._inner.start(lambda candidate: self._take(candidate, sink))

    def scan(self, sink: Sink) -> int:
        """Join everything that lies there, hand over what timed out and all joined files; return how many."""
        self._inner.scan(lambda candidate: self._take(candidate, sink))
        with self._guard:
            for key, pending in list(self._pending.items()):
                idle = None if pending.last_at is None else (self._clock() - pending.last_at).total_seconds()
                if idle is not None and idle > self._timeout_s:
                    self._finish(key, pending, "_incomplete", sink)
        joined = sorted(path for path in self.spool.glob("[!.]*") if path.is_file()) if self.spool.is_dir() else []
        for path in joined:
            sink(Candidate(self.name, path, "moved", self._clock()))
        return len(joined)

    def healthy(self) -> bool:
        """Whether the watching thread is alive."""
        return self._inner.healthy()

    def stop(self) -> None:
        """End the watching."""
        self._inner.stop()

    def _take(self, candidate: Candidate, sink: Sink) -> None:
        from dynamo.formats.radar.chunks import chunk_name

        try:
            chunk = chunk_name(candidate.path.name)
        except InputError:
            sink(candidate)
            return
        key = (candidate.path.parent, chunk.volume)
        with self._guard:
            pending = self._pending.get(key, _Pending())
            if key in self._done or chunk.number in pending.paths:
                return
            try:
                data = candidate.path.read_bytes()
            except OSError:
                # It was taken away meanwhile, or will be found by the next scan.
                return
            if not is_whole(data):
                # Half of a chunk may become a whole one; what is none at all goes the way of bad files.
                if candidate.told or not (is_volume(data[:4]) or is_record(data[:14])):
                    sink(candidate)
                return
            self._note(pending, data)
            if pending.station and self._finished(pending.station, chunk.volume):
                self._done.add(key)
                self._pending.pop(key, None)
                return
            self._pending[key] = pending
            pending.paths[chunk.number] = candidate.path
            pending.end = chunk.number if chunk.kind == "E" else pending.end
            at = candidate.seen_at if candidate.told else from_epoch(candidate.path.stat().st_mtime)
            pending.last_at = at if pending.last_at is None else max(at, pending.last_at)
            if pending.complete:
                self._finish(key, pending, "", sink)
            elif self._early and not pending.low_done and _is_whole_cut(pending.low):
                pending.low_done = True
                pending.low.clear()
                self._join(key, pending, "_low", sink)

    def _note(self, pending: _Pending, data: bytes) -> None:
        """Learn the station, and how far the lowest elevation is."""
        if pending.station and (pending.low_done or not self._early):
            return
        from dynamo.formats.radar.nexrad import decode

        rays, station, _ = decode(data)
        pending.station = pending.station or station or next((ray.station for ray in rays), "")
        pending.low += [(ray.number, ray.status) for ray in rays if ray.elevation_number == 1]

    def _finished(self, station: str, volume: str) -> bool:
        return any((self.spool / (_joined_name(station, volume) + suffix)).exists() for suffix in ("", "_incomplete"))

    def _finish(self, key: _Key, pending: _Pending, suffix: str, sink: Sink) -> None:
        self._join(key, pending, suffix, sink)
        del self._pending[key]
        self._done.add(key)

    def _join(self, key: _Key, pending: _Pending, suffix: str, sink: Sink) -> None:
        parts = [pending.paths[number].read_bytes() for number in sorted(pending.paths)]
        path = self.spool / (_joined_name(pending.station, key[1]) + suffix)
        write_bytes(path, b"".join(parts))
        sink(Candidate(self.name, path, "moved", self._clock()))


def is_whole(data: bytes) -> bool:
    """Whether the records of a chunk end with its last byte."""
    place = VOLUME_HEADER_BYTES if is_volume(data[:24]) else 0
    while is_record(data[place : place + 14]):
        place += 4 + abs(int.from_bytes(data[place : place + 4], "big", signed=True))
    return place == len(data) > VOLUME_HEADER_BYTES


def _is_whole_cut(rays: list[tuple[int, int]]) -> bool:
    from dynamo.formats.radar.nexrad_rays import ENDS, STARTS

    statuses = {status for _, status in rays}
    numbers = {number for number, _ in rays}
    return bool(statuses & STARTS and statuses & ENDS) and len(numbers) == max(numbers) - min(numbers) + 1


def _joined_name(station: str, volume: str) -> str:
    return f"{station or 'RADAR'}{volume.replace('-', '_')}"
