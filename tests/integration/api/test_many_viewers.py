"""Two hundred viewers of the stream of a real `dynamo serve` that is killed, and viewers that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import insert

from dynamo.api.server import start
from dynamo.api.settings import ApiSettings
from dynamo.runs.ledger import decide
from dynamo.store.engine import Store, open_store
from dynamo.store.models import RunDecision
from dynamo.times import utc_now
from tests.integration.test_store import new_database
from tests.waiting import PATIENCE, wait_for

LAST = "last"
#: More than the kernel holds back for a viewer that does not read.
EVENTS = 20_000
SUBJECT = "x" * 400
SILENT = 30


@dataclass
class Viewer:
    """Goes on where it was for as long as it has not seen the last event."""

    url: str
    last_id: str = ""
    subjects: list[str] = field(default_factory=list)
    connections: int = 0
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        while LAST not in self.subjects[-1:]:
            # The server is killed, or refuses so many at once.
            with contextlib.suppress(OSError, EOFError):
                await self._connection()
            await asyncio.sleep(1)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
        try:
            told = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
            # Answers to HTTP/1.0 are not cut into chunks.
            writer.write(f"GET /v1/stream HTTP/1.0\r\nHost: 127.0.0.1\r\n{told}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 429 " in head.partition(b"\r\n")[0]:
                return
            assert b" 200 " in head.partition(b"\r\n")[0]
            self.connections += 1
            assert b"event: ready\n" in await self._block(reader)
            self.entered.set()
            while LAST not in self.subjects[-1:]:
                block = await self._block(reader)
                if b"\ndata: " in block:
                    self.subjects.append(json.loads(block.partition(b"\ndata: ")[2])["subject"])
        finally:
            writer.close()

    async def _block(self, reader: asyncio.StreamReader) -> bytes:
        block = await reader.readuntil(b"\n\n")
        if block.startswith(b"id: "):
            self.last_id = block[4 : block.index(b"\n")].decode()
        return block


class Writer(threading.Thread):
    """Commits events until it is stopped; remembers what it committed, in order."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self._url, self._name = url, name
        self.stopping = threading.Event()
        self.committed: list[str] = []

    def run(self) -> None:
        store = open_store(self._url)
        while not self.stopping.wait(0.1):
            subject = f"{self._name} {len(self.committed)}"
            with store.transaction() as session:
                decide(session, subject, "start", "why")
            self.committed.append(subject)
        store.close()


def store_in(url: str, folder: Path) -> contextlib.closing[Store]:
    """Open a store, which `dynamo.toml` in a folder names."""
    (folder / "dynamo.toml").write_text(f'[store]\nurl = "{url}"\n')
    return contextlib.closing(open_store(url))


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[tuple[str, int]]:
    """Run `dynamo serve`; yield its address and the number of its process, which is killed in the end."""
    command = [sys.executable, "-m", "dynamo", "serve", "--json", "--listen", f"127.0.0.1:{port}"]
    with (
        (folder / "serve.log").open("ab") as log,
        subprocess.Popen(
            [*command, "--config", str(folder / "dynamo.toml")], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.kill()


def open_files(process: int) -> int:
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def memory_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize(
    ("database", "count"), [("sqlite", 200), pytest.param("postgresql", 40, marks=pytest.mark.postgres)]
)
def test_each_viewer_sees_each_event_once_though_the_server_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, count: int
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite"
    if database == "postgresql":
        url = new_database(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template"))
    with store_in(url, tmp_path) as store:
        writers = [Writer(url, name) for name in "ab"]
        # In a thread of its own: tests of the browser leave a loop in this one.
        with ThreadPoolExecutor(1) as apart:
            viewers = apart.submit(asyncio.run, watch_while_killed(store, writers, tmp_path, count)).result()
    committed = [writer.committed for writer in writers]
    first = viewers[0].subjects
    assert [[subject for subject in first if subject[0] == name] for name in "ab"] == committed
    assert len(first) == sum(map(len, committed)) + 1
    assert [viewer.subjects == first for viewer in viewers] == [True] * count
    assert min(viewer.connections for viewer in viewers) >= 3


async def watch_while_killed(store: Store, writers: list[Writer], folder: Path, count: int) -> list[Viewer]:
    with served(folder) as (url, server):
        port = int(url.rpartition(":")[2])
        idle = open_files(server)
        viewers = [Viewer(url) for _ in range(count)]
        watching = asyncio.gather(*(viewer.watch() for viewer in viewers))
        await asyncio.wait_for(asyncio.gather(*(viewer.entered.wait() for viewer in viewers)), PATIENCE * 30)
        for writer in writers:
            writer.start()
        await seen(viewers, 5)
        # One connection each, and those of the store's pool.
        assert open_files(server) <= idle + count + 40
    begun = len(writers[0].committed)
    await asyncio.to_thread(wait_for, lambda: len(writers[0].committed) > begun)
    with served(folder, port):
        await seen(viewers, max(len(viewer.subjects) for viewer in viewers) + 5)
    with served(folder, port) as (_, server):
        for writer in writers:
            writer.stopping.set()
            await asyncio.to_thread(writer.join)
        with store.transaction() as session:
            decide(session, LAST, "start", "why")
        await asyncio.wait_for(watching, PATIENCE * 30)
        await asyncio.to_thread(wait_for, lambda: open_files(server) <= idle + 40)
    return viewers


async def seen(viewers: list[Viewer], count: int) -> None:
    deadline = time.monotonic() + PATIENCE * 30
    while min(len(viewer.subjects) for viewer in viewers) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def fill(store: Store) -> None:
    """Commit many long events at once."""
    row = {"time": utc_now(), "subject": SUBJECT, "action": "start", "reason": "", "data": {}}
    with store.transaction() as session:
        session.execute(insert(RunDecision), [row] * EVENTS)


def take(viewer: socket.socket) -> None:
    """Read what `fill` committed."""
    left = EVENTS * len(SUBJECT)
    while left > 0:
        left -= len(viewer.recv(2**20))


def was_reset(viewer: socket.socket) -> bool:
    """Return whether the server cut a connection off, without reading from it."""
    try:
        viewer.send(b"x")
    except OSError:
        return True
    return False


def silent(url: str) -> socket.socket:
    """Connect to the stream, and read nothing but the beginning of the answer."""
    port = int(url.rpartition(":")[2])
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(PATIENCE * 10)
    made.connect(("127.0.0.1", port))
    made.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b"200 OK" in made.recv(60)
    return made


def test_viewers_that_do_not_read_take_little_memory(tmp_path: Path) -> None:
    with store_in(f"sqlite:///{tmp_path}/store.sqlite", tmp_path) as store, served(tmp_path) as (url, server):
        with contextlib.closing(silent(url)) as first:
            # What the server remembers for all of them.
            fill(store)
            take(first)
            before = memory_mb(server)
        with contextlib.ExitStack() as stack:
            for _ in range(SILENT):
                stack.enter_context(contextlib.closing(silent(url)))
            witness = stack.enter_context(contextlib.closing(silent(url)))
            fill(store)
            take(witness)
            assert memory_mb(server) < before + SILENT * EVENTS * len(SUBJECT) / 2**20 / 4


def test_a_viewer_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    settings = ApiSettings(open_to_user=True, reading_timeout_s=0.5)
    with contextlib.closing(open_store(tmp_path / "store.sqlite")) as store:
        server = start(store, tmp_path, "127.0.0.1", 0, settings=settings)
        try:
            with contextlib.closing(silent(server.url)) as viewer:
                fill(store)
                wait_for(lambda: was_reset(viewer))
        finally:
            server.stop()
