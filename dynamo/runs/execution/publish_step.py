"""The last step of a run: put its products in place, then record them in the store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert

from dynamo.runs import learning
from dynamo.runs.execution.inputs import check_inputs
from dynamo.runs.folder import folder_of
from dynamo.runs.journal import RunJournal
from dynamo.runs.ledger import decide, move, note_skipped
from dynamo.runs.provenance.prov import prov_json
from dynamo.runs.publish import Publication, describe, line_folder, publish
from dynamo.runs.record import index_facts, latencies
from dynamo.runs.results import hail_in, read_results, remarks_of, skipped_jobs
from dynamo.runs.series import count_publication
from dynamo.runs.settings import RunSettings
from dynamo.store.models import Product, Run
from dynamo.store.retention import note_day
from dynamo.times import ahead_of, utc_now

_log = logging.getLogger("dynamo.runs")


class PublishStep:
    """Publishes the products of runs.

    Parameters
    ----------
    journal, settings
        The states of runs, and where products go.
    """

    def __init__(self, journal: RunJournal, settings: RunSettings) -> None:
        self._journal = journal
        self._settings = settings

    def take(self, run: Run, _stop: threading.Event) -> None:
        """Publish, and record it in the store; products published before a crash are found and kept."""
        journal, folder = self._journal, folder_of(run)
        plan = folder.read_plan()
        run = journal.get(run.id)
        valid_at = run.valid_at or run.created_at
        check_inputs(run)
        results = read_results(folder)
        remarks = remarks_of(results, valid_at, utc_now())
        skipped = skipped_jobs(folder, plan, results)
        publication = publish(
            folder.work,
            [lfn for lfn in plan.products if plan.writers[lfn] not in skipped],
            root=self._settings.products_dir,
            workflow=line_folder(run.workflow, run.variant),
            key=run.key,
            valid_at=valid_at,
            facts=index_facts(run, plan, results, remarks, skipped),
            fsync=self._settings.fsync,
            old=run.origin == "backfill",
            describe_origin=prov_json if self._settings.prov else None,
        )
        now = utc_now()
        rows = _rows(run, publication, plan.outputs)
        with journal.store.transaction() as session:
            session.execute(delete(Product).where(Product.run_id == run.id))
            if rows:
                session.execute(insert(Product), rows)
            learning.observe(session, run.id, plan, results)
            size = sum(item.bytes for item in publication.products)
            moved = move(
                session,
                run.id,
                "succeeded",
                published_at=now,
                product_dir=str(publication.folder),
                tier="hot",
                bytes=size,
            )
            if moved:
                count_publication(session, run, size)
            if moved and (hail := hail_in(results)) and not ahead_of(valid_at, now):
                note_day(session, valid_at, hail)
            for remark in remarks if moved else ():
                decide(session, run.id, "remark", remark)
            if moved:
                note_skipped(session, run.id, skipped, len(plan.jobs))
            if publication.found:
                decide(session, run.id, "adopt", "the products were published before a crash")
        if moved:
            for remark in remarks:
                _log.warning("remark", extra={"run": run.id, "remark": remark})
            self._tell(journal.get(run.id), len(rows))

    def _tell(self, run: Run, products: int) -> None:
        self._journal.tell(run.id, "succeeded", "")
        times = latencies(run)
        _log.info("published", extra={"run": run.id, "products": products, "dir": run.product_dir or "", **times})
        self._journal.events.emit(
            "published",
            run.id,
            workflow=run.workflow,
            trigger=run.trigger,
            origin=run.origin,
            product_dir=run.product_dir,
            products=products,
            valid_at=run.valid_at,
            **times,
        )


def _rows(run: Run, publication: Publication, outputs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the product table rows of a publication."""
    rows = []
    for item in publication.products:
        lead, valid = (item.lead_min, item.valid_at)
        if lead is None and run.valid_at is not None:
            lead, valid = describe(item.lfn, run.valid_at)
        rows.append(
            {
                "run_id": run.id,
                "lfn": item.lfn,
                "output": outputs.get(item.lfn, ""),
                "path": str(publication.folder / item.lfn),
                "sha256": item.sha256,
                "bytes": item.bytes,
                "lead_min": lead,
                "valid_at": valid,
            }
        )
    return rows
