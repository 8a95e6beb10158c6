"""Feed kind `nexrad-chunks`: real-time chunks of NEXRAD volumes in, whole Archive II volumes out.

Chunks (`.../YYYYmmdd-HHMMSS-NNN-K`) arrive in any order in a folder or its subfolders, from one radar or many: the
station is read from the chunks. They are joined in a spool folder, and the feed hands over the joined files:

- ``KLOT20210729_123848_low``: as soon as the lowest elevation is whole, minutes before the volume ends;
- ``KLOT20210729_123848``: the whole volume;
- ``KLOT20210729_123848_incomplete``: what had arrived at the timeout, or what is left after chunks were removed.

The spool is the memory: a volume whose last file is there is done, and its late chunks are ignored. Joined files are
removed after a while; an empty ``.KLOT20210729_123848.done`` replaces them while the watched folder still holds chunks
of the volume.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from dynamo.config.feeds import FeedSection
from dynamo.config.file import Config
from dynamo.errors import InputError
from dynamo.feeds.base import Candidate, FeedKind, FeedParts, Sink
from dynamo.feeds.chunk_content import is_whole, is_whole_cut, station_of
from dynamo.feeds.chunk_spool import ChunkSpool
from dynamo.feeds.directory import DirectoryFeed, folder_problem
from dynamo.formats.radar.nexrad_records import is_record, is_volume
from dynamo.times import from_epoch, utc_now

_PATTERNS = ("*-S", "*-I", "*-E")
#: Folder, station (empty while unknown) and time stamp of a volume.
_Key = tuple[Path, str, str]
#: The largest chunk to open; real ones have up to 0.3 MB.
_MAX_CHUNK_BYTES = 32 * 1024 * 1024
_log = logging.getLogger("dynamo.feeds")


class ChunkOptions(FeedSection):
    """Real-time chunks of Level II volumes, joined as they arrive."""

    kind: Literal["nexrad-chunks"] = "nexrad-chunks"
    path: str = Field(
        min_length=1, description="Folder where chunks arrive, itself or its subfolders.", examples=["chunks"]
    )
    spool: str | None = Field(
        None,
        description="Folder for joined volumes. Default: `spool/NAME` in `folders.state`.",
        examples=[".dynamo/spool/nowcasts"],
    )
    timeout_s: float = Field(420.0, gt=0, description="Close a volume after N seconds without a new chunk.")
    keep_h: float = Field(24.0, gt=0, description="Hours to keep joined volumes.")
    early: bool = Field(True, description="Hand over the lowest elevation before the volume is complete.")


@dataclass
class _Pending:
    """An unfinished volume."""

    paths: dict[int, Path] = field(default_factory=dict)
    end: int | None = None
    last_at: datetime | None = None
    #: Ray numbers and statuses of the lowest elevation, until it is handed over.
    low: list[tuple[int, int]] = field(default_factory=list)
    low_done: bool = False

    @property
    def complete(self) -> bool:
        """Whether the last chunk and all before it are here."""
        return self.end is not None and all(number in self.paths for number in range(1, self.end + 1))


class ChunkFeed:
    """A feed that joins chunks; see the module.

    Parameters
    ----------
    name
        Name of the feed.
    path
        Folder where chunks arrive, itself or its subfolders.
    spool
        Where joined volumes are written; on the same machine, not inside ``path``.
    timeout_s
        Close a volume after this many seconds without a new chunk.
    early
        Hand over the lowest elevation before the volume is complete.
    keep_h
        Joined files older than this are removed from the spool, and not handed over again.
    clock
        Returns the current time.

    Raises
    ------
    InputError
        If ``path`` is not a folder, or ``spool`` is inside it.
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
        keep_h: float = 24.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if spool.resolve().is_relative_to(path.resolve()):
            raise InputError("is inside the watched folder", where=spool, expected="a spool folder outside it")
        self.name = name
        self.spool = spool
        self._spool = ChunkSpool(spool, keep_h)
        self._inner = DirectoryFeed(name, path=path, patterns=_PATTERNS, recursive=True)
        self._timeout_s = timeout_s
        self._early = early
        self._clock = clock
        self._pending: dict[_Key, _Pending] = {}
        self._done: set[_Key] = set()
        #: The volume of each chunk in the folder, so that a scan need not read it again.
        self._known: dict[Path, _Key] = {}
        self._seen: set[Path] = set()
        self._guard = threading.Lock()

    def start(self, sink: Sink) -> None:
        """Start joining chunks as they are closed or moved in."""
        self._inner.start(lambda candidate: self._take(candidate, sink))

    def scan(self, sink: Sink) -> int:
        """Join everything present, hand over timed-out volumes and all joined files; return how many."""
        with self._guard:
            self._seen.clear()
        self._inner.scan(lambda candidate: self._take(candidate, sink))
        with self._guard:
            now = self._clock()
            for key, pending in list(self._pending.items()):
                idle_s = 0.0 if pending.last_at is None else (now - pending.last_at).total_seconds()
                if pending.complete or idle_s > self._timeout_s:
                    self._safely(_joined_name(key), partial(self._finish, key, pending))
            self._forget()
            joined = self._spool.clean(now, {_joined_name(key) for key in self._known.values()})
        for path in joined:
            sink(Candidate(self.name, path, "moved", now))
        return len(joined)

    def healthy(self) -> bool:
        """Whether the watching thread is alive."""
        return self._inner.healthy()

    def stop(self) -> None:
        """Stop watching."""
        self._inner.stop()

    def _take(self, candidate: Candidate, sink: Sink) -> None:
        with self._guard:
            self._seen.add(candidate.path)
            handed = self._safely(candidate.path, partial(self._look, candidate))
        if handed is not None:
            sink(candidate if handed == candidate.path else Candidate(self.name, handed, "moved", self._clock()))

    def _safely(self, what: object, act: Callable[[], Path | None]) -> Path | None:
        """Process one volume; if that fails the others go on, and the next scan retries."""
        try:
            return act()
        except (OSError, InputError) as error:
            _log.warning("chunks of %s: %s", what, error)
            return None

    def _look(self, candidate: Candidate) -> Path | None:
        """Take a chunk; return what to hand over: a joined file, or the file itself if it is not a chunk."""
        from dynamo.formats.radar.chunks import chunk_name

        path = candidate.path
        try:
            chunk = chunk_name(path.name)
        except InputError:
            return path
        if self._has(self._known.get(path), chunk.number):
            return None
        try:
            about = path.stat()
            if about.st_size > _MAX_CHUNK_BYTES:
                return path
            data = path.read_bytes()
        except OSError:
            # It has since been removed, or the next scan will find it.
            return None
        if not is_whole(data):
            # A partial chunk may become whole; what is not a chunk at all is handled as a bad file.
            return path if candidate.told or not (is_volume(data[:4]) or is_record(data[:14])) else None
        at = candidate.seen_at if candidate.told else from_epoch(about.st_mtime)
        key = self._key(path.parent, station_of(data), chunk.volume)
        self._known[path] = key
        if key not in self._done and self._spool.finished(_joined_name(key)):
            self._done.add(key)
            self._pending.pop(key, None)
        if self._has(key, chunk.number):
            return None
        pending = self._pending.setdefault(key, _Pending())
        pending.paths[chunk.number] = path
        pending.end = chunk.number if chunk.kind == "E" else pending.end
        pending.last_at = at if pending.last_at is None else max(at, pending.last_at)
        if self._early and not pending.low_done:
            self._note(pending, data)
        if pending.complete:
            return self._finish(key, pending)
        if self._early and not pending.low_done and is_whole_cut(pending.low):
            joined = self._join(key, pending, "_low")
            pending.low_done = True
            pending.low.clear()
            return joined
        return None

    def _has(self, key: _Key | None, number: int) -> bool:
        """Whether a chunk is already here, or comes too late."""
        return key is not None and (key in self._done or (key in self._pending and number in self._pending[key].paths))

    def _key(self, folder: Path, station: str, volume: str) -> _Key:
        """Return the volume of a chunk; one without a station joins the only volume with its time stamp."""
        key = (folder, station, volume)
        if not station:
            others = {one for one in (*self._pending, *self._done) if (one[0], one[2]) == (folder, volume)}
            return others.pop() if len(others) == 1 else key
        nameless = (folder, "", volume)
        if nameless in self._pending and key not in self._pending:
            self._pending[key] = self._pending.pop(nameless)
            self._known |= dict.fromkeys(self._pending[key].paths.values(), key)
        return key

    def _note(self, pending: _Pending, data: bytes) -> None:
        """Note how much of the lowest elevation has arrived."""
        from dynamo.formats.radar.nexrad_sweeps import decode

        pending.low += [(ray.number, ray.status) for ray in decode(data)[0] if ray.elevation_number == 1]

    def _finish(self, key: _Key, pending: _Pending) -> Path | None:
        path = self._join(key, pending, "" if pending.complete else "_incomplete")
        if self._pending.pop(key, None) is not None:
            self._done.add(key)
        return path

    def _join(self, key: _Key, pending: _Pending, suffix: str) -> Path | None:
        """Write the joined file; if all its chunks were removed, drop the volume and return None."""
        parts = []
        for number, path in sorted(pending.paths.items()):
            try:
                parts.append(path.read_bytes())
            except OSError:
                # Something is cleaning up the folder: what is left is better than nothing.
                del pending.paths[number]
        if not parts:
            del self._pending[key]
            return None
        if not suffix and not pending.complete:
            suffix = "_incomplete"
        return self._spool.write(_joined_name(key) + suffix, parts)

    def _forget(self) -> None:
        """Forget chunks that are gone, and finished volumes without chunks."""
        self._known = {path: key for path, key in self._known.items() if path in self._seen}
        self._done &= set(self._known.values())


def _joined_name(key: _Key) -> str:
    return f"{key[1] or 'RADAR'}{key[2].replace('-', '_')}"


def _make(options: ChunkOptions, parts: FeedParts) -> ChunkFeed:
    config = parts.config
    return ChunkFeed(
        options.name,
        path=config.path(options.path),
        spool=config.path(options.spool) if options.spool else config.state_dir / "spool" / options.name,
        timeout_s=options.timeout_s,
        early=options.early,
        keep_h=options.keep_h,
    )


def _problem(options: ChunkOptions, config: Config) -> str:
    return str(folder_problem(options.name, config.path(options.path)) or "")


KIND = FeedKind(ChunkOptions, _make, problem=_problem)
