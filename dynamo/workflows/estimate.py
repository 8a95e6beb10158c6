"""Cost prediction for every job in a plan, by tracing each file back to its input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dynamo.inspection.facts import InputFacts
from dynamo.workflows.cost import DEFAULT_COEFFICIENTS, Coefficients, Observation, features, predict
from dynamo.workflows.model import Job, Plan, files_of


@dataclass(frozen=True)
class _Origin:
    """Origin of a file's data: an external LFN and its leads (None: all)."""

    lfn: str | None = None
    leads: tuple[int, ...] | None = None


def with_predictions(
    plan: Plan, facts_by_lfn: Mapping[str, InputFacts], coefficients: Coefficients = DEFAULT_COEFFICIENTS
) -> Plan:
    """Return the plan with ``features`` and ``predicted_s`` on every job.

    A module whose argument ``leads`` is as long as its list of outputs writes one lead to each output, in order
    (`split`); a module with as many outputs as inputs passes leads through one to one; any other merges the leads of
    all its inputs. A job with a condition counts in full: that it will be skipped is known only when it is.

    Parameters
    ----------
    plan
        The plan.
    facts_by_lfn
        Facts about the external inputs by LFN; may be incomplete.
    coefficients
        Coefficients of the cost model.
    """
    origins = {lfn: _Origin(lfn) for lfn in plan.replicas}
    found: dict[str, Job] = {}
    for job in plan.ordered:
        read = [origins[lfn] for lfn in files_of(job.inputs)]
        merged = _merge(read)
        facts = facts_by_lfn.get(merged.lfn) if merged.lfn is not None else None
        seen = features(job.module, job.arguments, facts, merged.leads)
        found[job.id] = replace(job, features=seen, predicted_s=predict(job.module, seen, coefficients))
        origins.update(zip(files_of(job.outputs), _outputs(job, read, merged), strict=True))
    return replace(plan, jobs=tuple(found[job.id] for job in plan.jobs))


def observations(plan: Plan, seconds_by_job: Mapping[str, float]) -> list[Observation]:
    """Return observations from a finished run: each job's features and CPU seconds."""
    return [
        Observation(job.module, job.features, seconds_by_job[job.id])
        for job in plan.ordered
        if job.features and job.id in seconds_by_job
    ]


def _merge(origins: Iterable[_Origin]) -> _Origin:
    known = [origin for origin in origins if origin.lfn is not None]
    if not known:
        return _Origin()
    lfn = known[0].lfn
    same = [origin.leads for origin in known if origin.lfn == lfn]
    if any(leads is None for leads in same):
        return _Origin(lfn)
    return _Origin(lfn, tuple(lead for leads in same if leads is not None for lead in leads))


def _outputs(job: Job, read: list[_Origin], merged: _Origin) -> list[_Origin]:
    count = len(files_of(job.outputs))
    leads = job.arguments.get("leads")
    if isinstance(leads, list) and len(leads) == count:
        return [_Origin(merged.lfn, (int(lead),)) for lead in leads]
    if len(read) == count:
        return read
    return [merged] * count
