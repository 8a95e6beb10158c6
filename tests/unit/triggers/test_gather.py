"""A composite runs once: when all radars are there, or at the deadline with what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dynamo.errors import InputError
from dynamo.triggers.slots import GatherSettings, Piece, gather, open_slots, slot_of

SLOT = datetime(2019, 6, 10, 0, 20, tzinfo=UTC)
NETWORK = GatherSettings(("A", "B", "C"), deadline=timedelta(seconds=30), minimum=2)


def piece(radar: str, second: float) -> Piece:
    return Piece(radar, SLOT + timedelta(seconds=second), f"{radar}{second:g}")


def at(second: float) -> datetime:
    return SLOT + timedelta(seconds=second)


def test_slots_are_counted_from_midnight() -> None:
    assert slot_of(at(59.9), timedelta(minutes=1)) == SLOT
    assert slot_of(at(60), timedelta(minutes=1)) == SLOT + timedelta(minutes=1)
    assert slot_of(at(0), timedelta(minutes=7)) == SLOT - timedelta(minutes=6)


def test_all_are_there() -> None:
    found = gather([piece("C", 4), piece("A", 1), piece("B", 59), piece("A", 21)], SLOT, at(60), NETWORK)
    assert found.action == "run"
    assert [item.name for item in found.pieces] == ["A21", "A1", "B59", "C4"]
    assert found.missing == ()


def test_waits_until_the_deadline_and_says_who_is_missing() -> None:
    pieces = [piece("A", 1), piece("B", 2)]
    waiting = gather(pieces, SLOT, at(89), NETWORK)
    assert (waiting.action, waiting.missing, waiting.check_at) == ("wait", ("C",), at(90))
    found = gather(pieces, SLOT, at(90), NETWORK)
    assert (found.action, found.missing) == ("run", ("C",))
    assert "missing C" in found.reason
    assert found.data["missing"] == ["C"]


def test_too_few_are_not_worth_it() -> None:
    assert gather([piece("A", 1)], SLOT, at(100), NETWORK).action == "skip"
    assert gather([], SLOT, at(100), NETWORK).action == "skip"


def test_waits_for_all_sweeps_of_each_radar() -> None:
    settings = GatherSettings(("A", "B"), each=2)
    pieces = [piece("A", 1), piece("A", 31), piece("B", 2)]
    waiting = gather(pieces, SLOT, at(35), settings)
    assert (waiting.action, waiting.missing, waiting.data["incomplete"]) == ("wait", (), ["B"])
    assert gather([*pieces, piece("B", 32)], SLOT, at(35), settings).action == "run"
    late = gather(pieces, SLOT, at(90), settings)
    assert (late.action, late.missing) == ("run", ())
    assert "incomplete B" in late.reason


def test_quiet_radars_are_there() -> None:
    pieces = [piece("A", 1)]
    assert gather(pieces, SLOT, at(10), NETWORK, quiet={"B": 1}).missing == ("C",)
    found = gather(pieces, SLOT, at(10), NETWORK, quiet={"B": 1, "C": 2})
    assert (found.action, found.missing, found.data["quiet"]) == ("run", (), ["B", "C"])
    assert "quiet B, C" in found.reason
    assert [item.name for item in found.pieces] == ["A1"]


def test_a_network_that_is_quiet_makes_no_composite() -> None:
    found = gather([], SLOT, at(10), NETWORK, quiet={"A": 1, "B": 1, "C": 1})
    assert (found.action, found.reason) == ("skip", "all 3 radars are quiet")
    some = {"A": 1, "B": 1}
    assert gather([], SLOT, at(10), NETWORK, quiet=some).action == "wait"
    assert gather([], SLOT, at(90), NETWORK, quiet=some).reason.startswith(
        "the deadline has passed; nothing to compose"
    )


def test_quiet_sweeps_count_with_the_products_of_the_others() -> None:
    settings = GatherSettings(("A", "B"), each=2)
    pieces = [piece("A", 1), piece("B", 2), piece("B", 32)]
    assert gather(pieces, SLOT, at(35), settings).action == "wait"
    assert gather(pieces, SLOT, at(35), settings, quiet={"A": 1}).data["incomplete"] == []
    assert gather(pieces, SLOT, at(35), settings, quiet={"A": 1}).action == "run"


def test_never_twice() -> None:
    pieces = [piece(radar, 1) for radar in "ABC"]
    found = gather(pieces, SLOT, at(100), NETWORK, done=True)
    assert (found.action, found.check_at) == ("skip", None)


def test_other_radars_and_other_minutes_do_not_count() -> None:
    pieces = [piece("A", -1), piece("A", 60), piece("X", 5), piece("B", 5)]
    found = gather(pieces, SLOT, at(5), NETWORK)
    assert [item.name for item in found.pieces] == ["B5"]
    assert found.missing == ("A", "C")


def test_open_slots() -> None:
    pieces = [piece("A", second) for second in (-120, 5, 70, 71)] + [piece("X", 130)]
    minute = timedelta(minutes=1)
    assert open_slots(pieces, NETWORK, [], SLOT - 5 * minute) == [SLOT - 2 * minute, SLOT, SLOT + minute]
    assert open_slots(pieces, NETWORK, [SLOT], SLOT - minute) == [SLOT + minute]


@pytest.mark.parametrize(
    ("radars", "change"),
    [((), {}), (("A", "A"), {}), (("A",), {"minimum": 2}), (("A",), {"period": timedelta(0)}), (("A",), {"each": 0})],
)
def test_settings_are_checked(radars: tuple[str, ...], change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        GatherSettings(radars, **change)  # type: ignore[arg-type]
