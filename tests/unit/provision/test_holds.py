"""A site's error is told once, in all that it holds back."""

from __future__ import annotations

from datetime import UTC, datetime

from dynamo.provision.deciding.holds import Holds, tell_once

NOW = datetime(2026, 6, 10, tzinfo=UTC)
ERROR = "Cloud:A: cannot list servers: Internal error [HTTP 500, req-0b5d6f0e-8a52-4b0e-9a38-6a2fd4cf5a3c]"
LATER = ERROR.replace("0b5d6f0e", "ffffffff")


def test_an_error_is_quoted_once_whatever_the_requests_number() -> None:
    held = {
        "Cloud:A": f"cannot list its servers, so they are left unchanged: {ERROR}",
        "a": f"2 requested, but the site is paused until 12:00:00 UTC: {LATER}",
        "b": f"1 requested, 0 being created: one worker first tests whether the site works again ({LATER})",
        "c": "the budget",
    }
    assert tell_once(held, [ERROR, LATER, ""]) == {
        "Cloud:A": held["Cloud:A"],
        "a": "2 requested, but the site is paused until 12:00:00 UTC",
        "b": "1 requested, 0 being created: one worker first tests whether the site works again",
        "c": "the budget",
    }
    shown = tell_once(held, [LATER], [LATER])
    assert shown["Cloud:A"] == "cannot list its servers, so they are left unchanged"


def test_other_errors_stay() -> None:
    held = {"a": "paused: no image 'x'", "b": "paused: no image 'xy'"}
    assert tell_once(held, ["no image 'x'", "no image 'xy'"]) == held


def test_a_hold_whose_requests_number_changes_is_no_new_one() -> None:
    holds = Holds()
    assert len(holds.say({"Cloud:A": ERROR}, {}, NOW)) == 1
    assert holds.say({"Cloud:A": LATER}, {}, NOW) == []
