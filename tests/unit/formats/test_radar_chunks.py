"""NEXRAD real-time chunks: late, twice, out of order, and never."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from dynamo.errors import InputError
from dynamo.formats.radar import read_volume
from dynamo.formats.radar.chunks import ChunkVolume, chunk_name
from dynamo.formats.radar.nexrad_records import unpack_records
from dynamo.simulate.formats.nexrad_messages import record
from tests.unit.formats.radar_files import START, level2_chunks, level2_header

STAMP = "20190609-222500"


def test_names() -> None:
    name = chunk_name("KLOT/230/20210729-123848-094-E")
    assert (name.volume, name.number, name.kind) == ("20210729-123848", 94, "E")
    assert name.time.isoformat() == "2021-07-29T12:38:48+00:00"
    for wrong in ("20210729-123848-094", "20211329-123848-001-S", "20210729-123848-094-X", ""):
        with pytest.raises(InputError):
            chunk_name(wrong)


def test_any_order_and_duplicates_give_the_same_volume() -> None:
    chunks = level2_chunks()
    ordered = ChunkVolume(STAMP)
    assert all(ordered.add(name, data) for name, data in chunks)
    assert ordered.complete
    mixed = ChunkVolume(STAMP)
    for name, data in random.Random(1).sample(chunks * 2, 2 * len(chunks)):
        mixed.add(name, data)
    assert mixed.complete
    assert mixed.flags() == ordered.flags() == ()
    for one, other in zip(mixed.to_volume().sweeps, ordered.to_volume().sweeps, strict=True):
        assert one.identical(other)


def test_low_sweeps_are_usable_before_the_volume_ends() -> None:
    volume = ChunkVolume(STAMP)
    released = []
    for name, data in level2_chunks(cuts=3):
        volume.add(name, data)
        released.append([sweep.attrs["fixed_angle_deg"] for sweep in volume.new_sweeps()])
    assert released == [[], [], [], [0.5], [], [], [1.5], [], [], [2.5]]


def test_a_cut_with_a_late_chunk_waits_for_it() -> None:
    chunks = level2_chunks(cuts=1)
    volume = ChunkVolume(STAMP)
    for name, data in (chunks[0], chunks[1], chunks[3]):
        volume.add(name, data)
    assert volume.new_sweeps() == []
    assert volume.missing == (3,)
    volume.add(*chunks[2])
    assert [sweep.sizes["azimuth"] for sweep in volume.new_sweeps()] == [36]


def test_a_missing_end_times_out_and_the_rest_is_flagged() -> None:
    volume = ChunkVolume(STAMP)
    for name, data in level2_chunks()[:-1]:
        volume.add(name, data, at=START)
    assert not volume.expired(START + timedelta(seconds=59), 60)
    assert volume.expired(START + timedelta(seconds=61), 60)
    result = volume.to_volume()
    assert {"incomplete: no end chunk", "incomplete: no end of the volume"} <= set(result.flags)
    assert result.sweeps[0].sizes["azimuth"] == 36
    assert "partial sweep" in result.sweeps[1].attrs["flags"]


def test_missing_start_and_middle_are_named() -> None:
    chunks = level2_chunks()
    volume = ChunkVolume(STAMP)
    for index in (1, 2, 4, 5, 6):
        volume.add(*chunks[index])
    assert not volume.complete
    assert volume.flags()[0] == "incomplete: 2 chunks missing (1, 4)"
    assert volume.to_volume().site.radar == "KFWS"


def test_foreign_chunks_are_refused() -> None:
    volume = ChunkVolume(STAMP)
    name, data = level2_chunks()[1]
    with pytest.raises(InputError, match="a chunk of volume"):
        volume.add("20190609-223000-002-I", data)
    with pytest.raises(InputError, match="not a chunk"):
        volume.add(name, b"<html>not found</html>")
    volume.add(name, data)
    with pytest.raises(InputError, match="a chunk of KTLX"):
        volume.add("20190609-222500-001-S", level2_header(b"KTLX") + record([bytes(2432)]))


def test_a_damaged_chunk_is_flagged_and_a_different_double_too() -> None:
    chunks = level2_chunks()
    volume = ChunkVolume(STAMP)
    name, data = chunks[2]
    volume.add(name, data[:60])
    assert not volume.add(name, data)
    for other in (*chunks[:2], *chunks[3:]):
        volume.add(*other)
    assert {"chunk 3: truncated", "chunk 3 came twice with different content"} <= set(volume.flags())


def test_nothing_usable_is_an_error() -> None:
    volume = ChunkVolume(STAMP)
    volume.add(*level2_chunks()[0])
    with pytest.raises(InputError, match="no ray"):
        volume.to_volume()


def test_chunks_as_files(tmp_path: Path) -> None:
    paths = []
    for name, data in level2_chunks():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    whole = read_volume(list(reversed(paths)))
    assert whole.flags == ()
    assert len(whole.sweeps) == 2
    # An intermediate chunk alone is a run of rays: usable, and flagged.
    assert "incomplete: no start and no end of the volume" in read_volume(paths[2]).flags


def test_remarks_on_the_site_are_kept(tmp_path: Path) -> None:
    chunks = level2_chunks(place=(40.0, -80.0))
    volume = ChunkVolume(STAMP)
    paths = []
    for name, data in chunks:
        volume.add(name, data)
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    expected = "site corrected: the file says 40, -80 for KFWS"
    for flags in (volume.to_volume().flags, volume.flags(), read_volume(paths).flags):
        assert [flag for flag in flags if flag.startswith(expected)] == list(flags)
        assert len(flags) == 1


def test_chunks_that_unpack_to_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = level2_chunks()
    monkeypatch.setattr("dynamo.formats.radar.chunks.MAX_BYTES", 10_000)
    volume = ChunkVolume(STAMP)
    with pytest.raises(InputError, match="unpacked chunks too large"):
        volume.add_all(chunks)


def test_records_that_unpack_to_too_much_are_left_out() -> None:
    packed = record([bytes(32 * 1024 * 1024)])
    data = level2_header() + packed * 12
    assert len(data) < 1000
    records = unpack_records(data)
    assert sum(map(len, records.blocks)) == 32 * 1024 * 1024
    assert records.flags == ("damaged records: 11",)
    # Good records before the damage are kept.
    good = record([bytes(2432)])
    assert [len(block) for block in unpack_records(level2_header() + good * 5 + packed * 2).blocks][:5] == [2432] * 5
