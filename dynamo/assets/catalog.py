"""The assets of a configuration and its store: feeds and outputs of workflows, with what their declarations add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.assets.model import Asset, Dimension
from dynamo.config.assets import AssetSection
from dynamo.config.file import Config
from dynamo.documents.problems import did_you_mean
from dynamo.errors import DynamoError, InputError, NotFoundError
from dynamo.runs.planning import Planner
from dynamo.runs.series import FEED, WORKFLOW
from dynamo.store.models import Series, StoredDocument


def assets_of(config: Config, planner: Planner, session: Session) -> list[Asset]:
    """Return all assets, feeds first: those of the configuration, and those that the store has data of.

    Raises
    ------
    InputError
        If an asset is declared of something that does not exist.
    """
    series = session.scalars(select(Series)).all()
    with_radar = {(one.kind, one.name) for one in series if one.radar}
    starts: dict[str, list[str]] = {}
    for trigger in config.triggers:
        starts.setdefault(_name_of(planner, trigger.workflow), []).append(trigger.feed or "")
    feeds = dict.fromkeys([feed.name for feed in config.feeds] + [one.name for one in series if one.kind == FEED])
    workflows = dict.fromkeys([*starts, *(one.name for one in series if one.kind == WORKFLOW)])
    made = {feed.name: (feed.made_by,) for feed in config.feeds if feed.made_by}
    found = [Asset(name, FEED, name, dimensions=_dimensions(), made_from=made.get(name, ())) for name in feeds]
    for name in workflows:
        body = _document(planner, session, name)
        sources = tuple(dict.fromkeys(filter(None, starts.get(name, ()))))
        found += _outputs(name, body, sources)
    found = [
        replace(asset, dimensions=_dimensions(radar=True, lead="lead" in asset.dimensions))
        if (asset.kind, asset.source) in with_radar
        else asset
        for asset in found
    ]
    return list(_declared(found, config.assets))


def find_asset(assets: Sequence[Asset], name: str) -> Asset:
    """Return the asset of a name, or of a name of what it is; raise `NotFoundError`."""
    for asset in assets:
        if name in (asset.name, asset.of):
            return asset
    known = [asset.name for asset in assets]
    raise NotFoundError(f"no asset {name!r:.80}{did_you_mean(name, known)}", hint="dynamo assets list")


def _declared(found: Iterable[Asset], sections: Sequence[AssetSection]) -> Iterator[Asset]:
    by_of = {section.of: section for section in sections}
    known = []
    for asset in found:
        known.append(asset.of)
        section = by_of.pop(asset.of, None)
        if section is None:
            yield asset
            continue
        yield replace(
            asset,
            name=section.name,
            description=section.description or asset.description,
            owner=section.owner,
            cadence_s=section.cadence_s,
        )
    for section in by_of.values():
        raise InputError(
            f"asset {section.name} is of {section.of!r:.80}, which does not exist{did_you_mean(section.of, known)}",
            expected="a feed, or WORKFLOW/JOB.PORT",
        )


def _outputs(workflow: str, body: Mapping[str, Any], sources: Sequence[str]) -> Iterator[Asset]:
    """Return the outputs that a document publishes; without one, all products of the workflow are one asset."""
    jobs = {str(job.get("id")): job for job in body.get("jobs", ()) if isinstance(job, Mapping)}
    outputs = [str(item) for item in body.get("outputs", ())] if "dynamo" in body else []
    for output in outputs:
        looped = "lead" in (jobs.get(output.partition(".")[0], {}).get("for_each") or ())
        yield Asset(
            f"{workflow}/{output}",
            WORKFLOW,
            workflow,
            output,
            dimensions=_dimensions(lead=looped),
            description=str(body.get("description", "")),
            made_from=sources,
        )
    if not outputs:
        yield Asset(workflow, WORKFLOW, workflow, dimensions=_dimensions(), made_from=sources)


def _dimensions(*, radar: bool = False, lead: bool = False) -> tuple[Dimension, ...]:
    return ("valid_time", *(("radar",) if radar else ()), *(("lead",) if lead else ()))


def _name_of(planner: Planner, workflow: str) -> str:
    """Return the name that the document of a trigger gives itself; the configured one if it cannot be read."""
    try:
        return planner.load(workflow).name
    except (DynamoError, OSError):
        return workflow


def _document(planner: Planner, session: Session, name: str) -> Mapping[str, Any]:
    """Return the document that a workflow's newest run was made from, or else the template of that name."""
    stored = session.scalar(
        select(StoredDocument).where(StoredDocument.name == name).order_by(StoredDocument.recorded_at.desc()).limit(1)
    )
    if stored is not None:
        return stored.body
    try:
        return planner.load(name).body
    except (DynamoError, OSError):
        return {}
