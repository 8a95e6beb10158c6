"""Prepared run folders for the tests of engines."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dynamo.documents.loading import read_data
from dynamo.engines.base import RunFolder
from dynamo.inspection.process import inspect
from dynamo.modules.registry import contracts
from dynamo.resources import data_folder
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.workflows.expand import expand
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Plan, Resources
from dynamo.workflows.validate import parse_document

LayoutKind = Literal["single", "clusters", "jobs"]
LEVELS = [35.0, 45.0]
#: Parameters of `choose_layout` that lead to each kind of layout for a short run.
_CHOICES: dict[LayoutKind, tuple[float, float]] = {"single": (2.0, 1e6), "clusters": (0.001, 0.0), "jobs": (0.0, 0.0)}


def make_input(folder: Path, shape: tuple[int, int] = (61, 81)) -> Path:
    """Write a simulated nowcast."""
    return NowcastSimulator("wide", shape, datetime(2019, 6, 10, tzinfo=UTC), seed=3).write(folder, 0)


def prepare(
    root: Path,
    source: Path,
    kind: LayoutKind,
    *,
    leads: Sequence[int] = (0, 1, 2),
    retries: int | None = None,
    max_seconds: int | None = None,
    memory_mb: int | None = None,
    like: Path | None = None,
) -> tuple[RunFolder, Plan]:
    """Prepare a run of the nowcast workflow; ``like`` is looked at in place of ``source``, where that is broken."""
    facts = replace(inspect(like or source, LEVELS), leads=tuple(leads))
    modules = contracts()
    document = parse_document(read_data(data_folder("workflows") / "nowcast.json"), modules)
    plan = expand(document, {"nowcast": source}, {"levels": LEVELS}, {"nowcast": facts}, modules)
    jobs = []
    for job in plan.jobs:
        resources = job.resources if max_seconds is None else Resources(max_seconds=max_seconds)
        resources = resources if memory_mb is None else replace(resources, memory_mb=memory_mb)
        jobs.append(replace(job, retries=job.retries if retries is None else retries, resources=resources))
    plan = replace(plan, jobs=tuple(jobs))
    overhead, threshold = _CHOICES[kind]
    layout = choose_layout(plan, slots=2, job_overhead_s=overhead, single_threshold_s=threshold)
    assert layout.kind == kind, layout.reason
    folder = RunFolder(root)
    folder.prepare(plan, layout)
    return folder, plan


def prepare_branches(root: Path, source: Path) -> tuple[RunFolder, Plan]:
    """Prepare a run, one task for each job: `weak` runs, `strong` does not, and so `plot` cannot."""
    document = {
        "dynamo": 1,
        "name": "branches",
        "version": "1",
        "inputs": {"nowcast": {"format": "casa-nowcast"}},
        "jobs": [
            {
                "id": "split",
                "module": "split",
                "inputs": {"nowcast": "{inputs.nowcast}"},
                "outputs": {"leads": ["0.nc", "1.nc"]},
                "arguments": {"leads": [0, 1]},
            },
            {
                "id": "strong",
                "module": "split",
                "when": "split.max_dbz >= 90",
                "inputs": {"nowcast": "{inputs.nowcast}"},
                "outputs": {"leads": "strong/0.nc"},
                "arguments": {"leads": [0]},
            },
            {
                "id": "plot",
                "module": "plot",
                "inputs": {"grid": {"from": "strong.leads"}},
                "outputs": {"png": "strong.png"},
            },
            {
                "id": "weak",
                "module": "plot",
                "when": "split.max_dbz >= 20",
                "inputs": {"grid": "0.nc"},
                "outputs": {"png": "weak.png"},
            },
        ],
        "outputs": ["plot.png", "weak.png"],
    }
    modules = contracts()
    facts = {"nowcast": inspect(source, [])}
    plan = expand(parse_document(document, modules), {"nowcast": source}, {}, facts, modules)
    layout = choose_layout(plan, slots=2, job_overhead_s=0.0, single_threshold_s=0.0)
    assert len(layout.tasks) == 4
    folder = RunFolder(root)
    folder.prepare(plan, layout)
    return folder, plan


def checksums(folder: RunFolder, plan: Plan) -> dict[str, str]:
    """Return the checksum of each product."""
    return {lfn: hashlib.sha256((folder.work / lfn).read_bytes()).hexdigest() for lfn in plan.products}
