"""Feeds, assets and alerts read from the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.api.asset.models import (
    AlertItem,
    AssetDay,
    AssetDetail,
    AssetGap,
    AssetItem,
    DeliveryItem,
    FeedItem,
    FeedRadar,
    LineageNode,
    SeriesItem,
)
from dynamo.api.kept.judge import worst
from dynamo.assets.coverage import cadence_of, gaps_between, series_of, valid_times
from dynamo.assets.freshness import Freshness
from dynamo.assets.lineage import Node
from dynamo.assets.model import Asset
from dynamo.assets.watched import States, Subject
from dynamo.config.file import Config
from dynamo.runs.series import FEED
from dynamo.runs.states import UNFINISHED
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.models import Arrival, Run, Series, SeriesDay

#: A series has at most this many gaps in one answer.
_MOST_GAPS = 1000


def feed_items(session: Session, config: Config, states: States) -> list[FeedItem]:
    """Return all configured feeds with their radars."""
    series = {(one.name, one.radar): one for one in session.scalars(select(Series).where(Series.kind == FEED))}
    unfinished = select(Run.trigger, func.count()).where(Run.state.in_(UNFINISHED)).group_by(Run.trigger)
    runs = dict(session.execute(unfinished).all())
    found = []
    for feed in config.feeds:
        judged = {one: state for one, state in states.items() if (one.kind, one.name) == (FEED, feed.name)}
        radars = [_radar(one, state, series.get((feed.name, one.radar))) for one, state in judged.items()]
        refused = select(func.count()).where(Arrival.feed == feed.name, Arrival.state == "quarantined")
        found.append(
            FeedItem(
                name=feed.name,
                kind=feed.kind,
                state=worst(judged.values()),
                last_valid_at=max((one.last_valid_at for one in radars if one.last_valid_at), default=None),
                last_arrival_at=max((one.last_arrival_at for one in radars if one.last_arrival_at), default=None),
                per_radar=radars,
                waiting=sum(runs.get(trigger.name, 0) for trigger in config.triggers if trigger.feed == feed.name),
                quarantined=session.scalar(refused) or 0,
            )
        )
    return found


def asset_item(session: Session, asset: Asset, states: States, radar: str | None = None) -> AssetItem:
    """Return one asset with its counters."""
    items = [_series(one, _state_of(one, states)) for one in series_of(session, asset, radar=radar)]
    judged = [state for one, state in states.items() if (one.kind, one.name) == (asset.kind, asset.source)]
    return AssetItem(
        **{
            name: getattr(asset, name)
            for name in ("name", "kind", "of", "source", "output", "description", "owner", "cadence_s")
        },
        dimensions=list(asset.dimensions),
        made_from=list(asset.made_from),
        state=worst(judged),
        series=items,
    )


def asset_detail(
    session: Session, asset: Asset, states: States, *, radar: str | None, since: datetime, until: datetime
) -> AssetDetail:
    """Return one asset with its days and gaps in a range."""
    days, gaps = [], []
    for one in series_of(session, asset, radar=radar):
        in_range = SeriesDay.day.between(f"{since:%Y%m%d}", f"{until:%Y%m%d}")
        for day in session.scalars(select(SeriesDay).where(SeriesDay.series_id == one.id, in_range)):
            text = f"{day.day[:4]}-{day.day[4:6]}-{day.day[6:]}"
            counts = {"slots": day.slots, "made": day.made, "bytes": day.bytes}
            days.append(AssetDay(radar=one.radar, trigger=one.trigger, day=text, **counts))
        cadence_s = asset.cadence_s or cadence_of(session, one)
        # Before its first data a series has no gap: nobody knows that it was there.
        first = max(since, min(one.oldest_at, until))
        missing = gaps_between(valid_times(session, one, since, until), cadence_s, first, until) if cadence_s else []
        gaps += [
            AssetGap(radar=one.radar, trigger=one.trigger, begin=gap.begin, end=gap.end, missing=gap.missing)
            for gap in missing[-_MOST_GAPS:]
        ]
    item = asset_item(session, asset, states, radar)
    return AssetDetail(**dict(item), since=since, until=until, days=days, gaps=gaps)


def lineage_node(node: Node) -> LineageNode:
    """Return a node of a lineage with all that hangs on it."""
    return LineageNode(
        path=node.path,
        sha256=node.sha256,
        role=node.role,
        facts=node.facts,
        run=node.run,
        files=[lineage_node(item) for item in node.files],
        more=node.more,
    )


def alert_items(session: Session, messages: Sequence[AlertMessage]) -> list[AlertItem]:
    """Return messages with their deliveries."""
    query = select(AlertDelivery).where(AlertDelivery.message_id.in_([message.id for message in messages]))
    deliveries: dict[int, list[DeliveryItem]] = defaultdict(list)
    for one in session.scalars(query.order_by(AlertDelivery.id)):
        deliveries[one.message_id].append(
            DeliveryItem(channel=one.channel, state=one.state, attempts=one.attempts, error=one.error)
        )
    names = ("id", "created_at", "place", "hazard", "kind", "text", "payload")
    return [
        AlertItem(**{name: getattr(message, name) for name in names}, deliveries=deliveries[message.id])
        for message in messages
    ]


def _radar(subject: Subject, state: Freshness, series: Series | None) -> FeedRadar:
    return FeedRadar(
        radar=subject.radar,
        state=str(state.state),
        reason=state.reason,
        last_valid_at=None if series is None else series.newest_at,
        last_arrival_at=None if series is None else series.heard_at,
        age_s=state.age_s,
        late_after_s=state.late_after_s,
    )


def _series(series: Series, state: str) -> SeriesItem:
    names = [name for name in SeriesItem.model_fields if name != "state"]
    return SeriesItem(**{name: getattr(series, name) for name in names}, state=state)


def _state_of(series: Series, states: States) -> str:
    found = states.get(Subject(series.kind, series.name, series.trigger, series.radar))
    return "" if found is None or series.variant else str(found.state)
