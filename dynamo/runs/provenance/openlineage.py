"""A run as OpenLineage events (https://openlineage.io/spec/2-0-2/OpenLineage.json), one for each step that counts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import dynamo
from dynamo.runs.states import FINAL, TOLD, EventType, RunState
from dynamo.store.models import Run
from dynamo.times import to_iso

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUN_FACET = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
_PRODUCER = f"urn:dynamo:{dynamo.__version__}"
_SPACE = uuid.UUID("6d1f8cf4-5b0e-5c2f-9d0c-6f4f1b7e3a51")


@dataclass(frozen=True)
class RunStep:
    """One step of a run.

    Attributes
    ----------
    kind
        ``START`` when it was handed to its engine; ``COMPLETE`` when it was published; ``FAIL``; ``ABORT`` when it was
        canceled or skipped.
    at
        When that was.
    attempt
        Which try it is; each is a run of its own to OpenLineage.
    reason
        Why it failed.
    """

    kind: EventType
    at: datetime
    attempt: int
    reason: str = ""


def run_event(index: Mapping[str, Any], step: RunStep, *, namespace: str) -> dict[str, Any]:
    """Return one event of a run.

    Parameters
    ----------
    index
        The run's index; see `dynamo.runs.record.index_facts`.
    step
        What happened.
    namespace
        Where the job belongs, in OpenLineage's words.
    """
    outputs = index["products"] if step.kind == "COMPLETE" else ()
    return {
        "eventType": step.kind,
        "eventTime": to_iso(step.at),
        "producer": _PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": run_id(str(index["run"]), step.attempt), "facets": _run_facets(index, step)},
        "job": {"namespace": namespace, "name": index["workflow"], "facets": _job_facets(index)},
        "inputs": _datasets([(item["path"], item["sha256"]) for item in index["inputs"]]),
        "outputs": _datasets([(f"{index['folder']}/{item['name']}", item["sha256"]) for item in outputs]),
    }


def run_id(run: str, attempt: int) -> str:
    """Return the UUID of an attempt at a run, the same whenever it is asked for."""
    return str(uuid.uuid5(_SPACE, f"{run}/{attempt}"))


def _run_facets(index: Mapping[str, Any], step: RunStep) -> dict[str, Any]:
    software, _, version = str(index["software"]).partition(" ")
    facets = {
        "processing_engine": _facet(
            "facets/1-1-0/ProcessingEngineRunFacet", name=software, version=version or dynamo.__version__
        ),
        "dynamo_run": {
            "_producer": _PRODUCER,
            "_schemaURL": _RUN_FACET,
            **{name: index[name] for name in ("run", "key", "engine", "trigger", "radar", "parameters", "modules")},
            "version": index["version"],
            "document_sha256": index["document_sha256"],
        },
    }
    if issue := index["times"].get("issue"):
        facets["nominalTime"] = _facet("facets/1-0-1/NominalTimeRunFacet", nominalStartTime=issue)
    if step.kind == "FAIL":
        facets["errorMessage"] = _facet(
            "facets/1-0-0/ErrorMessageRunFacet", message=step.reason or "failed", programmingLanguage="Python"
        )
    return facets


def _job_facets(index: Mapping[str, Any]) -> dict[str, Any]:
    kind = _facet("facets/2-0-3/JobTypeJobFacet", processingType="BATCH", integration="DYNAMO", jobType="WORKFLOW")
    if not index["description"]:
        return {"jobType": kind}
    about = _facet("facets/1-0-0/DocumentationJobFacet", description=index["description"])
    return {"jobType": kind, "documentation": about}


def _datasets(files: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "namespace": "file",
            "name": path,
            "facets": {"version": _facet("facets/1-0-0/DatasetVersionDatasetFacet", datasetVersion=sha)},
        }
        for path, sha in files
    ]


def _facet(place: str, **values: Any) -> dict[str, Any]:
    name = place.rpartition("/")[2]
    return {"_producer": _PRODUCER, "_schemaURL": f"{_SPEC}/{place}.json#/$defs/{name}", **values}


def steps_of(run: Run) -> list[RunStep]:
    """Return the steps of the newest attempt at a run."""
    steps = [] if run.submitted_at is None else [RunStep("START", run.submitted_at, run.attempts)]
    if run.state in FINAL:
        at = run.published_at or run.finished_at or run.updated_at
        steps.append(RunStep(TOLD[cast("RunState", run.state)], at, run.attempts, run.reason))
    return steps
