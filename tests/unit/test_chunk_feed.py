"""The feed that joins NEXRAD real-time chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dynamo.errors import InputError
from dynamo.feeds.base import Candidate
from dynamo.feeds.chunks import ChunkFeed
from dynamo.formats.radar import read_volume
from dynamo.times import utc_now
from tests.unit.radar_files import level2_chunks

FINAL = "KFWS20190609_222500"


@contextmanager
def feed(tmp_path: Path, *, later_s: float = 0.0, early: bool = True) -> Iterator[ChunkFeed]:
    (tmp_path / "in" / "KFWS").mkdir(parents=True, exist_ok=True)
    made = ChunkFeed(
        "level2",
        path=tmp_path / "in",
        spool=tmp_path / "spool",
        timeout_s=60,
        early=early,
        clock=lambda: utc_now() + timedelta(seconds=later_s),
    )
    try:
        yield made
    finally:
        made.stop()


def put(tmp_path: Path, chunks: list[tuple[str, bytes]]) -> None:
    for name, data in chunks:
        partial = tmp_path / "in" / "KFWS" / f".{name}.part"
        partial.write_bytes(data)
        partial.rename(partial.with_name(name))


def names(found: list[Candidate]) -> list[str]:
    return [candidate.path.name for candidate in found]


def test_a_volume_is_joined_once_and_its_low_sweep_early(tmp_path: Path) -> None:
    chunks = level2_chunks()
    found: list[Candidate] = []
    with feed(tmp_path) as chunk_feed:
        put(tmp_path, chunks[:5])
        chunk_feed.scan(found.append)
        assert names(found)[0] == f"{FINAL}_low"
        assert len(read_volume(found[0].path).sweeps) == 2
        put(tmp_path, list(reversed(chunks[5:])))
        found.clear()
        chunk_feed.scan(found.append)
        assert names(found)[0] == FINAL
    joined = tmp_path / "spool" / FINAL
    assert joined.read_bytes() == b"".join(data for _, data in chunks)
    assert read_volume(joined).flags == ()
    before = joined.stat().st_mtime_ns
    with feed(tmp_path) as again:
        again.scan(found.append)
    assert joined.stat().st_mtime_ns == before


def test_a_volume_without_end_is_handed_over_after_the_time_out(tmp_path: Path) -> None:
    put_first = level2_chunks()[:-1]
    found: list[Candidate] = []
    with feed(tmp_path, early=False) as chunk_feed:
        put(tmp_path, put_first)
        chunk_feed.scan(found.append)
        assert not found
    with feed(tmp_path, early=False, later_s=120) as chunk_feed:
        chunk_feed.scan(found.append)
        assert names(found)[0] == f"{FINAL}_incomplete"
        put(tmp_path, level2_chunks()[-1:])
        chunk_feed.scan(found.append)
    assert not (tmp_path / "spool" / FINAL).exists()
    assert "incomplete: no end of the volume" in read_volume(found[0].path).flags


def test_half_a_chunk_is_waited_for_and_garbage_is_handed_on(tmp_path: Path) -> None:
    chunks = level2_chunks(cuts=1)
    found: list[Candidate] = []
    with feed(tmp_path, early=False) as chunk_feed:
        put(tmp_path, chunks)
        half = tmp_path / "in" / "KFWS" / chunks[2][0]
        half.write_bytes(chunks[2][1][:40])
        (tmp_path / "in" / "KFWS" / "20190609-223000-001-S").write_bytes(b"<html>404</html>")
        chunk_feed.scan(found.append)
        assert names(found) == ["20190609-223000-001-S"]
        half.write_bytes(chunks[2][1])
        found.clear()
        chunk_feed.scan(found.append)
        assert FINAL in names(found)


def test_chunks_are_joined_as_they_come(tmp_path: Path) -> None:
    found: list[Candidate] = []
    with feed(tmp_path) as chunk_feed:
        chunk_feed.start(found.append)
        put(tmp_path, level2_chunks())
        deadline = time.monotonic() + 10
        while FINAL not in names(found) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert names(found) == [f"{FINAL}_low", FINAL]


def test_the_spool_must_not_be_watched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inside the watched folder"):
        ChunkFeed("level2", path=tmp_path, spool=tmp_path / "spool")
