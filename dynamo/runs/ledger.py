"""The runs in the store: create one by its key, move it between states, find it, and record decisions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Any, Literal

from sqlalchemy import ColumnElement, CursorResult, delete, or_, select, update
from sqlalchemy.orm import Session

import dynamo
from dynamo.contract import Value
from dynamo.errors import InputError, NotFoundError
from dynamo.runs.keys import SHORT, run_key
from dynamo.runs.planning import Workflow
from dynamo.runs.series import withdraw
from dynamo.runs.states import ENGAGED, TOLD, UNFINISHED, RunState, sources
from dynamo.store.inserts import insert_new
from dynamo.store.lineage import UntoldStep
from dynamo.store.models import Arrival, Product, Run, RunDecision, RunInput, StoredDocument
from dynamo.store.url import store_of
from dynamo.times import CLOCK_TOLERANCE, utc_now

#: Set in ``session.info`` where steps of runs are stored to be told.
TELLS_STEPS = "tells_steps"
SOFTWARE = f"dynamo {dynamo.__version__}"
_SHOWN_AMBIGUOUS = 5
#: Of a key.
_LONGEST = 64
#: Digits of an input's checksum by which the runs that read it are found.
SHA = 16
#: By a trigger as data came, by a person, or by a backfill, which neither replaces nor is replaced by live work.
Origin = Literal["live", "submit", "backfill"]
#: Sweeps of one radar closer together than this are elevations of one scan: the later does not replace the earlier.
_ONE_SCAN = timedelta(minutes=1)


@dataclass(frozen=True)
class InputFile:
    """One input of a run, as it was when the run was requested."""

    port: str
    path: Path
    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class RunRequest:
    """What a run is created from; ``parameters`` are complete and checked."""

    workflow: Workflow
    inputs: tuple[InputFile, ...]
    parameters: Mapping[str, Value]
    engine: str
    trigger: str = ""
    origin: Origin = "live"
    #: Who ordered it; empty for triggers and backfills.
    owner: str = ""
    priority: int = 0
    arrival_id: int | None = None
    #: The one radar whose data it has; empty for several or none.
    radar: str = ""
    #: The backfill that it belongs to, and the name to publish under beside the current products, if any.
    backfill: str = ""
    variant: str = ""
    #: How many times the same work was done before on purpose; its products are beside theirs.
    again: int = 0
    valid_at: datetime | None = None
    deadline_at: datetime | None = None
    closed_at: datetime | None = None
    detected_at: datetime | None = None

    @property
    def key(self) -> str:
        """The run key."""
        sums: dict[str, list[str]] = {}
        for item in self.inputs:
            sums.setdefault(item.port, []).append(item.sha256)
        workflow = self.workflow
        return run_key(
            workflow.name,
            workflow.version,
            workflow.sha256,
            sums,
            self.parameters,
            modules=workflow.modules,
            variant=self.variant,
            again=self.again,
        )


def newest_of(session: Session, request: RunRequest) -> tuple[RunRequest, Run | None]:
    """Return the request as it was made last, and its run: it may have been forced several times; None if never."""
    run, made = session.scalar(select(Run).where(Run.key == request.key)), request
    while run is not None:
        following = replace(made, again=made.again + 1)
        later = session.scalar(select(Run).where(Run.key == following.key))
        if later is None:
            break
        run, made = later, following
    return made, run


def create_run(session: Session, request: RunRequest, *, runs_dir: Path) -> tuple[Run, bool]:
    """Create the run for ``request``, or return the existing one with its key.

    Returns
    -------
    tuple
        The run, and whether it is new.
    """
    key = request.key
    known = session.scalar(select(Run).where(Run.key == key))
    if known is not None:
        return known, False
    now = utc_now()
    workflow = request.workflow
    keep_document(session, workflow, now)
    new = insert_new(
        session,
        Run,
        id=key[:SHORT],
        key=key,
        workflow=workflow.name,
        version=workflow.version,
        document=workflow.sha256,
        trigger=request.trigger,
        arrival_id=request.arrival_id,
        radar=request.radar,
        origin=request.origin,
        owner=request.owner,
        backfill=request.backfill,
        variant=request.variant,
        standing="",
        engine=request.engine,
        state="created",
        reason="",
        priority=request.priority,
        attempts=0,
        inputs=inputs_json(request),
        parameters=dict(request.parameters),
        layout="",
        jobs_total=0,
        jobs_done=0,
        jobs_failed=0,
        predicted_s=0.0,
        cpu_s=0.0,
        run_dir=str(runs_dir / key[:SHORT]),
        software=SOFTWARE,
        valid_at=request.valid_at,
        deadline_at=request.deadline_at,
        closed_at=request.closed_at,
        detected_at=request.detected_at,
        created_at=now,
        updated_at=now,
    )
    run = session.scalar(select(Run).where(Run.key == key))
    if run is None:
        raise InputError(f"two runs share the first {SHORT} digits of their key", where=key)
    if new:
        for sha in {item.sha256[:SHA] for item in request.inputs}:
            session.add(RunInput(sha=sha, run_id=run.id))
    return run, new


def keep_document(session: Session, workflow: Workflow, now: datetime) -> None:
    """Store a workflow's document, and keep it from being pruned until the transaction is over.

    Pruning removes what nothing refers to: on PostgreSQL, that may be happening to a document that is known already.
    """
    held = select(StoredDocument.sha256).where(StoredDocument.sha256 == workflow.sha256)
    while True:
        new = insert_new(
            session,
            StoredDocument,
            sha256=workflow.sha256,
            name=workflow.name,
            version=workflow.version,
            body=dict(workflow.body),
            recorded_at=now,
        )
        if new or session.scalar(held.with_for_update(read=True, key_share=True)) is not None:
            return


def inputs_json(request: RunRequest) -> list[dict[str, Any]]:
    """Return the inputs of a request in the form the store keeps."""
    return [
        {
            "port": item.port,
            "path": str(item.path),
            "sha256": item.sha256,
            "bytes": item.bytes,
            "mtime_ns": item.mtime_ns,
        }
        for item in request.inputs
    ]


def move(session: Session, run_id: str, to: RunState, **values: Any) -> bool:
    """Move a run to a state if its current state allows it; return whether it moved.

    Parameters
    ----------
    session, run_id, to
        The transaction, the run, and the target state; see `TRANSITIONS`.
    **values
        Other columns to set. A ``reason`` belongs to one state: without a new one, it is emptied.
    """
    values.setdefault("reason", "")
    statement = (
        update(Run).where(Run.id == run_id, Run.state.in_(sources(to))).values(state=to, updated_at=utc_now(), **values)
    )
    moved = _rows(session.execute(statement)) == 1
    if moved and session.info.get(TELLS_STEPS) and (kind := TOLD.get(to)) is not None:
        attempt = session.scalar(select(Run.attempts).where(Run.id == run_id))
        reason = str(values["reason"])
        session.add(UntoldStep(run_id=run_id, kind=kind, at=utc_now(), attempt=attempt, reason=reason, failures=0))
    return moved


def note(session: Session, run_id: str, reason: str) -> bool:
    """Store why a run that its engine has does not get on; return whether it is such a run."""
    statement = update(Run).where(Run.id == run_id, Run.state.in_(ENGAGED)).values(reason=reason, updated_at=utc_now())
    return _rows(session.execute(statement)) == 1


def reopen(session: Session, run_id: str, request: RunRequest | None = None) -> bool:
    """Reset a finished run to ``created``; its deadline and its products no longer count.

    A new ``request`` for the same run also updates where its inputs are and which engine to use.
    """
    renewed = {} if request is None else {"inputs": inputs_json(request), "engine": request.engine}
    run = session.get(Run, run_id)
    if run is not None:
        withdraw(session, run)
    session.execute(delete(Product).where(Product.run_id == run_id))
    return move(
        session,
        run_id,
        "created",
        reason="",
        cancel_reason=None,
        deadline_at=None,
        finished_at=None,
        started_at=None,
        submitted_at=None,
        published_at=None,
        product_dir=None,
        tier="",
        bytes=0,
        cleaned_at=None,
        jobs_done=0,
        jobs_failed=0,
        **renewed,
    )


#: The action of the decision that names a run's skipped jobs, with the reasons in its data.
BRANCH = "branch"
#: Skipped jobs that a decision names; the index of the products names all.
_MOST_LISTED = 100


def decide(session: Session, subject: str, action: str, reason: str, **data: Any) -> None:
    """Record what was decided about ``subject``, why, and the numbers behind it."""
    session.add(RunDecision(time=utc_now(), subject=subject[:400], action=action, reason=reason, data=data))


def note_skipped(session: Session, run_id: str, skipped: Mapping[str, str], jobs: int) -> None:
    """Record which of a run's jobs a result kept from running, and why, if any."""
    if skipped:
        listed = dict(itertools.islice(skipped.items(), _MOST_LISTED))
        decide(session, run_id, BRANCH, f"{len(skipped)} of {jobs} jobs skipped", skipped=listed)


