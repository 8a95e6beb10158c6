"""Units of time in the forms that writers use: the same instant, or refused; never a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import pytest

from dynamo.errors import InputError
from dynamo.formats.radar import read_volume
from dynamo.formats.time_units import plain_units, time_units
from tests.simulated import START, radar_files

SEVEN = datetime(2022, 6, 28, 7, 19, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "seconds since 2022-06-28T07:19:28Z",
        "seconds since 2022-06-28 07:19:28 0:00",
        "seconds since 2022-06-28 07:19:28",
        "seconds since 2022-06-28 07:19:28 UTC",
        "seconds since 2022-6-28 07:19:28.0 +0000",
        "seconds since 2022-06-28T07:19:28+00:00",
        "Seconds since 2022-06-28 09:19:28 +2",
        "seconds since 2022-06-28 01:49:28 -05:30",
    ],
)
def test_one_instant_in_many_words(text: str) -> None:
    assert time_units(text) == ("seconds", SEVEN)
    assert plain_units(text) == "seconds since 2022-06-28T07:19:28Z"


def test_a_date_alone_is_its_midnight() -> None:
    assert time_units("days since 1970-01-01") == ("days", datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("text", ["seconds", "seconds since yesterday", "seconds since 2022-13-01", "s since 7:19"])
def test_what_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="units of time"):
        time_units(text)


def test_a_cfradial_file_of_arm_keeps_its_time(tmp_path: Path) -> None:
    (path,) = radar_files(tmp_path, "cfradial")
    before = read_volume(path)
    with h5py.File(path, "a") as file:
        units = file["time"].attrs["units"]
        assert units in ("seconds since 2019-06-10T00:20:00Z", b"seconds since 2019-06-10T00:20:00Z")
        file["time"].attrs["units"] = "seconds since 2019-06-10 00:20:00 0:00"
    after = read_volume(path)
    assert after.time == before.time == START
    assert after.sweeps[0].equals(before.sweeps[0])
