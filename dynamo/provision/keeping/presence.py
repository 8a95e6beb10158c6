"""Whether a daemon is there for a fleet: commands leave the work to it, also in the moment before it begins."""

from __future__ import annotations

from dynamo.errors import RetryableError
from dynamo.provision.status import looked_after_by
from dynamo.store.engine import Store
from dynamo.store.lease import is_free
from dynamo.store.models import ProcessLease

#: What a daemon holds that takes new fleets, too; no fleet is called so.
ANY_FLEET = "fleet-daemon:*"


def daemon_lease(fleet: str) -> str:
    """Return what the daemon of a fleet holds, also while a command looks after it for a moment."""
    return f"fleet-daemon:{fleet}"


def daemon_for(store: Store, fleet: str) -> bool:
    """Tell whether a daemon looks after a fleet, or will within seconds."""
    with store.reading() as session:
        held = [session.get(ProcessLease, name) for name in (daemon_lease(fleet), ANY_FLEET)]
        return any(lease is not None and not is_free(lease) for lease in held)


def cared_for(store: Store, fleet: str) -> bool:
    """Tell whether a process looks after a fleet or will; a store that does not answer is no reason to say no."""
    try:
        return looked_after_by(store, fleet) is not None or daemon_for(store, fleet)
    except RetryableError:
        return True
