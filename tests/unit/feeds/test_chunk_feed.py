"""The feed that joins NEXRAD real-time chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dynamo.errors import InputError
from dynamo.feeds.base import Candidate
from dynamo.feeds.chunk_content import station_of
from dynamo.feeds.chunks import ChunkFeed
from dynamo.formats.radar import read_volume
from dynamo.simulate.formats.nexrad_messages import record
from dynamo.times import utc_now
from tests.unit.formats.radar_files import level2_chunks
from tests.waiting import wait_for

FINAL = "KFWS20190609_222500"


@contextmanager
def feed(
    tmp_path: Path, *, later_s: float = 0.0, early: bool = True, clock: Callable[[], datetime] | None = None
) -> Iterator[ChunkFeed]:
    (tmp_path / "in" / "KFWS").mkdir(parents=True, exist_ok=True)
    made = ChunkFeed(
        "level2",
        path=tmp_path / "in",
        spool=tmp_path / "spool",
        timeout_s=60,
        early=early,
        clock=clock or (lambda: utc_now() + timedelta(seconds=later_s)),
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
        wait_for(lambda: FINAL in names(found))
    assert names(found) == [f"{FINAL}_low", FINAL]


def test_the_spool_must_not_be_watched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inside the watched folder"):
        ChunkFeed("level2", path=tmp_path, spool=tmp_path / "spool")


def test_removed_chunks_do_not_stop_the_feed(tmp_path: Path) -> None:
    chunks = level2_chunks()
    other = [(name.replace("222500", "223000"), data) for name, data in chunks]
    folder = tmp_path / "in" / "KFWS"
    found: list[Candidate] = []
    now = [utc_now()]
    with feed(tmp_path, early=False, clock=lambda: now[0]) as chunk_feed:
        put(tmp_path, [*chunks[:3], other[0]])
        chunk_feed.scan(found.append)
        assert not found
        (folder / chunks[1][0]).unlink()
        (folder / other[0][0]).unlink()
        now[0] += timedelta(seconds=600)
        for _ in range(2):
            chunk_feed.scan(found.append)
    assert set(names(found)) == {f"{FINAL}_incomplete"}
    assert found[0].path.read_bytes() == chunks[0][1] + chunks[2][1]


def test_a_volume_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    chunks = level2_chunks()
    found: list[Candidate] = []
    with feed(tmp_path, early=False) as chunk_feed:
        (tmp_path / "spool" / FINAL).mkdir(parents=True)
        put(tmp_path, chunks)
        put(tmp_path, [(name.replace("222500", "223000"), data) for name, data in chunks])
        chunk_feed.scan(found.append)
        assert set(names(found)) == {"KFWS20190609_223000"}
        (tmp_path / "spool" / FINAL).rmdir()
        found.clear()
        chunk_feed.scan(found.append)
        assert FINAL in names(found)


def test_a_station_is_no_path(tmp_path: Path) -> None:
    found: list[Candidate] = []
    chunks = level2_chunks(cuts=1, station=b"../x")
    with feed(tmp_path) as chunk_feed:
        put(tmp_path, chunks)
        chunk_feed.scan(found.append)
    assert {candidate.path.parent for candidate in found} == {tmp_path / "spool"}
    assert "RADAR20190609_222500" in names(found)
    assert not list(tmp_path.glob("x*"))
    assert station_of(chunks[1][1]) == station_of(b"") == station_of(record([b"x"])) == ""
    assert [station_of(data) for _, data in level2_chunks(cuts=1)] == ["KFWS"] * 4


def test_two_radars_with_one_stamp_in_one_folder_stay_apart(tmp_path: Path) -> None:
    here = [(f"one-{name}", data) for name, data in level2_chunks()]
    there = [(f"two-{name}", data) for name, data in level2_chunks(station=b"KTLX", place=(35.333, -97.278))]
    found: list[Candidate] = []
    with feed(tmp_path, early=False) as chunk_feed:
        put(tmp_path, [chunk for pair in zip(there, here, strict=True) for chunk in pair][:-1])
        chunk_feed.scan(found.append)
        assert set(names(found)) == {"KTLX20190609_222500"}
        put(tmp_path, here[-1:])
        chunk_feed.scan(found.append)
    assert set(names(found)) == {FINAL, "KTLX20190609_222500"}
    volumes = [read_volume(tmp_path / "spool" / name) for name in (FINAL, "KTLX20190609_222500")]
    assert [(volume.site.radar, volume.flags, len(volume.sweeps)) for volume in volumes] == [
        ("KFWS", (), 2),
        ("KTLX", (), 2),
    ]


def test_chunks_that_do_not_tell_their_station_join_the_others(tmp_path: Path) -> None:
    chunks = level2_chunks()
    # Without rays and header nothing tells whose it is.
    chunks[2] = (chunks[2][0], record([bytes(2432)]))
    for order in (chunks, [chunks[2], *chunks[:2], *chunks[3:]]):
        found: list[Candidate] = []
        folder = tmp_path / str(id(order))
        with feed(folder, early=False) as chunk_feed:
            for chunk in order:
                put(folder, [chunk])
                chunk_feed.scan(found.append)
        assert set(names(found)) == {FINAL}


def test_the_spool_is_cleaned_and_its_volumes_stay_done(tmp_path: Path) -> None:
    day_s = 86_400.0
    found: list[Candidate] = []
    spool, folder = tmp_path / "spool", tmp_path / "in" / "KFWS"
    chunks = level2_chunks()
    with feed(tmp_path) as chunk_feed:
        put(tmp_path, chunks)
        chunk_feed.scan(found.append)
    (spool / "notes.txt").write_text("not of the feed")
    (spool / f".{FINAL}.77.part").write_text("left by a kill")
    for day in (1.1, 2.5, 9.0):
        found.clear()
        with feed(tmp_path, later_s=day * day_s) as chunk_feed:
            for _ in range(2):
                assert chunk_feed.scan(found.append) == 0
        assert not found
        assert sorted(path.name for path in spool.iterdir()) == [f".{FINAL}.done", "notes.txt"]
    for path in folder.iterdir():
        path.unlink()
    with feed(tmp_path, later_s=9 * day_s) as chunk_feed:
        chunk_feed.scan(found.append)
    assert [path.name for path in spool.iterdir()] == ["notes.txt"]


def test_the_time_in_the_spool_is_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keep_h"):
        ChunkFeed("level2", path=tmp_path, spool=tmp_path.with_name("spool"), keep_h=0)
