from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from dynamo.errors import BusyError, InputError
from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, is_being_written, is_settled, look, name_problem, shown
from dynamo.feeds.directory import DirectoryFeed
from dynamo.feeds.quarantine import move_aside
from dynamo.inspection.look import inspect_input
from tests.waiting import wait_for


def test_looks_tell_what_can_never_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("none")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert look(tmp_path / "none") is None
    assert look(tmp_path / "file" / "below") is None
    problems = {path.name: seen.problem for path in tmp_path.iterdir() if (seen := look(path)) is not None}
    assert problems.pop("file") == problems.pop("link") == ""
    assert "directory" in problems["folder"]
    assert "circular" in problems["circle"]
    assert "broken" in problems["nowhere"]
    assert "pipe" in problems["pipe"]


@pytest.mark.parametrize(
    ("changed", "now", "settled"),
    [(100.0, 101.9, False), (100.0, 102.0, True), (100.0, 99.0, False), (500.0, 99.0, True)],
)
def test_a_file_is_settled_when_it_has_not_changed_for_a_while(changed: float, now: float, settled: bool) -> None:
    assert is_settled(FileLook(1, int(changed * 1e9), 0.0), now, 2.0) is settled


def test_a_file_that_is_open_for_writing_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb"):
        assert is_being_written(path)
    assert not is_being_written(path)
    with path.open("rb"):
        assert not is_being_written(path)
    assert not is_being_written(tmp_path / "none")


def test_a_writer_that_comes_during_the_look_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    deadline = time.monotonic() + 0.2
    child = os.fork()
    if child == 0:
        while time.monotonic() < deadline:
            os.close(os.open(path, os.O_WRONLY))
        os._exit(0)
    while time.monotonic() < deadline:
        is_being_written(path)
    assert os.waitpid(child, 0)[1] == 0


def test_quarantine_keeps_every_file_of_one_name(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    for number in range(3):
        (tmp_path / "a.nc").write_text(str(number))
        moved = move_aside(tmp_path / "a.nc", aside, f"reason\n{number}")
        assert moved is not None
        assert moved.read_text() == str(number)
        assert moved.with_name(moved.name + ".reason").read_text() == f"reason {number}\n"
    assert sorted(path.name for path in aside.iterdir()) == sorted(
        f"a.nc{suffix}{note}" for suffix in ("", ".1", ".2") for note in ("", ".reason")
    )


def test_quarantine_of_what_has_gone_is_only_recorded(tmp_path: Path) -> None:
    assert move_aside(tmp_path / "none", tmp_path / "aside", "bad") is None
    assert list((tmp_path / "aside").iterdir()) == []


def test_quarantine_moves_across_file_systems(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")
    if shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.fail("this test needs two file systems")
    aside = shared_memory / f"dynamo-test-{os.getpid()}"
    try:
        (tmp_path / "d.nc").mkdir()
        (tmp_path / "d.nc" / "inside").write_text("x")
        moved = move_aside(tmp_path / "d.nc", aside, "is a directory")
        assert moved is not None
        assert (moved / "inside").read_text() == "x"
        assert not (tmp_path / "d.nc").exists()
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def test_an_unreadable_file_is_an_input_error() -> None:
    # A folder of its own: those of pytest are closed to other users.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "closed.nc"
        path.write_bytes(b"CDF\x01")
        with pytest.raises(InputError):
            inspect_input(path, ())
        path.chmod(0)
        user = os.geteuid()
        if user == 0:
            # Root may read everything; look at it as somebody else.
            os.seteuid(65534)
        try:
            with pytest.raises(InputError, match=r"[Pp]ermission"):
                inspect_input(path, ())
        finally:
            os.seteuid(user)


def test_a_scan_finds_what_belongs_to_the_feed(tmp_path: Path) -> None:
    (tmp_path / "sub.nc").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path)
    for name in ("a.nc", ".b.nc", "c.nc.part", "d.txt", "deep/e.nc", "sub.nc/f.nc"):
        (tmp_path / name).write_bytes(b"")
    for recursive, expected in ((False, {"a.nc", "sub.nc"}), (True, {"a.nc", "sub.nc", "deep/e.nc"})):
        feed = DirectoryFeed("f", path=tmp_path, patterns=["*.nc"], recursive=recursive)
        found: list[Candidate] = []
        feed.scan(found.append)
        feed.stop()
        assert {item.path.relative_to(tmp_path).as_posix() for item in found} == expected
        assert not any(item.told for item in found)


def test_a_folder_has_one_watcher(tmp_path: Path) -> None:
    first = DirectoryFeed("f", path=tmp_path)
    with pytest.raises(BusyError):
        DirectoryFeed("g", path=tmp_path)
    first.stop()
    DirectoryFeed("g", path=tmp_path).stop()
    with pytest.raises(InputError, match="not a folder"):
        DirectoryFeed("f", path=tmp_path / "none")


def test_a_folder_that_was_replaced_is_watched_and_locked_anew(tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    seen: list[Candidate] = []
    feed = DirectoryFeed("f", path=folder)
    feed.start(seen.append)
    shutil.rmtree(folder)
    assert feed.healthy()
    folder.mkdir()
    assert not feed.healthy()
    feed.start(seen.append)
    assert feed.healthy()
    (folder / "a.nc").write_bytes(b"")
    wait_for(lambda: [candidate.how for candidate in seen] == ["closed"], what="the kernel's report")
    with pytest.raises(BusyError, match="watching this folder"):
        DirectoryFeed("g", path=folder)
    feed.stop()


def test_a_folder_that_cannot_be_read_does_not_end_the_scan(caplog: pytest.LogCaptureFixture) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for folder in ("a", "b", "c"):
            (root / folder).mkdir()
            (root / folder / "x.nc").touch()
        feed = DirectoryFeed("f", path=root, patterns=["*.nc"], recursive=True)
        found: list[Candidate] = []
        user = os.geteuid()
        (root / "b").chmod(0)
        if user == 0:
            # Root may read everything; look at it as somebody else.
            os.seteuid(65534)
        try:
            feed.scan(found.append)
        finally:
            os.seteuid(user)
            (root / "b").chmod(0o755)
            feed.stop()
        assert {item.path.parent.name for item in found} == {"a", "c"}
        assert "skipped a folder" in caplog.text


def test_a_name_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.nc")
    path.write_bytes(b"1")
    assert name_problem(path) == "its name is not UTF-8"
    assert name_problem(tmp_path / "café.nc") == ""
    assert shown(path) == f"{tmp_path}/caf\\xe9.nc"
    moved = move_aside(path, tmp_path / "aside", name_problem(path))
    assert moved is not None
    assert moved.name == r"caf\xe9.nc"
    assert not path.exists()
