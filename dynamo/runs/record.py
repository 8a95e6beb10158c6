"""A run as output: the facts in its index, its latencies, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dynamo.runs.ledger import BRANCH, SOFTWARE
from dynamo.runs.results import JobResult, implausible_values
from dynamo.store.models import Product, Run, RunDecision
from dynamo.times import to_iso, utc_now
from dynamo.workflows.model import Plan, files_of

INDEX_FORMAT = 1


def index_facts(
    run: Run,
    plan: Plan,
    results: Mapping[str, JobResult],
    remarks: Sequence[str] = (),
    skipped: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what ``index.json`` holds besides the products.

    ``remarks`` are those of `remarks_of`, ``skipped`` those of `skipped_jobs`.
    """
    products = frozenset(plan.products)
    return {
        "format": INDEX_FORMAT,
        "run": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "document_sha256": run.document,
        "description": plan.description,
        "software": SOFTWARE,
        "modules": {
            item.module: item.version
            for item in sorted(results.values(), key=lambda item: item.module)
            if not item.skipped
        },
        "engine": run.engine,
        "trigger": run.trigger,
        "radar": run.radar,
        "inputs": [{name: item[name] for name in ("port", "path", "sha256", "bytes")} for item in run.inputs],
        "parameters": run.parameters,
        "remarks": list(remarks),
        "skipped": [
            {
                "job": job,
                "reason": reason,
                "products": [lfn for lfn in files_of(plan.by_id[job].outputs) if lfn in products],
            }
            for job, reason in (skipped or {}).items()
        ],
        "implausible_values": implausible_values(results),
        "times": _times(run, utc_now()),
    }


def stored_index(run: Run, description: str, products: Sequence[Product]) -> dict[str, Any]:
    """Return what the store knows of a run in the form of its index, for one that has none; no module versions."""
    return {
        "run": run.id,
        "key": run.key,
        "workflow": run.workflow,
        "version": run.version,
        "document_sha256": run.document,
        "description": description,
        "software": run.software,
        "modules": {},
        "engine": run.engine,
        "trigger": run.trigger,
        "radar": run.radar,
        "inputs": run.inputs,
        "parameters": run.parameters,
        "times": _times(run, run.published_at),
        "products": [product_json(product) for product in products],
    }


def _times(run: Run, published_at: datetime | None) -> dict[str, str | None]:
    times = {
        "issue": run.valid_at,
        "closed": run.closed_at,
        "detected": run.detected_at,
        "created": run.created_at,
        "submitted": run.submitted_at,
        "started": run.started_at,
        "finished": run.finished_at,
        "published": published_at,
    }
    return {name: _iso(time) for name, time in times.items()}


def latencies(run: Run) -> dict[str, float]:
    """Return the seconds between steps, for those that have happened.

    ``detection_s`` from the file's close to the run's creation, ``queue_s`` to submission, ``work_s`` to the end of
    the last job, ``publish_s`` to publication, ``total_s`` from close to publication.
    """
    steps = {
        "detection_s": (run.closed_at, run.created_at),
        "queue_s": (run.created_at, run.submitted_at),
        "work_s": (run.submitted_at, run.finished_at),
        "publish_s": (run.finished_at, run.published_at),
        "total_s": (run.closed_at or run.created_at, run.published_at),
    }
    return {
        name: round((end - begin).total_seconds(), 4)
        for name, (begin, end) in steps.items()
        if begin is not None and end is not None
    }


def run_json(run: Run) -> dict[str, Any]:
    """Return one run as JSON data, for lists."""
    return {
        "id": run.id,
        "key": run.key,
        "workflow": run.workflow,
        "version": run.version,
        "trigger": run.trigger,
        "owner": run.owner,
        "radar": run.radar,
        "origin": run.origin,
        "backfill": run.backfill,
        "variant": run.variant,
        "standing": run.standing,
        "engine": run.engine,
        "state": run.state,
        "reason": run.reason,
        "priority": run.priority,
        "attempts": run.attempts,
        "jobs": {"total": run.jobs_total, "done": run.jobs_done, "failed": run.jobs_failed},
        "layout": run.layout,
        "predicted_s": run.predicted_s,
        "cpu_s": run.cpu_s,
        "inputs": run.inputs,
        "parameters": run.parameters,
        "run_dir": run.run_dir,
        "product_dir": run.product_dir,
        "software": run.software,
        "times": {
            name: _iso(getattr(run, f"{name}_at"))
            for name in (
                "valid",
                "deadline",
                "closed",
                "detected",
                "created",
                "planned",
                "submitted",
                "started",
                "finished",
                "published",
            )
        },
        "latencies": latencies(run),
    }


def product_json(product: Product) -> dict[str, Any]:
    """Return one product as JSON data."""
    return {
        "name": product.lfn,
        "output": product.output,
        "path": product.path,
        "sha256": product.sha256,
        "bytes": product.bytes,
        "lead_min": product.lead_min,
        "valid_at": _iso(product.valid_at),
    }


def decision_json(decision: RunDecision) -> dict[str, Any]:
    """Return one decision as JSON data."""
    return {
        "time": to_iso(decision.time),
        "subject": decision.subject,
        "action": decision.action,
        "reason": decision.reason,
        "data": decision.data,
    }


def last_branch(decisions: Sequence[RunDecision]) -> RunDecision | None:
    """Return the decision that names the jobs skipped in a run's last attempt; None if there were none."""
    last = next((item for item in reversed(decisions) if item.action in (BRANCH, "retry")), None)
    return last if last is not None and last.action == BRANCH else None


def skipped_json(decisions: Sequence[RunDecision]) -> dict[str, str]:
    """Return the jobs that were skipped in a run's last attempt, with the reasons."""
    branch = last_branch(decisions)
    return {} if branch is None else dict(branch.data["skipped"])


def _iso(time: datetime | None) -> str | None:
    return None if time is None else to_iso(time)
