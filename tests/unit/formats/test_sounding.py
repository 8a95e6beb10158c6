"""Soundings: reading, refusing, falling back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo.errors import InputError
from dynamo.formats.sounding import choose_sounding, fallback_sounding, parse_sounding
from dynamo.radar.sounding import height_of_temperature, temperature_at_height
from dynamo.simulate.formats.sounding import LAYOUTS, Layout, encode

RADAR_TIME = datetime(2019, 6, 9, 22, 25, tzinfo=UTC)
RULE = "-" * 77
HEADER = f"{RULE}\n   PRES   HGHT   TEMP   DWPT\n    hPa     m      C      C\n{RULE}\n"


def profile(
    *, ground_c: float = 30.0, lapse: float = 0.0068, top_m: float = 15_000.0, step_m: float = 500.0
) -> list[tuple[float, float, float]]:
    heights = np.arange(200.0, top_m, step_m)
    pressures = 1013.25 * (1.0 - 2.25577e-5 * heights) ** 5.25588
    return [(float(p), float(h), max(ground_c - lapse * h, -60.0)) for p, h in zip(pressures, heights, strict=True)]


def as_text(levels: list[tuple[float, float, float]], *, head: str = "", cells: str = "   10.0     50") -> str:
    return head + "".join(f"{p:7.1f}{h:7.0f}{t:7.1f}{cells}\n" for p, h, t in levels)


@pytest.mark.parametrize(
    "head", ["", HEADER, "<H2>72249 FWD Ft Worth Observations at 18Z 09 Jun 2019</H2>\n<PRE>\n" + HEADER]
)
@pytest.mark.parametrize("cells", ["", " " * 56, "   10.0     50"])
def test_with_and_without_header_and_cells(head: str, cells: str) -> None:
    sounding = parse_sounding(as_text(profile(), head=head, cells=cells))
    assert sounding.height_of(0.0) == pytest.approx(30.0 / 0.0068, abs=20)
    assert sounding.height_of(-20.0) == pytest.approx(50.0 / 0.0068, abs=20)
    assert sounding.time == (datetime(2019, 6, 9, 18, tzinfo=UTC) if "18Z" in head else None)
    assert sounding.station == ("72249 FWD Ft Worth" if "18Z" in head else "")


def test_levels_without_temperature_are_left_out() -> None:
    text = as_text(profile())
    blank = f"{1013.0:7.1f}{5:7d}" + " " * 63 + "\n"
    assert parse_sounding(blank + text).height_msl_m[0] == 200.0


def test_the_first_sounding_of_a_page_counts() -> None:
    text = as_text(profile(), head="<PRE>\n") + "</PRE>\n" + as_text(profile(ground_c=10.0))
    assert parse_sounding(text).temperature_c[0] == pytest.approx(30.0 - 0.0068 * 200, abs=0.1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 levels"),
        ("<html>Sorry, the server is too busy</html>", "0 levels"),
        (as_text(profile()[:5]), "5 levels"),
        (as_text(profile(top_m=6000.0)), "ends at"),
        (as_text(profile()[::-1]), "not above the one before"),
        (as_text([(p, h, t + 273.15) for p, h, t in profile()]), "temperatures from"),
        (as_text([(p, h * 3.28, t) for p, h, t in profile()]), "do not fit"),
        (as_text([(p / 10.0, h, t) for p, h, t in profile()]), "pressures from"),
        (as_text([(p, h, 20.0) for p, h, t in profile()]), "never cools"),
        (as_text([(p, h, t + 30.0 * (i == 4) - 90.0 * (i == 5)) for i, (p, h, t) in enumerate(profile())]), "jumps"),
    ],
)
def test_implausible_soundings_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_sounding(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1200))
def test_a_cut_sounding_never_gives_another_height(length: int) -> None:
    text = as_text(profile(), head=HEADER)
    whole = parse_sounding(text).height_of(0.0)
    try:
        cut = parse_sounding(text[:length]).height_of(0.0)
    except InputError:
        return
    assert cut == whole


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_sounding(data.decode("utf-8", "replace"))


def test_choice(tmp_path: Path) -> None:
    path = tmp_path / "sounding.txt"

    def choose(text: str | None, hours: float = 0.0) -> tuple[bool, str]:
        if text is not None:
            path.write_text(text)
        chosen = choose_sounding(
            None if text is None else path,
            RADAR_TIME + timedelta(hours=hours),
            fallback_zero_c_m=4000.0,
            fallback_minus_20_c_m=7000.0,
            max_age=timedelta(hours=12),
        )
        assert chosen.minus_20_c_m > chosen.zero_c_m
        if chosen.fallback:
            assert (chosen.zero_c_m, chosen.minus_20_c_m) == (4000.0, 7000.0)
        return chosen.fallback, chosen.reason

    dated = as_text(profile(), head="72249 FWD Observations at 18Z 09 Jun 2019\n")
    assert choose(dated) == (False, "sounding.txt: 0 C at 4406 m, -20 C at 7347 m, 4.4 h before the radar")
    assert choose(as_text(profile()))[1].endswith("its time is not stated")
    fallback, reason = choose(dated, hours=24 * 365)
    assert fallback
    assert "8764 h before the radar, more than 12 h" in reason
    assert choose(dated, hours=-6)[1].endswith("1.6 h after the radar")
    assert "18 h after the radar" in choose(dated, hours=-22)[1]
    assert choose(None) == (True, "fallback 0 C at 4000 m, -20 C at 7000 m: no sounding given")
    assert "refused" in choose("nonsense")[1]
    assert "does not cool" in choose(as_text(profile(ground_c=-25.0)))[1]


def test_fallback_has_the_heights_it_was_given() -> None:
    sounding = fallback_sounding(3500.0, 6500.0)
    assert sounding.height_of(0.0) == pytest.approx(3500.0)
    assert sounding.height_of(-20.0) == pytest.approx(6500.0)
    assert float(sounding.temperature_at(0.0)) == pytest.approx(23.33, abs=0.01)
    with pytest.raises(InputError):
        fallback_sounding(5000.0, 4000.0)


def test_the_highest_crossing_counts() -> None:
    heights = np.array([0.0, 500.0, 1000.0, 2000.0, 4000.0])
    temperatures = np.array([1.0, -1.0, 4.0, 0.0, -20.0])
    assert height_of_temperature(heights, temperatures, 0.0) == 2000.0
    assert height_of_temperature(heights, temperatures, -30.0) is None
    assert height_of_temperature(heights, temperatures, 9.0) is None


def test_temperature_outside_of_the_profile() -> None:
    values = temperature_at_height(np.array([1000.0, 2000.0]), np.array([10.0, 2.0]), np.array([0.0, 1500.0, 9000.0]))
    assert values.tolist() == [16.5, 6.0, 2.0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("zero", "minus_20", "ground"), [(4200.0, 7200.0, 171.0), (2024.0, 5453.0, 871.0)])
def test_a_simulated_sounding(layout: Layout, zero: float, minus_20: float, ground: float) -> None:
    time = datetime(2019, 6, 10, 0, tzinfo=UTC)
    text = encode(time=time, zero_c_m=zero, minus_20_c_m=minus_20, ground_m=ground, layout=layout)
    sounding = parse_sounding(text)
    assert sounding.height_of(0.0) == pytest.approx(zero, abs=2)
    assert sounding.height_of(-20.0) == pytest.approx(minus_20, abs=2)
    assert sounding.height_msl_m[0] == ground
    assert (sounding.time, sounding.station) == ((time, "72249 FWD Ft Worth") if layout == "page" else (None, ""))
    # As real ones: moisture is blank aloft, wind at the last level, temperature below the ground (where that is known).
    levels = [line for line in text.splitlines() if len(line) == 77 and line[:7].strip().replace(".", "").isdigit()]
    assert any(not line[21:42].strip() and line[42:56].strip() for line in levels)
    assert not levels[-1][42:56].strip()
    below = [line for line in levels if not line[14:].strip()]
    assert len(below) == len(levels) - len(sounding.pressure_hpa) == (2 if ground > 500 else 1)


def test_a_sounding_that_is_no_air_is_not_simulated() -> None:
    with pytest.raises(InputError, match="2000 to 8000 m"):
        encode(time=datetime(2019, 6, 10, tzinfo=UTC), zero_c_m=4000.0, minus_20_c_m=4500.0)
