"""A run that a person asks for: its inputs are inspected, its parameters checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dynamo.doors import ENGINES
from dynamo.errors import InputError, NotFoundError, UsageError
from dynamo.files import sha256_file
from dynamo.formats.sounding import read_sounding
from dynamo.inspection.process import inspect_port
from dynamo.runs.ledger import InputFile, RunRequest, newest_of
from dynamo.runs.service import RunService, has_products, products_state
from dynamo.runs.states import RETRIED
from dynamo.store.models import Run


def request_run(
    service: RunService,
    name: str,
    inputs: Mapping[str, Sequence[str]],
    params: Mapping[str, object],
    engine: str,
) -> RunRequest:
    """Return the request for a run of a workflow with named files.

    Parameters
    ----------
    name
        A template, or the file of a document.
    inputs
        Paths by input.
    params
        Parameters by name; those not given have their defaults.
    engine
        Name of an engine.

    Raises
    ------
    InputError, UsageError, NotFoundError
        If the workflow or a file is not there, or an input or parameter is missing, unknown or broken.
    """
    ENGINES.load(engine)
    workflow = service.planner.load(name)
    inputs = {**{port: [str(path)] for port, path in workflow.replicas.items()}, **inputs}
    unknown = sorted(set(inputs) - set(workflow.inputs))
    missing = sorted(set(workflow.inputs) - workflow.optional - set(inputs))
    if unknown or missing:
        what = f"unknown input {unknown[0]!r:.60}" if unknown else f"missing input {missing[0]}"
        expected = ", ".join(f"--input {port}=PATH" for port in workflow.inputs) or "no inputs"
        raise InputError(what, where=workflow.name, expected=expected)
    parameters = service.planner.parameters(workflow, params)
    files, times, radars = [], [], set()
    for port, texts in inputs.items():
        paths = [Path(text).absolute() for text in texts]
        if len(paths) > 1 and port not in workflow.many:
            raise UsageError(f"{port} given {len(paths)} times", where="--input", expected="one file")
        for path in paths:
            if not path.is_file():
                raise NotFoundError("no such file", where=path, expected=f"a file in format {workflow.inputs[port]}")
        facts = inspect_port(workflow.inputs[port], paths, ())
        for path in paths:
            known = path.stat()
            if workflow.inputs[port] == "sounding":
                # A trigger's run falls back on the configured heights; whoever names a file now wants that file.
                read_sounding(path)
            files.append(InputFile(port, path, sha256_file(path), known.st_size, known.st_mtime_ns))
        if facts is not None:
            times.append(facts.issue_time)
            radars.add(facts.radar)
    return RunRequest(
        workflow=workflow,
        inputs=tuple(files),
        parameters=parameters,
        engine=engine,
        trigger="submit",
        origin="submit",
        radar=radars.pop() if len(radars) == 1 else "",
        priority=workflow.priority,
        valid_at=max(times, default=None),
    )


def submit_run(service: RunService, request: RunRequest, *, force: bool = False) -> tuple[Run, str]:
    """Create the run of a request, or take up the one that there is.

    Parameters
    ----------
    force
        Whether products are made again even if they are there.

    Returns
    -------
    tuple
        The run, and what was there before in a few words; empty if it is new.
    """
    request = _last_request(service, request, force=force)
    run, new = service.create(request)
    if new:
        return run, ""
    if run.state in RETRIED:
        return service.retry(run.id, "submitted again", request), "run again"
    if run.state == "succeeded" and not has_products(run):
        why = f"submitted again, its products are {products_state(run)}"
        return service.retry(run.id, why, request), "run again"
    return run, "already run"


def _last_request(service: RunService, request: RunRequest, *, force: bool) -> RunRequest:
    """Return the request as it was made last; with ``force`` the next one, unless that one is not over yet."""
    with service.store.reading() as session:
        last, run = newest_of(session, request)
    return replace(last, again=last.again + 1) if force and run is not None and run.state == "succeeded" else last
