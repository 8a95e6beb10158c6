from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynamo.runs.keys import run_key
from dynamo.runs.states import FINAL, TRANSITIONS, UNFINISHED, WAITING, RunState, sources

DOCS = Path(__file__).resolve().parents[3] / "docs"
KEY = {"levels": [30, 45.5], "name": "a"}


def test_every_state_is_in_the_table_and_every_target_is_a_state() -> None:
    assert all(targets <= set(TRANSITIONS) for targets in TRANSITIONS.values())
    assert set(TRANSITIONS) == FINAL | UNFINISHED
    assert FINAL.isdisjoint(UNFINISHED)
    assert WAITING <= UNFINISHED


def test_every_state_is_reached_from_created_and_every_unfinished_one_can_end() -> None:
    seen: set[str] = set()
    todo: list[RunState] = ["created"]
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo += TRANSITIONS[state]
    assert seen == set(TRANSITIONS)
    assert all("failed" in TRANSITIONS[state] for state in TRANSITIONS if state in UNFINISHED)


def test_only_a_retry_leaves_the_final_states() -> None:
    assert all(TRANSITIONS[state] == {"created"} for state in TRANSITIONS if state in FINAL)
    assert sources("succeeded") == {"publishing"}


@pytest.mark.parametrize(
    ("workflow", "version", "document", "inputs", "parameters", "same"),
    [
        ("w", "1", "d", {"i": ["aa"]}, {"name": "a", "levels": [30.0, 45.5]}, True),
        ("w", "1", "d", {"i": ("aa",)}, {"levels": (30, 45.5), "name": "a"}, True),
        ("x", "1", "d", {"i": ["aa"]}, KEY, False),
        ("w", "2", "d", {"i": ["aa"]}, KEY, False),
        ("w", "1", "e", {"i": ["aa"]}, KEY, False),
        ("w", "1", "d", {"i": ["ab"]}, KEY, False),
        ("w", "1", "d", {"j": ["aa"]}, KEY, False),
        ("w", "1", "d", {"i": ["aa"]}, {"levels": [45.5, 30], "name": "a"}, False),
        ("w", "1", "d", {"i": ["aa"]}, {"levels": [30, 45.5], "name": True}, False),
    ],
)
def test_the_run_key_tells_what_is_the_same_work(
    workflow: str, version: str, document: str, inputs: dict[str, list[str]], parameters: dict[str, object], same: bool
) -> None:
    reference = run_key("w", "1", "d", {"i": ["aa"]}, KEY)
    assert len(reference) == 64
    assert (run_key(workflow, version, document, inputs, parameters) == reference) is same


def test_the_manual_has_the_same_table() -> None:
    rows = {}
    for line in (DOCS / "howto" / "watch.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for state in cells[0].split(", "):
            if len(cells) == 3 and state in TRANSITIONS:
                rows[state] = {name for name in TRANSITIONS if re.search(rf"\b{name}\b", cells[2])}
    assert rows == {state: set(targets) for state, targets in TRANSITIONS.items()}


def test_true_is_not_one_in_a_key() -> None:
    assert run_key("w", "1", "d", {}, {"a": True}) != run_key("w", "1", "d", {}, {"a": 1})