def about_trigger(trigger: str) -> ColumnElement[bool]:
    """Return the condition that a decision is about a trigger: made by it, about it, or about a run that it started."""
    started = select(Run.id).where(Run.id == RunDecision.subject, Run.trigger == trigger).exists()
    return or_(RunDecision.data["trigger"].as_string() == trigger, RunDecision.subject == f"trigger {trigger}", started)


def about_feed(feed: str) -> ColumnElement[bool]:
    """Return the condition that a decision is about a feed's files, or about a run that one of them started."""
    started = (
        select(Run.id)
        .join(Arrival, Arrival.id == Run.arrival_id)
        .where(Run.id == RunDecision.subject, Arrival.feed == feed)
        .exists()
    )
    return or_(RunDecision.data["feed"].as_string() == feed, started)


def find_run(session: Session, name: str) -> Run:
    """Return the run whose id or key starts with ``name``.

    Raises
    ------
    NotFoundError
        If none matches, or more than one.
    """
    matches: Sequence[Run] = ()
    if name.isalnum():
        # Ranges, which every database finds by its indexes; letters and digits come before their end in all orders.
        last = name + "z" * _LONGEST
        condition = or_(Run.id.between(name, last), Run.key.between(name, last))
        near = session.scalars(select(Run).where(condition).limit(_SHOWN_AMBIGUOUS)).all()
        matches = [run for run in near if run.id.startswith(name) or run.key.startswith(name)]
    if not matches:
        raise NotFoundError(f"no run {name!r:.80}", where=store_of(session), hint="dynamo runs list")
    if len(matches) > 1:
        raise NotFoundError(f"{name!r} matches several runs", expected=" or ".join(run.id for run in matches))
    return matches[0]


