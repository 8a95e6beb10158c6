"""``kill -9`` at random moments loses no arrival and publishes none twice.

``DYNAMO_KILLS=50`` kills as often; the moments of the fewer kills are spread over the same times of a life.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from functools import partial
from pathlib import Path

import orjson
import pytest
from sqlalchemy import func, select

from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Run
from tests.integration.watch.watch_support import DaemonProcess, write_small
from tests.waiting import PATIENCE, wait_for

KILLS = int(os.environ.get("DYNAMO_KILLS", "16"))
#: Seconds from the first file of a life, and from the start of Python.
SINCE_WORK_S, SINCE_START_S = (0.0, 1.2), (0.2, 2.0)
#: Files that come in each life, however long it takes to start: a slow machine has no more to do than another one.
FILES = 6
SEED = 20260520
CONFIG = """
[runs]
min_free_mb = 0
keep_succeeded_h = 0
[[feeds]]
name = "nowcasts"
path = "incoming"
settle_s = 0.3
rescan_s = 1
[[triggers]]
name = "nowcast"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [30, 45], min_points = 4 }
deadline_s = 0
"""


class _Writer(threading.Thread):
    """Writes a file into the feed at random moments, as many as there may be, until it is told to end."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.written: list[Path] = []
        self.most = 0
        self._folder = folder
        self._chance = chance
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(self._chance.uniform(0.05, 0.5)):
            minute = len(self.written)
            if minute >= self.most:
                continue
            if minute % 10 == 9:
                (self._folder / f"broken{minute}.nc").write_bytes(b"CDF\x01 and then nothing")
            # Each of its own: a nowcast that repeats another one is kept back.
            self.written.append(write_small(self._folder, minute, peak_dbz=60.0 - minute / 100))

    def finish(self) -> None:
        self._end.set()
        self.join()


@pytest.mark.timeout(600 + 20 * KILLS)
def test_kills_lose_nothing_and_publish_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    writer = _Writer(incoming, random.Random(SEED + 1))
    writer.start()
    resumed = 0
    since_work, since_start = moments(chance, SINCE_WORK_S), moments(chance, SINCE_START_S)
    for number in range(KILLS):
        writer.most += FILES
        daemon = DaemonProcess(tmp_path, log=f"watch{number}.log")
        if number % 2:
            # In every second life the moment is counted from where work begins, not from the start of Python.
            wait_for(partial(_has_work, daemon), what="the first file of a life")
            time.sleep(since_work.pop())
        else:
            time.sleep(since_start.pop())
        daemon.kill()
        resumed += _unfinished(tmp_path)
    writer.finish()
    last = DaemonProcess(tmp_path, "--once")
    assert last.process.wait(PATIENCE * 60) == 0, last.log.read_text()[-3000:]

    sums = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in writer.written}
    assert len(sums) == len(writer.written) > KILLS
    published: dict[str, list[str]] = {}
    for index in sorted((tmp_path / "products" / "nowcast").glob("*/*/index.json")):
        data = orjson.loads(index.read_bytes())
        published.setdefault(data["inputs"][0]["sha256"], []).append(data["key"])
        assert len(data["products"]) == 4
        for product in data["products"]:
            content = (index.parent / product["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == product["sha256"], (index, product)
    missing = [path.name for digest, path in sums.items() if digest not in published]
    assert not missing
    assert {digest: len(keys) for digest, keys in published.items() if len(keys) != 1} == {}
    assert set(published) == set(sums)

    store = open_store(tmp_path / ".dynamo" / "store.sqlite")
    with store.reading() as session:
        states = {row[0]: row[1] for row in session.execute(select(Run.state, func.count()).group_by(Run.state))}
        accepted = session.scalars(select(Arrival.sha256).where(Arrival.state == "accepted")).all()
        broken = session.scalars(select(Arrival).where(Arrival.state == "quarantined")).all()
    store.close()
    assert states == {"succeeded": len(sums)}
    assert resumed >= KILLS // 5, "the kills did not meet runs under way: the test has lost its point"
    assert sorted(map(str, accepted)) == sorted(sums)
    assert len(broken) == len(writer.written) // 10
    assert not list(incoming.glob("broken*"))
    newest = max(writer.written)
    latest = orjson.loads((tmp_path / "products" / "nowcast" / "latest" / "index.json").read_bytes())
    assert latest["inputs"][0]["path"].endswith(newest.name)


def moments(chance: random.Random, between: tuple[float, float]) -> list[float]:
    """Return a moment in each of as many equal parts of a time as there are lives of a kind, in random order."""
    lives = KILLS // 2 + 1
    first, last = between
    found = [first + (last - first) * (part + chance.random()) / lives for part in range(lives)]
    chance.shuffle(found)
    return found


def _has_work(daemon: DaemonProcess) -> bool:
    return b"msg=arrival" in daemon.log.read_bytes()


def _unfinished(root: Path) -> int:
    """Return how many runs were given to the engine, or were being published, when the daemon was killed."""
    if not (root / ".dynamo" / "store.sqlite").exists():
        return 0
    store = open_store(root / ".dynamo" / "store.sqlite")
    with store.reading() as session:
        under_way = Run.state.in_(("planned", "submitted", "running", "publishing"))
        count = session.scalar(select(func.count()).select_from(Run).where(under_way))
    store.close()
    return count or 0
