"""Simulated radars of one network see the same rain; one whose calibration is off differs from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo.checks.examine import examine_volume
from dynamo.checks.judging import SeriesMemory, judge
from dynamo.checks.model import CheckVerdict, Examination, Flag
from dynamo.formats.radar.read import read_volume
from tests.simulated import network

RADARS = ("addison.tx", "midlothian.tx", "arlington.tx")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, ...]]:
    """Files of one minute, by radar."""
    folder = tmp_path_factory.mktemp("network")
    simulator = network("casa", "wide", radars=len(RADARS))
    found: dict[str, tuple[Path, ...]] = {}
    for file in simulator.files():
        paths = tuple(simulator.write_file(folder, file))
        radar = read_volume(paths[0]).site.radar
        if radar in found:
            break
        found[radar] = paths
    return found


def seen(scene: dict[str, tuple[Path, ...]], radar: str, off_db: float = 0.0) -> Examination:
    """Examine a radar's file as it would be with a calibration that is off."""
    volume = read_volume(scene[radar][0])
    for sweep in volume.sweeps:
        sweep["DBZH"].values[...] += off_db
    return examine_volume(volume, radar)


def neighbor(examination: Examination, memory: SeriesMemory) -> CheckVerdict | None:
    return next((one for one in judge(examination, memory, {}) if one.check == "neighbour"), None)


def memory_of(*examinations: Examination) -> SeriesMemory:
    memory = SeriesMemory()
    for one in examinations:
        memory.learn(one, [])
    return memory


def test_radars_that_see_the_same_rain_agree(scene: dict[str, tuple[Path, ...]]) -> None:
    assert tuple(scene) == RADARS
    first, second, third = (seen(scene, radar) for radar in RADARS)
    assert neighbor(first, SeriesMemory()) is None
    for one, others in ((second, (first,)), (third, (first, second))):
        verdict = neighbor(one, memory_of(*others))
        assert verdict is not None
        assert verdict.flag == Flag.GOOD
        assert verdict.value == pytest.approx(0.0, abs=0.5)
        assert "common cells" in verdict.place


@pytest.mark.parametrize(("off_db", "flag"), [(-6.0, Flag.SUSPECT), (6.0, Flag.SUSPECT), (-11.0, Flag.BAD)])
def test_the_one_whose_calibration_is_off_is_found(
    scene: dict[str, tuple[Path, ...]], off_db: float, flag: Flag
) -> None:
    first, second = (seen(scene, radar) for radar in RADARS[:2])
    verdict = neighbor(seen(scene, RADARS[2], off_db), memory_of(first, second))
    assert verdict is not None
    assert verdict.flag == flag
    assert verdict.value == pytest.approx(abs(off_db), abs=1.5)
    # Most of its neighbors agree with a sound one, although one of them is off.
    verdict = neighbor(second, memory_of(first, seen(scene, RADARS[2], off_db)))
    assert verdict is not None
    assert verdict.flag == Flag.GOOD


def test_rain_of_another_time_is_not_compared(scene: dict[str, tuple[Path, ...]]) -> None:
    first, second = (seen(scene, radar) for radar in RADARS[:2])
    late = Examination(**{**vars(second), "valid_at": "2019-06-10T00:40:00Z"})
    assert neighbor(late, memory_of(first)) is None
