"""Site facts for readers of the store, known only to the process that talks to the sites: flavors and quotas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from dynamo.provision.sites.base import Flavor, Quota
from dynamo.store.engine import Store
from dynamo.store.models import Cursor
from dynamo.times import parse_time, to_iso

#: Unchanged facts are stored again after this time, so that readers can tell their age.
_RENEW = timedelta(minutes=5)


@dataclass(frozen=True)
class SiteFacts:
    """The latest facts from a fleet's sites.

    Attributes
    ----------
    flavors
        Flavors of each site.
    quotas
        Limits and usage of each site, if it reports them.
    counted_at
        When each quota was queried; later workers are not included.
    """

    flavors: Mapping[str, tuple[Flavor, ...]] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    counted_at: Mapping[str, datetime] = field(default_factory=dict)


class SiteFactsWriter:
    """Stores the facts of a fleet's sites when they change.

    Parameters
    ----------
    store, fleet
        Where to store them, and the fleet's name.
    """

    def __init__(self, store: Store, fleet: str) -> None:
        self._store = store
        self._fleet = fleet
        self._last: dict[str, Any] | None = None
        self._stored_at: datetime | None = None

    def write(self, facts: SiteFacts, now: datetime) -> bool:
        """Store the facts if they are new; return whether they were stored."""
        data = _to_json(facts)
        told = {key: value for key, value in data.items() if key != "counted_at"}
        fresh = self._stored_at is not None and now - self._stored_at < _RENEW
        if fresh and told == self._last:
            return False
        with self._store.transaction() as session:
            session.merge(Cursor(name=_cursor(self._fleet), data=data, updated_at=now))
        self._last, self._stored_at = told, now
        return True


def read_site_facts(session: Session, fleet: str) -> SiteFacts:
    """Return the latest stored facts; empty for a fleet no process has managed yet."""
    row = session.get(Cursor, _cursor(fleet))
    if row is None:
        return SiteFacts()
    return SiteFacts(
        flavors={site: tuple(Flavor(**flavor) for flavor in several) for site, several in row.data["flavors"].items()},
        quotas={site: Quota(**quota) for site, quota in row.data["quotas"].items()},
        counted_at={site: parse_time(text) for site, text in row.data["counted_at"].items()},
    )


def _cursor(fleet: str) -> str:
    return f"site-facts:{fleet}"


def _to_json(facts: SiteFacts) -> dict[str, Any]:
    return {
        "flavors": {site: [asdict(flavor) for flavor in several] for site, several in facts.flavors.items()},
        "quotas": {site: asdict(quota) for site, quota in facts.quotas.items()},
        "counted_at": {site: to_iso(at) for site, at in facts.counted_at.items()},
    }
