"""Bands: learned from what came true, robust, and as wide as they must be."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest

from dynamo.autoscale.demand.bands import (
    BIN_S,
    BUCKETS_S,
    SETTLE_S,
    Track,
    bin_of,
    bins_ahead,
    bucket_of,
    learned_band,
    track_from_json,
)

#: Whole synthetic days.
pytestmark = pytest.mark.slow

MIDNIGHT = datetime(2026, 5, 20, tzinfo=UTC)


def test_without_a_past_the_band_is_twice_the_prediction() -> None:
    band = learned_band((), 100.0)
    assert band.expected == pytest.approx(100.0, rel=0.05)
    assert 1.8 * 100.0 <= band.high <= 2.4 * 100.0


def test_nothing_foreseen_is_nothing_until_something_came_from_nothing() -> None:
    assert learned_band((), 0.0).high == 0.0
    assert learned_band([(0.0, 0.0)] * 50, 0.0).high < 1.0
    surprised = learned_band([(0.0, 0.0), (0.0, 40.0)] * 25, 0.0)
    assert surprised.expected == 0.0
    assert surprised.high > 20.0


def test_a_few_observations_move_little() -> None:
    before, after = learned_band((), 100.0), learned_band([(100.0, 300.0)], 100.0)
    assert before.expected < after.expected < 1.4 * before.expected


def test_an_outlier_has_a_bounded_say() -> None:
    good = [(100.0, 100.0)] * 40
    with_outlier = learned_band([*good, (100.0, 1e6)], 100.0)
    assert with_outlier.expected == pytest.approx(100.0, rel=0.1)
    assert with_outlier.high < 150.0


@pytest.mark.parametrize("bias", [0.5, 1.0, 2.0])
def test_a_lasting_bias_is_corrected(bias: float) -> None:
    seen = [(predicted, bias * predicted) for predicted in np.linspace(80.0, 120.0, 60)]
    assert learned_band(seen, 100.0).expected == pytest.approx(100.0 * bias, rel=0.12)


def test_quiet_hours_say_little_about_storms() -> None:
    quiet, storms = [(10.0, 10.0)] * 100, [(500.0, 900.0)] * 20
    assert learned_band([*storms, *quiet], 500.0).high > 800.0
    assert learned_band([*storms, *quiet], 10.0).high < 15.0


def test_high_is_never_below_expected() -> None:
    for predicted in (0.0, 0.1, 10.0, 1e4):
        band = learned_band([(10.0, 0.0)] * 30, predicted)
        assert band.high >= band.expected >= 0.0


def test_buckets_and_bins() -> None:
    assert [bucket_of(lead) for lead in (-5.0, 0.0, 599.0, 600.0, 1800.0, 9999.0)] == [0, 0, 0, 1, 3, 3]
    ahead = list(bins_ahead(MIDNIGHT + timedelta(seconds=1), 3600.0))
    assert ahead[0] == MIDNIGHT.timestamp() + BIN_S
    assert ahead[-1] + BIN_S <= MIDNIGHT.timestamp() + 3601.0
    assert bin_of(MIDNIGHT + timedelta(seconds=BIN_S - 1)) == MIDNIGHT.timestamp()


def test_a_bin_is_judged_once_for_each_bucket_it_went_through() -> None:
    track = Track()
    start = int(MIDNIGHT.timestamp()) + 3600
    for second in range(0, 3600, 60):
        track.expect(MIDNIGHT + timedelta(seconds=second), {start: 50.0}, 3600.0)
    over = MIDNIGHT + timedelta(seconds=3600 + BIN_S + SETTLE_S)
    assert track.settle(over, lambda begin, _end: 75.0 if begin.timestamp() == start else 0.0)
    assert all((50.0, 75.0) in track.seen[bucket] for bucket in range(len(BUCKETS_S)))
    assert not track.settle(over, lambda _begin, _end: 0.0)


def test_while_the_feed_is_away_nothing_is_learned() -> None:
    track = Track()
    track.expect(MIDNIGHT, {}, 3600.0)
    assert track.settle(MIDNIGHT + timedelta(hours=3), lambda _begin, _end: None)
    assert not track.pending
    assert not track.seen


def test_a_track_survives_as_json() -> None:
    track = Track()
    for hour in range(3):
        now = MIDNIGHT + timedelta(hours=hour)
        track.settle(now, lambda _begin, _end: 12.5)
        track.expect(now, {int(now.timestamp()) + 900: 10.0}, 3600.0)
    again = track_from_json(orjson.loads(orjson.dumps(track.to_json())))
    assert again == track
    assert track_from_json({"pending": [["?"]]}) == Track()


@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize("seed", [1, 2])
def test_over_a_synthetic_day_the_band_covers_what_it_should(seed: int, correlation: float) -> None:
    """Two days with storms in the afternoon, whose forecasts are biased and whose errors last."""
    random = np.random.default_rng(seed)
    predicted: dict[int, float] = {}
    actual: dict[int, float] = {}
    error = 0.0
    for index in range(2 * 288 + 20):
        hour = index / 12
        storm = 200.0 * math.exp(-(((hour % 24 - 17) / 2.5) ** 2)) * (1 + 0.3 * math.sin(2 * hour))
        error = correlation * error + math.sqrt(1 - correlation**2) * random.normal()
        start = int(MIDNIGHT.timestamp() + index * BIN_S)
        predicted[start] = 30.0 + storm
        actual[start] = 30.0 * math.exp(0.05 * random.normal()) + storm * math.exp(0.1 + 0.35 * error)
    track = Track()
    hits: dict[int, list[bool]] = {}
    for index in range(2 * 288):
        now = MIDNIGHT + timedelta(seconds=index * BIN_S + 7)
        track.settle(now, lambda begin, _end: actual[int(begin.timestamp())])
        before = set(track.pending)
        track.expect(now, predicted, 3600.0)
        for bucket, start in set(track.pending) - before:
            hits.setdefault(bucket, []).append(actual[start] <= track.pending[bucket, start][1])
    assert set(hits) == set(range(len(BUCKETS_S)))
    for covered in hits.values():
        assert 0.85 <= float(np.mean(covered[12:])) <= 0.95
