"""Output of jobs becomes a log: clean, bounded, as it comes."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from dynamo.engines.logs import Follower, newest_log, set_aside
from dynamo.engines.output import JobLog, Pump, append_to, clean
from dynamo.processes import HelperProcess
from tests.waiting import PATIENCE, wait_for


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("\x1b[1;31mred\x1b[0m\n", "red\n"),
        ("\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\n", "link\n"),
        ("10 %\r20 %\r\n", "10 %\n20 %\n"),
        ("bell\x07 null\x00 up\x1b[2A\x1bM\n", "bell\ufffd null\ufffd up\n"),
        ("cut \x1b[", "cut "),
        ("https://me:hunter2@host/x\n", "https://***@host/x\n"),
        ("Authorization: Bearer abc.def-ghi\n", "Authorization: Bearer ***\n"),
        ('{"api_key": "0123456789"}\n', '{"api_key": "***"}\n'),
        ("AWS_SECRET_ACCESS_KEY=abcd/efgh+ijkl\n", "AWS_SECRET_ACCESS_KEY=***\n"),
        ("found swordfish in the query\n", "found *** in the query\n"),
        ("60 tokens, 3 passes, basic\n", "60 tokens, 3 passes, basic\n"),
    ],
)
def test_escape_sequences_controls_and_secrets_are_not_stored(written: str, stored: str) -> None:
    assert clean(written, {"swordfish"}) == stored


def test_a_secret_of_the_environment_is_masked_wherever_the_output_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PASSWORD", "swordfish")
    written: list[bytes] = []
    log = JobLog(written.append)
    for byte in b"it is swordfish\n":
        log.feed(bytes([byte]))
    assert b"".join(written) == b"it is ***\n"


def test_the_beginning_comes_at_once_and_the_end_at_the_end() -> None:
    written: list[bytes] = []
    log = JobLog(written.append, head_bytes=40, tail_bytes=40)
    lines = [f"line {number:04}\n".encode() for number in range(1000)]
    for line in lines:
        log.feed(line)
    assert b"".join(written) == b"".join(lines[:4])
    log.feed(b"unfinished")
    log.close()
    kept = b"".join(lines[997:]) + b"unfinished"
    left_out = sum(map(len, lines)) + len(b"unfinished") - 40 - len(kept)
    assert b"".join(written[4:]) == f"\n[... {left_out} bytes left out ...]\n".encode() + kept


def test_a_line_without_end_is_held_only_so_long() -> None:
    written: list[bytes] = []
    log = JobLog(written.append)
    for _ in range(100):
        log.feed(b"x" * 10_000)
    assert sum(map(len, written)) > 400_000


def test_each_job_gets_its_own_output_and_a_silent_one_no_log(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    pump = Pump()
    pump.take_from(os.fdopen(reading, "rb", buffering=0))
    for name in ("a", "silent", "b"):
        pump.send_to(JobLog(append_to(tmp_path / name)))
        if name != "silent":
            os.write(writing, f"of {name}".encode())
    pump.send_to(None)
    os.close(writing)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "of a", "b": "of b"}


def test_a_line_that_is_not_finished_is_readable_before_its_writer_is_killed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    pump = Pump()
    pump.send_to(JobLog(append_to(tmp_path / "log")))
    pump.take_from(os.fdopen(reading, "rb", buffering=0))
    os.write(writing, b"step 3 ...")
    wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text() == "step 3 ...")
    os.close(writing)


def test_following_tells_each_line_once_and_starts_again_with_a_new_attempt(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "t.out"
    (tmp_path / "logs" / "t.sub").write_text("queue\n")
    follower = Follower(tmp_path)
    assert list(follower.news()) == []
    log.write_text("one\ntw")
    assert list(follower.news()) == [("logs/t.out", "one")]
    log.write_text("one\ntwo\n")
    assert list(follower.news()) == [("logs/t.out", "two")]
    assert list(follower.news()) == []
    log.write_text("new\n")
    assert list(follower.news()) == [("logs/t.out", "new")]
    log.write_text("new\ncut")
    assert list(follower.news(last=True)) == [("logs/t.out", "cut")]


def test_what_attempts_wrote_stays_beside_the_newest(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for attempt in ("first", "second"):
        (tmp_path / "t.out").write_text(attempt)
        (tmp_path / "t.err").write_text("")
        set_aside(tmp_path, "t", now + timedelta(minutes=1))
    assert newest_log(tmp_path, "t", ".out").read_text() == "second"
    (tmp_path / "t.out").write_text("third")
    set_aside(tmp_path, "t", now - timedelta(minutes=1))
    set_aside(tmp_path, "other", now)
    assert {path.name: path.read_text() for path in tmp_path.glob("*.out")} == {
        "t.1.out": "first",
        "t.2.out": "second",
        "t.out": "third",
    }
    assert newest_log(tmp_path, "t", ".out").read_text() == "third"


def chatter(pipe: Connection) -> None:
    """Serve one request in the way of a worker that talks and never ends."""
    os.write(1, b"\x1b[1mbefore\x1b[0m\n")
    os.write(2, b"on the other stream, and then")
    pipe.recv()


def test_what_a_killed_process_wrote_stays(tmp_path: Path) -> None:
    log, pump = tmp_path / "log", Pump()
    pump.send_to(JobLog(append_to(log)))
    helper = HelperProcess(chatter, pump.take_from)
    try:
        wait_for(lambda: log.exists() and "on the other" in log.read_text(), PATIENCE)
        os.kill(helper.pid, signal.SIGKILL)
    finally:
        helper.stop()
    pump.send_to(None)
    assert log.read_text() == "before\non the other stream, and then"
