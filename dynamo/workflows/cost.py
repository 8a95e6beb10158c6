"""Cost model of jobs: CPU seconds as non-negative coefficients times features of the input.

The cost of tracing an isoline grows with the grid edges it crosses, so the crossings counted when a file arrives
(`InputFacts.crossings`) predict contouring; images and splitting scale with cells. The shipped coefficients are a
prior; finished runs correct them (`fit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.inspection.facts import InputFacts

#: The features of each module, in the order of its coefficients. Other modules use `GENERIC`.
FEATURES: dict[str, tuple[str, ...]] = {
    "split": ("constant", "cells"),
    "contour": ("constant", "cells", "crossings", "active"),
    "plot": ("constant", "cells", "echo"),
    "hydroclass": ("constant", "cells"),
    "hail": ("constant", "cells"),
    "grid": ("constant", "cells"),
    "hail_contour": ("constant", "cells"),
    "hail_plot": ("constant", "cells"),
    "composite": ("constant", "cells"),
}
GENERIC = ("constant", "cells")

#: Images are transparent below this reflectivity.
ECHO_DBZ = 5.0

Features = Mapping[str, float]
#: CPU seconds per unit of each feature: ``coefficients[module][feature]``.
Coefficients = Mapping[str, Mapping[str, float]]

# Update this table from `make bench`: CPU seconds on one core. Measured with simulated clear, isolated and widespread
# rain, 31 x 201 x 201 and 31 x 801 x 1001, one and five levels, on a busy 2-core machine.
DEFAULT_COEFFICIENTS: Coefficients = {
    "split": {"constant": 2.0e-2, "cells": 1.0e-8},
    "contour": {"constant": 2.5e-4, "cells": 1.8e-8, "crossings": 4.0e-7, "active": 4.0e-4},
    "plot": {"constant": 6.5e-4, "cells": 5.0e-9, "echo": 3.2e-8},
    # Cells are the gates of the largest sweep or, for a composite, the nodes of the largest grid.
    "hydroclass": {"constant": 2.0e-2, "cells": 1.0e-7},
    "hail": {"constant": 2.0e-2, "cells": 8.0e-8},
    "grid": {"constant": 6.0e-3, "cells": 1.2e-8},
    "hail_contour": {"constant": 1.5e-3, "cells": 4.0e-9},
    "hail_plot": {"constant": 2.0e-3, "cells": 4.0e-9},
    "composite": {"constant": 1.0e-2, "cells": 3.0e-7},
}
#: For modules without a table of their own.
GENERIC_COEFFICIENTS: Mapping[str, float] = {"constant": 0.1, "cells": 1.0e-7}

#: Number of newer observations of its module that halve an observation's weight.
HALF_LIFE_OBSERVATIONS = 2000
#: The prior weighs as much as this many observations.
PRIOR_OBSERVATIONS = 20.0
#: Coefficients stay within this factor of the prior: one strange day must not swing the plan.
MAX_SWING = 100.0
_HUBER = 1.5
#: Timings of shorter jobs mean little.
_SHORTEST_S = 1e-4
#: Do not learn a feature that costs next to nothing from noise.
_LEAST_SHARE = 0.05
_ROUNDS = 8


@dataclass(frozen=True)
class Observation:
    """One finished job: its features and CPU seconds."""

    module: str
    features: Features
    seconds: float


def features(
    module: str,
    arguments: Mapping[str, object],
    facts: InputFacts | None,
    lead: int | Sequence[int] | None = None,
) -> dict[str, float]:
    """Return the features that predict the cost of one job.

    Parameters
    ----------
    module, arguments
        The job.
    facts
        Facts of the input file behind the job's data; without them only the constant is known.
    lead
        Lead or leads, in minutes, of the grids the job processes. Default: all leads of the file.

    Returns
    -------
    dict
        By feature: ``constant`` 1; ``cells`` cells of all grids; ``crossings`` level crossings of all grids;
        ``active`` number of (grid, level) pairs with crossings; ``echo`` cells of the non-empty grids (maximum
        unknown or at least `ECHO_DBZ`).
    """
    names = FEATURES.get(module, GENERIC)
    found = dict.fromkeys(names, 0.0)
    found["constant"] = 1.0
    if facts is None:
        return found
    leads = facts.leads if lead is None else (lead,) if isinstance(lead, int) else tuple(lead)
    cells = float(facts.cells * len(leads))
    if "crossings" in names:
        levels = _numbers(arguments.get("levels"))
        for each in leads:
            counts = [crossings(facts, level, (each,)) for level in levels]
            found["crossings"] += sum(counts)
            found["active"] += sum(count > 0 for count in counts)
    if "echo" in names:
        tops = dict(zip(facts.leads, facts.maximum_dbz, strict=False))
        # Written so that NaN (an empty grid) does not count.
        found["echo"] = float(facts.cells * sum(tops.get(each, ECHO_DBZ) >= ECHO_DBZ for each in leads))
    found["cells"] = cells
    return found


def crossings(facts: InputFacts, level: float, leads: Sequence[int]) -> float:
    """Return the number of grid edges crossing ``level`` in the grids of ``leads``, interpolated between levels."""
    if not facts.crossings:
        return 0.0
    counted = sorted(facts.crossings)
    position = {lead: index for index, lead in enumerate(facts.leads)}
    indices = [position[lead] for lead in leads if lead in position]
    totals = [float(sum(facts.crossings[known][index] for index in indices)) for known in counted]
    return float(np.interp(level, counted, totals))


def predict(module: str, job_features: Features, coefficients: Coefficients = DEFAULT_COEFFICIENTS) -> float:
    """Return the predicted CPU seconds of a job."""
    row = _row(module, coefficients)
    return float(sum(row.get(name, 0.0) * value for name, value in job_features.items()))


def fit(observations: Sequence[Observation], prior: Coefficients = DEFAULT_COEFFICIENTS) -> dict[str, dict[str, float]]:
    """Learn coefficients from finished jobs.

    Each module's coefficients, in units of the prior, minimize Huber-weighted relative residuals plus
    `PRIOR_OBSERVATIONS` times the squared distance from the prior (ridge regression), subject to non-negativity.
    Older observations count less. So a few observations hardly move a coefficient, features that never vary keep
    theirs, and an outlier (a stolen CPU, a cold disk) has bounded influence.

    Parameters
    ----------
    observations
        Oldest first. Non-finite and non-positive ones are skipped.
    prior
        Starting point: the last fit or the shipped table.

    Returns
    -------
    dict
        Coefficients of every module in the prior or the observations.
    """
    fitted = {module: dict(row) for module, row in prior.items()}
    for module in sorted({observation.module for observation in observations}):
        names = FEATURES.get(module, GENERIC)
        row = _row(module, prior)
        start = np.array([max(row.get(name, 0.0), 1e-15) for name in names])
        usable = [seen for seen in observations if seen.module == module and _usable(seen, names)]
        if usable:
            rows = np.array([[seen.features.get(name, 0.0) for name in names] for seen in usable])
            seconds = np.array([seen.seconds for seen in usable])
            learned = _fit_module(rows * start, seconds)
            fitted[module] = dict(zip(names, (learned * start).tolist(), strict=True))
        else:
            fitted[module] = dict(row)
    return fitted


def _fit_module(rows: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return factors on the prior; ``rows`` are predicted seconds, shape (n, features)."""
    count, width = rows.shape
    predicted = rows.sum(axis=1)
    # Residuals are relative, so that cheap jobs count as much as expensive ones. They are relative to the geometric
    # mean of observed and predicted time, so that ten times too slow counts as much as ten times too fast.
    scale = np.sqrt(np.maximum(seconds, _SHORTEST_S) * np.maximum(predicted, _SHORTEST_S))
    design, target = rows / scale[:, None], seconds / scale
    age = np.arange(count - 1, -1, -1, dtype=np.float64)
    decay = 0.5 ** (age / HALF_LIFE_OBSERVATIONS)
    factors = np.ones(width)
    # For each feature, the prior weighs as much as that many observations of its usual share of the time.
    share = np.mean(rows / np.maximum(predicted, _SHORTEST_S)[:, None], axis=0)
    ridge = np.diag(PRIOR_OBSERVATIONS * np.maximum(share, _LEAST_SHARE) ** 2)
    weights = decay
    for _ in range(_ROUNDS):
        normal = design.T @ (design * weights[:, None]) + ridge
        right = design.T @ (target * weights) + ridge @ np.ones(width)
        factors = _non_negative(normal, right)
        residuals = np.abs(design @ factors - target)
        spread = max(1.4826 * float(np.median(residuals)), 0.02)
        weights = decay * np.minimum(1.0, _HUBER * spread / np.maximum(residuals, 1e-12))
    return np.clip(factors, 1 / MAX_SWING, MAX_SWING)


def _non_negative(normal: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve small normal equations under non-negativity, by dropping negative factors until none is left."""
    active = np.ones(len(right), dtype=bool)
    solution = np.zeros(len(right))
    while active.any():
        part = np.linalg.solve(normal[np.ix_(active, active)], right[active])
        solution[:] = 0.0
        solution[active] = part
        if (part >= 0).all():
            break
        active &= solution > 0
        solution[~active] = 0.0
    return solution


def _usable(observation: Observation, names: Sequence[str]) -> bool:
    values = [observation.seconds, *(observation.features.get(name, 0.0) for name in names)]
    return bool(np.isfinite(values).all()) and observation.seconds > 0 and min(values) >= 0


def _row(module: str, coefficients: Coefficients) -> Mapping[str, float]:
    # A stored table may predate a feature: fill in shipped values.
    shipped = DEFAULT_COEFFICIENTS.get(module, GENERIC_COEFFICIENTS)
    return {**shipped, **coefficients.get(module, {})}


def _numbers(value: object) -> list[float]:
    if isinstance(value, list | tuple):
        return [float(item) for item in value if isinstance(item, int | float)]
    return [float(value)] if isinstance(value, int | float) else []
