"""Lineage: from a file up to what it was made from, with checksums, document, versions and parameters; and down."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.errors import DynamoError, InputError, NotFoundError
from dynamo.files import sha256_file
from dynamo.places.opening import is_there
from dynamo.runs.ledger import SHA
from dynamo.runs.publish import read_publication
from dynamo.runs.series import FEED, WORKFLOW
from dynamo.runs.whereabouts import product_at
from dynamo.store.models import Arrival, Product, Run, RunInput, Series
from dynamo.times import to_iso

#: The time in a product's name.
_TIME = re.compile(r"(\d{8})-(\d{6})")
#: Runs shown of those that read one file, and generations in both directions.
_MOST_RUNS, _MOST_STEPS = 200, 20


@dataclass
class Node:
    """A file, and how it came to be or what became of it.

    Attributes
    ----------
    path, sha256
        The file.
    role
        ``product`` of a run, ``arrival`` of a feed, or ``input`` that a person named.
    facts
        More about the file: its feed or output, valid time, and whether it is still there.
    run
        The run that made it (upwards) or read it (downwards), as data; None for a file from outside.
    files
        What the run read (upwards) or published (downwards).
    more
        How many runs are not shown.
    """

    path: str
    sha256: str
    role: str
    facts: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] | None = None
    files: list[Node] = field(default_factory=list)
    more: int = 0


@dataclass(frozen=True)
class Lineage:
    """A file, what it was made from, and every run that read it."""

    file: Node
    made: Sequence[Node]


def lineage_of(session: Session, file: Path | str) -> Lineage:
    """Return the lineage of a product, or of a file that runs have read.

    The file may be anywhere: a copy is known by its checksum. A product that was removed, or that is in a bucket, is
    known by its path.

    Raises
    ------
    NotFoundError
        If the store knows no such file.
    InputError
        If it is not a file.
    """
    path = Path(file)
    if path.is_dir():
        raise InputError("a folder", where=path, expected="a file")
    digest = sha256_file(path) if path.is_file() else None
    product = product_at(session, str(file)) if digest is None else _product_with(session, path, digest)
    if product is not None:
        up = _made(session, product, 0)
    elif digest is not None and (known := _given(session, digest)) is not None:
        up = known
    else:
        raise NotFoundError(
            "no run of this store read or made this file",
            where=file,
            expected="a product, or an input of a run",
            hint="dynamo assets list",
        )
    return Lineage(up, tuple(_readers(session, up.sha256, 0, {up.sha256})))


def lineage_of_row(session: Session, row: Product | Arrival) -> Lineage:
    """Return the lineage of a product or arrival as the store knows it; its file is not read, and may be gone."""
    if isinstance(row, Product):
        up = _made(session, row, 0)
    else:
        product = product_at(session, row.path)
        # A feed may watch what workflows publish.
        made = product is not None and product.sha256 == row.sha256
        up = _made(session, product, 0) if product is not None and made else _arrived(row)
    return Lineage(up, tuple(_readers(session, up.sha256, 0, {up.sha256})))


def lineage_json(lineage: Lineage) -> dict[str, Any]:
    """Return a lineage as JSON data."""
    return {"file": _json(lineage.file), "made": [_json(node) for node in lineage.made]}


def _json(node: Node) -> dict[str, Any]:
    return {
        "path": node.path,
        "sha256": node.sha256,
        "role": node.role,
        **node.facts,
        "run": node.run,
        "files": [_json(item) for item in node.files],
        **({"more": node.more} if node.more else {}),
    }


def _product_with(session: Session, path: Path, digest: str) -> Product | None:
    """Return the product with this content: at this path, through a link, or beside a copied index."""
    for place in (path, path.resolve()):
        product = product_at(session, str(place))
        if product is not None and product.sha256 == digest:
            return product
    try:
        copied = read_publication(path.absolute().parent)
    except (InputError, OSError):
        copied = None
    run = "" if copied is None else str(copied.index.get("run", ""))
    runs = [run] if run else _runs_named(session, path.name)
    named = select(Product).where(Product.run_id.in_(runs), Product.lfn == path.name, Product.sha256 == digest)
    return session.scalar(named.limit(1))


def _runs_named(session: Session, name: str) -> list[str]:
    """Return the runs of the valid time in a product's name, for a copy that has no index beside it."""
    match = _TIME.search(name)
    if match is None:
        return []
    try:
        valid_at = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return []
    # Names have no fractions of a second, valid times of sweeps have.
    around = Run.valid_at >= valid_at, Run.valid_at < valid_at + timedelta(seconds=1)
    workflows = select(Series.name).where(Series.kind == WORKFLOW).distinct()
    return list(session.scalars(select(Run.id).where(Run.workflow.in_(workflows), *around).limit(_MOST_RUNS)))


