"""The plan of a backfill before it is started: how many runs, what they cost, and what is missing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.backfill.judging import Notes, SlotOutcome, counts, judge
from dynamo.backfill.listing import arrival_values, concerns, files_after
from dynamo.backfill.order import Order
from dynamo.backfill.source import Position, Slot, slots
from dynamo.errors import InputError
from dynamo.runs.execution.input_facts import input_facts
from dynamo.runs.ledger import RunRequest
from dynamo.runs.service import RunService
from dynamo.store.fleets import Worker
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now

#: How many runs' costs, and how many files of a folder, stand for all.
_SAMPLE = 20
#: Missing inputs to name.
_NAMED = 20
#: Recent runs or workers to learn from.
_RECENT = 50
_HOUR_S = 3600.0
_POOL_ENGINES = ("condor", "pegasus")


@dataclass(frozen=True)
class BackfillPlan:
    """What a backfill would do; ``estimated`` from a sample of files, if it takes those of a folder.

    ``runs`` would be made, the others of the ``slots`` are up to date, refused by the trigger, or without input.
    ``core_h`` are predicted core-hours, ``hours`` those until it is done at the given cap without live work,
    and ``cost`` is None if no price of a core-hour is known.
    """

    slots: int
    runs: int
    up_to_date: int
    refused: int
    gone: int
    core_h: float
    hours: float
    cost: float | None
    gone_inputs: tuple[str, ...] = ()
    files: int | None = None
    estimated: bool = False


def plan(
    service: RunService, order: Order, price: float | None = None, *, look: Callable[[], object] = lambda: None
) -> BackfillPlan:
    """Return the plan of a backfill; nothing is stored.

    Parameters
    ----------
    service
        Holds the store and the cost model.
    order
        What is asked for.
    price
        Of a core-hour; None for that of recent workers.
    look
        Called at each slot; it may raise an error to give up.
    """
    if order.folder is not None:
        return _plan_of_folder(service, order, price)
    totals = dict(counts(()))
    sample: list[RunRequest] = []
    gone: list[str] = []
    # The same answer each time.
    choose = random.Random(0)  # noqa: S311 - no secret
    with service.store.reading() as session:
        book = Notes(session, order.rule.kind, "plan", utc_now())
        for slot in slots(session, order, order.rule.trigger.feed, Position()):
            look()
            outcomes = judge(session, slot, order, book, "plan")
            for name, count in counts(outcomes).items():
                totals[name] += count
            gone += [one.reason for one in outcomes if one.word == "gone"][: _NAMED - len(gone)]
            for one in outcomes:
                if one.request is not None:
                    _keep(sample, one.request, totals["made"], choose)
            session.expunge_all()
        each_s, wall_s = _cost(service, session, order, sample)
        price = _price(session, order) if price is None else price
    found = _plan(totals, order, each_s, wall_s, price)
    return replace(found, gone_inputs=tuple(gone))


def _plan_of_folder(service: RunService, order: Order, price: float | None) -> BackfillPlan:
    files = [path for path in files_after(order.folder or Path()) if concerns(order, path)]
    some = files if len(files) <= _SAMPLE else [files[index * len(files) // _SAMPLE] for index in range(_SAMPLE)]
    found = [Arrival(**values) for path in some if (values := arrival_values(path, order, "plan")) is not None]
    share = len(files) / len(some) if some else 0.0
    with service.store.reading() as session:
        book = Notes(session, order.rule.kind, "plan", utc_now())
        found.sort(key=lambda one: one.valid_at or one.detected_at)
        outcomes: list[SlotOutcome] = []
        for arrival in found:
            outcomes += judge(session, _alone(arrival), order, book, "plan")
        sample = [one.request for one in outcomes if one.request is not None]
        each_s, wall_s = _cost(service, session, order, sample)
        price = _price(session, order) if price is None else price
    totals = {name: round(count * share) for name, count in counts(outcomes).items()}
    planned = _plan(totals, order, each_s, wall_s, price)
    return replace(planned, files=len(files), estimated=len(some) < len(files))


def _plan(totals: Mapping[str, int], order: Order, each_s: float, wall_s: float, price: float | None) -> BackfillPlan:
    runs = totals["made"]
    core_h = runs * each_s / _HOUR_S
    return BackfillPlan(
        slots=totals["slots"],
        runs=runs,
        up_to_date=totals["had"],
        refused=totals["refused"],
        gone=totals["gone"],
        core_h=core_h,
        hours=runs * wall_s / order.at_most / _HOUR_S,
        cost=None if price is None else core_h * price,
    )


def _alone(arrival: Arrival) -> Slot:
    return Slot((arrival,), Position())


def _keep(sample: list[RunRequest], request: RunRequest, seen: int, choose: random.Random) -> None:
    """Keep a fair sample of requests, whatever their number: ``seen`` of them so far."""
    if len(sample) < _SAMPLE:
        sample.append(request)
    elif (place := choose.randrange(seen)) < _SAMPLE:
        sample[place] = request


def _cost(service: RunService, session: Session, order: Order, sample: Sequence[RunRequest]) -> tuple[float, float]:
    """Return the mean CPU and wall seconds of a run; the wall is that of past runs, if there are any."""
    costs = [cost for request in sample if (cost := _predicted_s(service, request)) is not None]
    each_s = sum(costs) / len(costs) if costs else 0.0
    times = session.execute(
        select(Run.submitted_at, Run.finished_at)
        .where(Run.workflow == order.rule.workflow.name, Run.state == "succeeded")
        .order_by(Run.valid_at.desc())
        .limit(_RECENT)
    )
    walls = [(end - begin).total_seconds() for begin, end in times if begin is not None and end is not None]
    return each_s, sum(walls) / len(walls) if walls else each_s


def _predicted_s(service: RunService, request: RunRequest) -> float | None:
    """Return the CPU seconds of a run by the cost model; None if its input cannot be read."""
    planner, workflow = service.planner, request.workflow
    paths: dict[str, tuple[Path, ...]] = {}
    for item in request.inputs:
        paths[item.port] = (*paths.get(item.port, ()), item.path)
    try:
        facts = input_facts(workflow.inputs, paths, planner.levels(workflow, request.parameters), {})
        # The engine changes how jobs are grouped, not what they cost.
        found, _ = planner.plan(
            workflow, paths, request.parameters, facts, engine="local", coefficients=service.coefficients()
        )
    except InputError:
        return None
    return found.predicted_s


def _price(session: Session, order: Order) -> float | None:
    """Return what a core-hour of recent workers costs; None if the work does not go there, or they cost nothing."""
    if order.rule.engine not in _POOL_ENGINES:
        return None
    query = select(Worker.cost_per_hour, Worker.cpus).where(Worker.cpus > 0).order_by(Worker.id.desc()).limit(_RECENT)
    prices = [cost / cpus for cost, cpus in session.execute(query) if cost > 0]
    return sum(prices) / len(prices) if prices else None
