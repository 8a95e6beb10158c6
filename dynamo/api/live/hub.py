"""One look at the stream for all who watch: a server's cost does not grow with its viewers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeVar

import orjson
from anyio import to_thread
from sqlalchemy.orm import Session

from dynamo.errors import DynamoError
from dynamo.store.engine import Store
from dynamo.store.stream import StreamPlace, StreamRow, begins_after, end_of_stream, read_stream
from dynamo.times import to_iso

log = logging.getLogger(__name__)
Found = TypeVar("Found")
#: Seconds between looks.
LOOK_S = 0.4
#: Something is sent at least this often, so that both sides notice a dead connection, seconds.
_QUIET_S = 15.0
#: A connection ends after this time, and the client comes back: by then its token may be revoked, seconds.
LONGEST_S = 600.0
_BATCH = 1000
#: What viewers that lag behind find without asking the store.
_REMEMBERED = 10_000

Event = tuple[StreamPlace, bytes]
Describe = Callable[[Session, Sequence[StreamRow]], Mapping[str, Any]]


def _undescribed(_session: Session, _rows: Sequence[StreamRow]) -> Mapping[str, Any]:
    return {}


class Hub:
    """Reads the stream while anybody watches, and hands each event to everybody once, in order.

    Parameters
    ----------
    store
        The store.
    stopping
        Set when the server is to stop: all connections end.
    describe
        Returns, of subjects of events, what they are now, as lists show it: viewers need not ask.
    """

    def __init__(self, store: Store, stopping: threading.Event, describe: Describe = _undescribed) -> None:
        self._store = store
        self._stopping = stopping
        self._describe = describe
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        #: All after it, up to the newest, is in `_recent`.
        self._begin: StreamPlace | None = None
        self._end = StreamPlace(0, 0)
        self._viewers = 0
        self._looker: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def watch(self, asked: StreamPlace | None) -> AsyncGenerator[bytes, None]:
        """Yield events as server-sent ones: after a place, or from now on.

        The first one, `ready`, only says where that is. If some after the place are gone, it is `reset`.
        """
        self._viewers += 1
        try:
            place, lost = await self._ask(lambda session: _entry(session, asked))
            yield _told(place, "reset" if lost else "ready")
            if self._looker is None:
                self._looker = asyncio.create_task(self._look())
            async for part in self._following(place):
                yield part
        finally:
            self._viewers -= 1

    async def _following(self, place: StreamPlace) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + LONGEST_S
        while not self._stopping.is_set() and loop.time() < ends:
            # Taken before the look: what comes during it is not missed.
            news = self._news
            events = await self._after(place)
            if events:
                place = events[-1][0]
                yield b"".join(text for _, text in events)
                continue
            try:
                await asyncio.wait_for(news.wait(), _QUIET_S)
            except TimeoutError:
                yield b": nothing new\n\n"

    async def _after(self, place: StreamPlace) -> Sequence[Event]:
        if self._begin is None or place < self._begin:
            return await self._ask(lambda session: self._read(session, place))
        if place >= self._end:
            return ()
        # From the newest back: most viewers have all but the last ones.
        later = list(takewhile(lambda event: event[0] > place, reversed(self._recent)))
        return later[: -_BATCH - 1 : -1]

    async def _look(self) -> None:
        """Look again and again while anybody watches."""
        try:
            self._recent.clear()
            self._begin = None
            while self._viewers and not self._stopping.is_set():
                try:
                    await self._look_once()
                except DynamoError as error:
                    log.warning("stream waits for the store: %s", error)
                await asyncio.sleep(LOOK_S)
        finally:
            self._looker = None
            self._begin = None
            self._tell()

    async def _look_once(self) -> None:
        if self._begin is None:
            self._begin = self._end = await self._ask(end_of_stream)
            self._tell()
        while events := await self._ask(lambda session: self._read(session, self._end)):
            dropped = len(self._recent) + len(events) - _REMEMBERED
            if dropped > 0:
                self._begin = self._recent[dropped - 1][0] if dropped <= len(self._recent) else self._end
            self._recent.extend(events)
            self._end = events[-1][0]
            self._tell()

    def _read(self, session: Session, place: StreamPlace) -> list[Event]:
        rows = read_stream(session, place, _BATCH)
        items = self._describe(session, rows) if rows else {}
        return [(StreamPlace(row.xid, row.id), _event(row, items.get(row.subject))) for row in rows]

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _ask(self, question: Callable[[Session], Found]) -> Found:
        def ask() -> Found:
            with self._store.reading() as session:
                return question(session)

        return await to_thread.run_sync(ask)


def _entry(session: Session, asked: StreamPlace | None) -> tuple[StreamPlace, bool]:
    """Return where a viewer begins, and whether that leaves out something."""
    end = end_of_stream(session)
    if asked is None or asked == end:
        return end, False
    if asked > end or begins_after(session, asked):
        return end, True
    return asked, False


def _event(row: StreamRow, item: Any) -> bytes:
    place = StreamPlace(row.xid, row.id)
    data = {"id": str(place), "at": to_iso(row.at), "kind": row.kind, "subject": row.subject, "data": row.data}
    if item is not None:
        data["item"] = item
    # JSON has no line breaks that would end the field early.
    return f"id: {place}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _told(place: StreamPlace, what: str) -> bytes:
    return f"id: {place}\nevent: {what}\ndata: {{}}\n\n".encode()
