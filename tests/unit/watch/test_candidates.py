"""The queue of candidate files: what comes next, and what does not wait for what."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dynamo.feeds.base import Candidate, How
from dynamo.times import from_epoch, utc_now
from dynamo.watch import candidates as module
from dynamo.watch.candidates import Candidates
from tests.waiting import wait_for

_NOW_S = 1_780_000_000.0


def offer(queue: Candidates, path: Path, *, age_s: float = 0.0, feed: str = "a", how: How = "closed") -> Candidate:
    """Write a file and offer it."""
    path.write_bytes(b"")
    os.utime(path, (_NOW_S, _NOW_S - age_s))
    candidate = Candidate(feed, path, how, from_epoch(_NOW_S))
    queue.offer(candidate)
    return candidate


def take(queue: Candidates) -> str:
    candidate = queue.take()
    assert candidate is not None
    queue.done(candidate)
    return candidate.path.name


def test_the_freshest_is_first_however_it_was_found(tmp_path: Path) -> None:
    queue = Candidates()
    hows: list[How] = ["closed", "moved", "scan"]
    for number in range(6):
        offer(queue, tmp_path / f"old{number}", age_s=600.0 - number, how=hows[number % 3])
    assert take(queue) == "old5"
    offer(queue, tmp_path / "new", age_s=1.0)
    # A file of another machine whose clock is ahead is as fresh as when it was noticed, and not for ever the first.
    offer(queue, tmp_path / "ahead", age_s=-86_400.0)
    assert [take(queue) for _ in range(7)] == ["ahead", "new", "old4", "old3", "old2", "old1", "old0"]
    assert queue.wait_idle(0.0)


def test_what_is_examined_again_takes_its_place_by_freshness(tmp_path: Path) -> None:
    queue = Candidates()
    late = offer(queue, tmp_path / "late", age_s=100.0)
    assert take(queue) == "late"
    queue.again(late, 0.0)
    offer(queue, tmp_path / "older", age_s=200.0)
    offer(queue, tmp_path / "newer", age_s=50.0)
    assert [take(queue) for _ in range(3)] == ["newer", "late", "older"]


def test_feeds_take_turns(tmp_path: Path) -> None:
    queue = Candidates()
    for number in range(4):
        offer(queue, tmp_path / f"a{number}", age_s=float(number), feed="a")
    offer(queue, tmp_path / "b0", age_s=1000.0, feed="b")
    offer(queue, tmp_path / "b1", age_s=2000.0, feed="b")
    assert [take(queue) for _ in range(6)] == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_a_feed_has_one_file_examined_at_a_time_and_a_slow_one_only_keeps_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_S", 1e6)
    queue = Candidates()
    for number in range(5):
        offer(queue, tmp_path / f"a{number}", age_s=float(number), feed="a")
    first = queue.take()
    offer(queue, tmp_path / "b0", feed="b")
    other = queue.take()
    assert first is not None
    assert other is not None
    assert (first.path.name, other.path.name) == ("a0", "b0")
    # Nothing is free until one of them is done, or slow.
    taken: list[Candidate | None] = []
    taker = threading.Thread(target=lambda: taken.append(queue.take()), daemon=True)
    taker.start()
    queue.done(other)
    taker.join(0.2)
    assert taken == []
    monkeypatch.setattr(module, "SLOW_S", -1.0)
    offer(queue, tmp_path / "b1", feed="b")
    wait_for(lambda: len(taken) == 1, what="a file of either feed")
    # So many beside slow ones, and no more; each feed still has its own.
    names = {candidate.path.name for candidate in taken if candidate is not None}
    while len(names) < 3:
        candidate = queue.take()
        assert candidate is not None
        names.add(candidate.path.name)
    assert names == {"b1", "a1", "a2"}
    offer(queue, tmp_path / "c0", feed="c")
    assert take(queue) == "c0"
    queue.done(first)
    assert take(queue) == "a3"


def test_a_file_that_comes_while_it_is_examined_is_examined_once_more_afterwards(tmp_path: Path) -> None:
    queue = Candidates()
    offer(queue, tmp_path / "x", how="scan")
    first = queue.take()
    assert first is not None
    offer(queue, tmp_path / "x", how="closed")
    offer(queue, tmp_path / "y", feed="b")
    assert take(queue) == "y"
    assert not queue.wait_idle(0.0)
    queue.done(first)
    second = queue.take()
    assert second is not None
    assert (second.path.name, second.how) == ("x", "closed")
    queue.done(second)
    assert queue.wait_idle(0.0)


def test_known_and_missing_files_are_not_queued(tmp_path: Path) -> None:
    queue = Candidates()
    known = offer(queue, tmp_path / "known")
    assert take(queue) == "known"
    queue.remember(known, 0, int(_NOW_S) * 10**9)
    for how in ("closed", "scan"):
        offer(queue, tmp_path / "known", how=how)
    queue.offer(Candidate("a", tmp_path / "none", "moved", utc_now()))
    assert queue.wait_idle(0.0)


def test_nobody_waits_for_what_cannot_be_examined_again_and_again(tmp_path: Path) -> None:
    queue = Candidates()
    bad = offer(queue, tmp_path / "bad")
    assert take(queue) == "bad"
    queue.again(bad, 3600.0, awaited=False)
    assert queue.wait_idle(0.0)
    good = offer(queue, tmp_path / "good")
    assert not queue.wait_idle(0.0)
    assert take(queue) == "good"
    queue.again(good, 3600.0)
    assert not queue.wait_idle(0.0)
