"""Background runs let live ones go first, and are never held up for good."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo.engines.base import BACKGROUND
from dynamo.runs.execution.courtesy import Courtesy
from dynamo.runs.patience import Stopped
from tests.waiting import PATIENCE, wait_for

LIVE: Any = SimpleNamespace(priority=BACKGROUND + 1)
OLD: Any = SimpleNamespace(priority=BACKGROUND)
FOREVER_S, GOES_ON_S = 3600.0, 10.0 * PATIENCE


class Step(threading.Thread):
    """A step of a background run in a thread of its own, which lasts until ``end`` is set."""

    def __init__(self, courtesy: Courtesy, stop: threading.Event | None = None) -> None:
        super().__init__(daemon=True)
        self._courtesy = courtesy
        self._stopping = stop or threading.Event()
        self.begun, self.end = threading.Event(), threading.Event()
        self.stopped = False
        self.start()

    def run(self) -> None:
        try:
            with self._courtesy.step(OLD, self._stopping):
                self.begun.set()
                self.end.wait()
        except Stopped:
            self.stopped = True


@pytest.fixture
def courtesy() -> Courtesy:
    return Courtesy(longest_s=FOREVER_S)


class Asked:
    """Whether all is calm, and that somebody asked for it."""

    def __init__(self, calm: bool) -> None:
        self.calm = calm
        self.times = 0

    def __call__(self) -> bool:
        self.times += 1
        return self.calm


def test_a_background_step_waits_for_the_end_of_a_live_run(courtesy: Courtesy) -> None:
    with courtesy.at_work(LIVE), courtesy.at_work(OLD):
        # A live run's own steps wait for nobody.
        with courtesy.step(LIVE, threading.Event()):
            step = Step(courtesy)
        wait_for(courtesy._turn.locked, what="the background waits")
        assert not step.begun.is_set()
    assert step.begun.wait(GOES_ON_S)
    step.end.set()


def test_a_live_run_that_others_work_on_holds_nobody_up(courtesy: Courtesy) -> None:
    with courtesy.at_work(LIVE), courtesy.elsewhere(LIVE):
        step = Step(courtesy)
        assert step.begun.wait(GOES_ON_S)
    step.end.set()


def test_a_background_step_waits_for_files_on_their_way(courtesy: Courtesy) -> None:
    courtesy.calm = asked = Asked(False)
    step = Step(courtesy)
    wait_for(lambda: asked.times > 1, what="it looks more than once")
    assert not step.begun.is_set()
    asked.calm = True
    assert step.begun.wait(GOES_ON_S)
    step.end.set()


def test_background_steps_come_one_at_a_time(courtesy: Courtesy) -> None:
    first = Step(courtesy)
    assert first.begun.wait(GOES_ON_S)
    courtesy.calm = asked = Asked(True)
    second = Step(courtesy)
    assert (asked.times, second.begun.is_set()) == (0, False)
    first.end.set()
    assert second.begun.wait(GOES_ON_S)
    second.end.set()


def test_a_background_step_is_done_although_live_work_never_pauses() -> None:
    courtesy = Courtesy(longest_s=0.05)
    courtesy.calm = asked = Asked(False)
    with courtesy.at_work(LIVE):
        step = Step(courtesy)
        assert step.begun.wait(GOES_ON_S)
    assert asked.times == 0
    step.end.set()


@pytest.mark.parametrize("behind", [True, False])
def test_a_stop_ends_the_waiting(courtesy: Courtesy, behind: bool) -> None:
    stop = threading.Event()
    first = Step(courtesy) if behind else None
    assert first is None or first.begun.wait(GOES_ON_S)
    with courtesy.at_work(LIVE):
        step = Step(courtesy, stop)
        stop.set()
        step.join(GOES_ON_S)
    assert step.stopped
    if first is not None:
        first.end.set()


def test_engines_are_told_when_live_work_comes_and_when_all_of_it_has_gone(courtesy: Courtesy) -> None:
    told: list[bool] = []
    courtesy.follow(told.append)
    with courtesy.live():
        with courtesy.at_work(LIVE), courtesy.at_work(OLD):
            assert told == [True]
            late: list[bool] = []
            courtesy.follow(late.append)
        with courtesy.at_work(LIVE), courtesy.elsewhere(LIVE):
            pass
        assert (told, late) == ([True], [True])
    assert (told, late) == ([True, False], [True, False])
    with courtesy.at_work(OLD):
        pass
    with courtesy.at_work(LIVE), courtesy.elsewhere(LIVE):
        assert told == [True, False, True, False]
