from __future__ import annotations

from typing import Any

import pytest

from dynamo.runs.workflow_planner import DocumentPlanner


def document(levels: object) -> dict[str, Any]:
    arguments = {} if levels is None else {"levels": levels}
    return {
        "dynamo": 1,
        "name": "one",
        "version": "1",
        "inputs": {"grid": {"format": "casa-split", "name": "grid.nc"}},
        "parameters": {"thresholds": {"type": "floats", "default": [20, 30.5]}},
        "jobs": [
            {
                "id": "storms",
                "module": "contour",
                "inputs": {"grid": "{inputs.grid}"},
                "outputs": {"geojson": "storms.geojson"},
                "arguments": arguments,
            }
        ],
        "outputs": ["storms.geojson"],
    }


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ("{parameters.thresholds}", (20.0, 30.5)),
        ([41, 42.5], (41.0, 42.5)),
        (None, (45.0,)),
    ],
)
def test_an_input_is_looked_at_at_the_levels_of_the_contour_jobs(levels: object, expected: tuple[float, ...]) -> None:
    planner = DocumentPlanner()
    workflow = planner.from_body(document(levels))
    assert planner.levels(workflow, planner.parameters(workflow, {})) == expected


def test_levels_that_are_given_count() -> None:
    planner = DocumentPlanner()
    workflow = planner.load("nowcast")
    assert planner.levels(workflow, planner.parameters(workflow, {"levels": "30,45"})) == (30.0, 45.0)