def _given(session: Session, digest: str) -> Node | None:
    """Return an input of runs, by its content; None if no run has read it and no feed brought it."""
    for (run_id,) in session.execute(select(RunInput.run_id).where(RunInput.sha == digest[:SHA]).limit(1)):
        run = session.get_one(Run, run_id)
        for item in run.inputs:
            if item["sha256"] == digest:
                return _input(session, run, item, 0)
    return None if (arrival := _arrival(session, digest)) is None else _arrived(arrival)


def _made(session: Session, product: Product, depth: int) -> Node:
    run = session.get_one(Run, product.run_id)
    node = Node(product.path, product.sha256, "product", _product_facts(product), _run_json(run))
    if depth < _MOST_STEPS:
        node.files = [_input(session, run, item, depth + 1) for item in run.inputs]
    return node


def _input(session: Session, run: Run, item: dict[str, Any], depth: int) -> Node:
    """Return an input of a run, with what made it if it is a product of this store."""
    path, digest = str(item["path"]), str(item["sha256"])
    product = product_at(session, path)
    if product is not None and product.sha256 == digest:
        return _made(session, product, depth)
    arrival = session.get(Arrival, run.arrival_id) if run.arrival_id is not None else None
    if arrival is None or arrival.sha256 != digest:
        arrival = _arrival(session, digest)
    if arrival is not None:
        return _arrived(arrival)
    return Node(path, digest, "input", {"port": item["port"], "bytes": item["bytes"], "there": Path(path).exists()})


def _arrival(session: Session, digest: str) -> Arrival | None:
    """Return the arrival with this content, from whichever feed; None if no feed brought it."""
    # The series name the feeds; looking through the arrivals for them would take as long as there are many.
    for feed in session.scalars(select(Series.name).where(Series.kind == FEED).distinct()):
        found = session.scalar(
            select(Arrival).where(Arrival.feed == feed, Arrival.sha256 == digest, Arrival.state == "accepted").limit(1)
        )
        if found is not None:
            return found
    return None


def _arrived(arrival: Arrival) -> Node:
    facts = {
        "feed": arrival.feed,
        "radar": arrival.radar,
        "valid_at": None if arrival.valid_at is None else to_iso(arrival.valid_at),
        "there": Path(arrival.path).exists(),
    }
    return Node(arrival.path, arrival.sha256 or "", "arrival", facts)


def _readers(session: Session, digest: str, depth: int, seen: set[str]) -> Iterator[Node]:
    """Yield the runs that read a file, with what they published and what became of that."""
    if depth >= _MOST_STEPS:
        return
    statement = select(Run).join(RunInput, RunInput.run_id == Run.id).where(RunInput.sha == digest[:SHA])
    runs = session.scalars(statement.order_by(Run.created_at).limit(_MOST_RUNS)).all()
    for run in runs:
        item = next((one for one in run.inputs if one["sha256"] == digest), None)
        if item is None:
            continue
        node = Node(str(item["path"]), digest, "input", {"port": item["port"]}, _run_json(run))
        for product in session.scalars(select(Product).where(Product.run_id == run.id).order_by(Product.id)):
            made = Node(product.path, product.sha256, "product", _product_facts(product))
            if product.sha256 not in seen:
                seen.add(product.sha256)
                made.files = list(_readers(session, product.sha256, depth + 1, seen))
            node.files.append(made)
        yield node


def _product_facts(product: Product) -> dict[str, Any]:
    return {
        "output": product.output,
        "lead_min": product.lead_min,
        "valid_at": None if product.valid_at is None else to_iso(product.valid_at),
        "there": _is_there(product.path),
    }


def _is_there(path: str) -> bool | None:
    """Tell whether a product is there; None if its bucket does not say."""
    try:
        return is_there(path)
    except (DynamoError, OSError):
        return None


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "document_sha256": run.document,
        "software": run.software,
        "modules": _modules(run),
        "parameters": run.parameters,
        "trigger": run.trigger,
        "origin": run.origin,
        "state": run.state,
        "standing": run.standing,
        "valid_at": None if run.valid_at is None else to_iso(run.valid_at),
        "published_at": None if run.published_at is None else to_iso(run.published_at),
    }


def _modules(run: Run) -> dict[str, str]:
    """Return the versions of the modules that made a run's products, from their index; empty if it is gone."""
    try:
        publication = None if run.product_dir is None else read_publication(run.product_dir, run.key)
    except (DynamoError, OSError):
        return {}
    return {} if publication is None else dict(publication.index.get("modules", {}))
