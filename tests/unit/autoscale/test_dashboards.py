"""The dashboard and the alert rules ask only for metrics and labels that are served."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dynamo.autoscale.metric_names import COUNTERS, GAUGES, HISTOGRAMS, exposed_names

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dynamo.json").read_text())
RULES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())


def panel_queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def rules() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def queries() -> list[tuple[str, str]]:
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    found += [("annotation", item["expr"]) for item in DASHBOARD["annotations"]["list"]]
    return [*panel_queries(), *found]


def labels_of(metric: str) -> set[str]:
    for name, (labels, *_) in {**GAUGES, **{f"{n}_total": v for n, v in COUNTERS.items()}}.items():
        if name == metric:
            return set(labels)
    name, _, _ = metric.rpartition("_")
    return {*HISTOGRAMS[name][0], "le"}


def test_every_query_names_metrics_that_are_served() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for where, query in queries():
        names = set(re.findall(r"\bdynamo[_:][a-z0-9_:]+", query))
        assert names, where
        assert names <= exposed_names() | recorded, where


def test_every_label_of_a_query_exists() -> None:
    for where, query in queries():
        for metric, matchers in re.findall(r"\b(dynamo_[a-z0-9_]+)\{([^}]*)\}", query):
            used = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
            assert used <= labels_of(metric), (where, metric)
        grouped = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", query) for label in labels.split(",")}
        known = set().union(*(labels_of(name) for name in re.findall(r"\bdynamo_[a-z0-9_]+", query)), {""})
        assert grouped <= known, where


def test_every_metric_is_shown_or_watched() -> None:
    text = " ".join(query for _, query in queries())
    shown = [name for name in [*GAUGES, *COUNTERS, *HISTOGRAMS] if re.search(rf"\b{name}(_total|_bucket)?\b", text)]
    assert {*GAUGES, *COUNTERS, *HISTOGRAMS} == set(shown)


def test_the_dashboard_is_complete() -> None:
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, place["y"] + y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["h"])}
        assert not cells & places, panel["title"]
        places |= cells
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_the_rules_are_complete() -> None:
    names = [rule.get("alert") for rule in rules() if "alert" in rule]
    assert len(set(names)) == len(names) >= 10
    for rule in rules():
        assert rule["expr"].count("(") == rule["expr"].count(")")
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["description"]
    promtool = shutil.which("promtool")
    if promtool is not None:
        # Debian's package `prometheus` has it; without it the checks above stand alone.
        path = DEPLOY / "prometheus" / "rules.yml"
        done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