def run_at(session: Session, folder: PurePath) -> Run | None:
    """Return the run whose products a folder has, by its name; None if there is none.

    The name ends with the beginning of the run's key. That need not be the run's ID: a promotion changes the key.
    """
    start = folder.name.rpartition("-")[2]
    if len(start) != SHORT:
        return None
    # A range, which uses the index on every database; digits end with f.
    return session.scalar(select(Run).where(Run.key >= start, Run.key < f"{start}g").limit(1))


def unfinished(session: Session) -> Sequence[Run]:
    """Return the runs that are not final; the dispatcher knows their order, and a backfill takes care of its own."""
    return session.scalars(select(Run).where(Run.state.in_(UNFINISHED), Run.origin != "backfill")).all()


def superseded_by(session: Session, run: Run) -> Run | None:
    """Return the newest run of the same trigger, workflow and radar that is valid later than ``run``.

    One radar's data do not replace another's, and sweeps of a radar within a minute are different elevations, which do
    not replace each other. Inputs of no radar, such as nowcasts, replace older ones, and so do those of a network: its
    runs are requested by whichever radar comes last. Data from a clock that is ahead replace nothing, and a backfill
    neither replaces nor is replaced.
    """
    if run.valid_at is None or run.origin == "backfill":
        return None
    return session.scalar(
        select(Run)
        .where(
            Run.workflow == run.workflow,
            Run.trigger == run.trigger,
            Run.radar == run.radar,
            Run.variant == run.variant,
            Run.valid_at > run.valid_at + (_ONE_SCAN if run.radar else timedelta(0)),
            Run.valid_at <= utc_now() + CLOCK_TOLERANCE,
            Run.origin != "backfill",
            Run.state.not_in(("cancelled", "failed", "skipped")),
        )
        .order_by(Run.valid_at.desc())
        .limit(1)
    )


def products_of(session: Session, run_id: str) -> Sequence[Product]:
    """Return the published files of a run, in order."""
    return session.scalars(select(Product).where(Product.run_id == run_id).order_by(Product.id)).all()


def decisions_about(session: Session, subject: str) -> Sequence[RunDecision]:
    """Return the decisions about a run or a path, oldest first."""
    return session.scalars(select(RunDecision).where(RunDecision.subject == subject).order_by(RunDecision.id)).all()


def _rows(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
