"""What a person sees of a fleet that grows or ends."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from rich.console import Console

from dynamo.cli.fleet import progress
from dynamo.cli.fleet.progress import FleetDisplay
from dynamo.provision.keeping.attending import Glance


def glance(counts: Mapping[str, Mapping[str, int]], **target: int | None) -> Glance:
    return Glance(counts, target, (), settled=False, ended=False)


ENDING = (
    glance({"big": {"ready": 1}, "small": {"ready": 2, "booting": 1}}),
    glance({"big": {"draining": 1}, "small": {"releasing": 1}}),
    glance({"big": {"draining": 1}}),
    glance({}),
)


def told(display: FleetDisplay, seen: tuple[Glance, ...], capsys: pytest.CaptureFixture[str]) -> list[str]:
    for one in seen:
        display.update(one)
    return [line.split(" s  ")[1] for line in capsys.readouterr().err.splitlines()]


def test_the_end_counts_what_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(FleetDisplay("ending one", ending=True), ENDING, capsys) == [
        "big: 0 of 1 gone (1 ready); small: 0 of 3 gone (1 booting, 2 ready)",
        "big: 0 of 1 gone (1 draining); small: 2 of 3 gone (1 releasing)",
        "big: 0 of 1 gone (1 draining); small: 3 of 3 gone",
        "big: 1 of 1 gone; small: 3 of 3 gone",
    ]


def test_a_fleet_without_workers_says_what_is_left_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(FleetDisplay("ending one", ending=True), ENDING[3:], capsys) == [
        "no workers left; closing sites and pool"
    ]


def test_growth_counts_what_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    seen = (glance({}, a=2), glance({"a": {"booting": 2}}, a=2), glance({"a": {"ready": 2}}, a=2))
    assert told(FleetDisplay("one"), seen, capsys) == [
        "a: 0 of 2 ready",
        "a: 0 of 2 ready (2 booting)",
        "a: 2 of 2 ready",
    ]


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(progress, "err", screen)
    display = FleetDisplay("ending one", ending=True)
    for one in ENDING:
        display.update(one)
    with screen.capture() as capture:
        screen.print(display._render())
    shown = capture.get()
    assert "3/3 gone" in shown
    assert "1/1 gone" in shown
    assert "closing sites and pool" in shown
