"""Whether a daemon is present for a fleet: commands leave the work to it, even just before it starts."""

from __future__ import annotations

from dynamo.errors import RetryableError
from dynamo.provision.status import looked_after_by
from dynamo.store.engine import Store
from dynamo.store.lease import is_free
from dynamo.store.models import ProcessLease

#: Lease of the daemon that also takes new fleets; not a valid fleet name.
ANY_FLEET = "fleet-daemon:*"


def daemon_lease(fleet: str) -> str:
    """Return the lease name of a fleet's daemon, held even while a command briefly manages the fleet."""
    return f"fleet-daemon:{fleet}"


def daemon_for(store: Store, fleet: str) -> bool:
    """Return whether a daemon manages a fleet, or will within seconds."""
    with store.reading() as session:
        held = [session.get(ProcessLease, name) for name in (daemon_lease(fleet), ANY_FLEET)]
        return any(lease is not None and not is_free(lease) for lease in held)


def cared_for(store: Store, fleet: str) -> bool:
    """Return whether a process manages a fleet or will; a store that does not answer does not mean no."""
    try:
        return looked_after_by(store, fleet) is not None or daemon_for(store, fleet)
    except RetryableError:
        return True
