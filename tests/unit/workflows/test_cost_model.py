from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from dynamo.inspection.facts import InputFacts
from dynamo.workflows.cost import (
    DEFAULT_COEFFICIENTS,
    FEATURES,
    MAX_SWING,
    Observation,
    crossings,
    features,
    fit,
    predict,
)

FACTS = InputFacts(
    format="casa-nowcast",
    issue_time=datetime(2019, 6, 10, tzinfo=UTC),
    leads=(0, 5, 10),
    shape=(100, 200),
    crossings={35.0: (100, 200, 300), 45.0: (10, 20, 30)},
)


def test_features_say_what_a_job_works_on() -> None:
    assert features("split", {"leads": [0, 5]}, FACTS) == {"constant": 1.0, "cells": 60_000.0}
    assert features("plot", {}, FACTS, 5) == {"constant": 1.0, "cells": 20_000.0, "echo": 20_000.0}
    dry = replace(FACTS, maximum_dbz=(50.0, 4.0, float("nan")))
    assert [features("plot", {}, dry, lead)["echo"] for lead in dry.leads] == [20_000.0, 0.0, 0.0]
    levels = {"levels": [35.0, 45.0]}
    assert features("contour", levels, FACTS, 5) == {
        "constant": 1.0,
        "cells": 20_000.0,
        "crossings": 220.0,
        "active": 2.0,
    }
    assert features("contour", levels, FACTS, [0, 10])["crossings"] == 440.0
    assert features("contour", levels, FACTS)["crossings"] == 660.0
    assert features("contour", levels, FACTS)["active"] == 6.0
    assert set(features("contour", levels, None).values()) == {0.0, 1.0}
    assert features("unheard-of", {}, FACTS, 0) == {"constant": 1.0, "cells": 20_000.0}


def test_levels_between_counted_ones_are_interpolated() -> None:
    assert crossings(FACTS, 40.0, (0,)) == 55.0
    assert crossings(FACTS, 60.0, (0,)) == 10.0
    assert crossings(FACTS, 45.0, (7,)) == 0.0


def test_more_crossings_cost_more() -> None:
    calm = features("contour", {"levels": [45.0]}, FACTS, 0)
    wild = features("contour", {"levels": [35.0]}, FACTS, 10)
    assert predict("contour", wild) > predict("contour", calm) > 0


def observed(truth: dict[str, float], count: int, *, noise: float = 0.0, seed: int = 1) -> list[Observation]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        row = {
            "constant": 1.0,
            "cells": float(random.integers(1, 20) * 40_401),
            "crossings": float(random.integers(0, 60_000)),
            "active": float(random.integers(0, 6)),
        }
        seconds = sum(truth[name] * value for name, value in row.items())
        found.append(Observation("contour", row, seconds * float(np.exp(random.normal(0, noise)))))
    return found


def test_many_observations_find_the_truth() -> None:
    truth = {"constant": 2.0e-3, "cells": 6.0e-9, "crossings": 9.0e-7, "active": 1.0e-3}
    learned = fit(observed(truth, 2000, noise=0.1))
    for probe in observed(truth, 50, seed=9):
        assert predict("contour", probe.features, learned) == pytest.approx(probe.seconds, rel=0.1)
    for name in ("cells", "crossings"):
        assert learned["contour"][name] == pytest.approx(truth[name], rel=0.25), name
    assert fit(observed(truth, 2000))["split"] == DEFAULT_COEFFICIENTS["split"]


def test_few_observations_hardly_move_it() -> None:
    prior = DEFAULT_COEFFICIENTS["contour"]
    one = fit([Observation("contour", {"constant": 1.0, "cells": 40_401.0, "crossings": 100.0, "active": 1.0}, 5.0)])[
        "contour"
    ]
    for name, value in prior.items():
        assert one[name] == pytest.approx(value, rel=1.0), name


def test_outliers_have_a_bounded_say() -> None:
    truth = dict(DEFAULT_COEFFICIENTS["contour"])
    good = observed(truth, 300, noise=0.05)
    bad = [Observation("contour", seen.features, seen.seconds * 100) for seen in observed(truth, 20, seed=2)]
    learned = fit([*good, *bad])["contour"]
    assert predict("contour", good[0].features, {"contour": learned}) == pytest.approx(
        predict("contour", good[0].features), rel=0.2
    )


def test_new_observations_count_more_than_old_ones() -> None:
    slow = {name: 4 * value for name, value in DEFAULT_COEFFICIENTS["contour"].items()}
    fast = dict(DEFAULT_COEFFICIENTS["contour"])
    probe = observed(fast, 1)[0].features
    old_first = fit([*observed(slow, 4000, noise=0.1), *observed(fast, 4000, noise=0.1)])
    new_first = fit([*observed(fast, 4000, noise=0.1), *observed(slow, 4000, noise=0.1)])
    assert predict("contour", probe, old_first) < predict("contour", probe, new_first)


def test_nonsense_is_left_out() -> None:
    row = {"constant": 1.0, "cells": 1.0, "crossings": 1.0, "active": 1.0}
    nonsense = [
        Observation("contour", row, float("nan")),
        Observation("contour", row, -1.0),
        Observation("contour", {**row, "cells": float("inf")}, 1.0),
        Observation("contour", {**row, "crossings": -5.0}, 1.0),
    ]
    assert fit(nonsense) == {module: dict(row) for module, row in DEFAULT_COEFFICIENTS.items()}


def test_coefficients_never_turn_negative_or_run_away() -> None:
    random = np.random.default_rng(3)
    seen = [
        Observation(
            "contour",
            {name: float(random.integers(1, 10**9)) for name in FEATURES["contour"]},
            float(random.uniform(1e-6, 1e4)),
        )
        for _ in range(200)
    ]
    for name, value in fit(seen)["contour"].items():
        prior = DEFAULT_COEFFICIENTS["contour"][name]
        assert prior / MAX_SWING <= value <= prior * MAX_SWING


def test_the_shipped_table_has_every_feature() -> None:
    assert {module: tuple(row) for module, row in DEFAULT_COEFFICIENTS.items()} == FEATURES


def test_a_stored_table_may_lack_a_newer_feature() -> None:
    old = {"contour": {"constant": 1.0}}
    row = {"constant": 1.0, "cells": 0.0, "crossings": 0.0, "active": 2.0}
    assert predict("contour", row, old) == 1.0 + 2.0 * DEFAULT_COEFFICIENTS["contour"]["active"]
    learned = fit(observed(dict(DEFAULT_COEFFICIENTS["contour"]), 50), old)["contour"]
    assert set(learned) == set(FEATURES["contour"])
