"""Build and run the autoscaling loop of a configuration: the one place where its parts are put together."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dynamo.autoscale.demand.registry import Parts, make_sources
from dynamo.autoscale.loop import Autoscaler, Look
from dynamo.autoscale.policies.registry import make_policy
from dynamo.config.file import Config
from dynamo.errors import BusyError, DynamoError
from dynamo.plugins import PluginError
from dynamo.provision import ledger
from dynamo.provision.fleets import stored_spec
from dynamo.provision.keeping.opening import pool_folder
from dynamo.provision.status import the_fleet
from dynamo.store.engine import Store, StoreGoneError
from dynamo.store.lease import RENEW_S, StoreLease, is_free
from dynamo.store.models import ProcessLease

log = logging.getLogger(__name__)
#: Time between two attempts to start, seconds: there may be no fleet yet, or another process scales it.
_AGAIN_S = 5.0


def lease_name(fleet: str) -> str:
    """Return the name of the lease held by the process that scales a fleet."""
    return f"autoscale:{fleet}"


def make_autoscaler(config: Config, store: Store, fleet: str | None = None, *, learns: bool = True) -> Autoscaler:
    """Return the autoscaling loop of a configuration.

    Parameters
    ----------
    config, store
        The configuration and its open store.
    fleet
        The fleet. Default: that of the configuration, or the only live one.
    learns
        Whether to keep forecasts and judge them later: True for the deciding process, False for a dry run.

    Raises
    ------
    NotFoundError, UsageError
        If the fleet does not exist, or none is named and there is not exactly one live fleet.
    InputError
        If a policy option is unknown, or a trigger's workflow is invalid.
    """
    settings = config.autoscale
    policy = make_policy(settings.policy, settings.options)
    with store.reading() as session:
        name = the_fleet(session, fleet or settings.fleet)
        row = ledger.fleet_named(session, name)
    pool = pool_folder(stored_spec(row), Path(row.base))
    parts = Parts(config, store, pool, sites=settings.sites, learns=learns)
    return Autoscaler(store, name, policy, make_sources(parts, settings.sources), settings)


def scale(
    config: Config,
    store: Store,
    stop: threading.Event,
    *,
    fleet: str | None = None,
    tell: Callable[[Look], None] = lambda _look: None,
    troubled: Callable[[str], None] = lambda _text: None,
) -> None:
    """Scale the fleet of a configuration until ``stop`` is set, despite failures.

    Only one process scales a fleet; others wait until it stops. The loop follows fleets that end or are applied later.

    Raises
    ------
    StoreGoneError
        If the store was removed.
    """
    said = ""
    while not stop.is_set():
        try:
            autoscaler = make_autoscaler(config, store, fleet)
            lease = StoreLease(store, lease_name(autoscaler.fleet), f"autoscaling of {autoscaler.fleet}")
            lease.take()
        except StoreGoneError:
            raise
        except DynamoError as error:
            if str(error) != said:
                troubled(str(error))
            said = str(error)
            stop.wait(_AGAIN_S)
            continue
        said = ""
        try:
            _hold(autoscaler, store, lease, stop, config.autoscale.every_s, tell)
        finally:
            try:
                lease.give_back()
            except DynamoError as error:
                troubled(f"lease not released; it will expire: {error}")


def _hold(
    autoscaler: Autoscaler,
    store: Store,
    lease: StoreLease,
    stop: threading.Event,
    every_s: float,
    tell: Callable[[Look], None],
) -> None:
    """Iterate until ``stop`` is set, the fleet ends, or another process takes over."""
    renewed = time.monotonic()
    while not stop.is_set():
        store.check()
        begun = time.monotonic()
        if begun - renewed > RENEW_S:
            try:
                lease.renew()
                renewed = begun
            except BusyError:
                return
            except DynamoError as error:
                log.warning("lease not renewed: %s", error, extra={"fleet": autoscaler.fleet})
        found = autoscaler.attempt(tell)
        if found is not None and not found.observed.active:
            return
        stop.wait(max(0.1, every_s - (time.monotonic() - begun)))


def is_scaled(config: Config, store: Store, fleet: str) -> bool:
    """Return whether a fleet is autoscaled: by the configuration, or because a process scales it now."""
    if config.autoscale.enabled and config.autoscale.fleet in (None, fleet):
        return True
    with store.reading() as session:
        held = session.get(ProcessLease, lease_name(fleet))
        return held is not None and not is_free(held)


def start_beside(config: Config, store: Store, stop: threading.Event) -> threading.Thread | None:
    """Scale in a thread of a daemon until ``stop`` is set, if the configuration enables it.

    Raises
    ------
    InputError, NotFoundError
        If the policy's options or triggers' workflows are invalid; raised before the daemon starts.
    """
    if not config.autoscale.enabled:
        return None

    def troubled(text: str) -> None:
        log.warning("autoscaling paused: %s", text)

    # The fleets' workers are looked after even where somebody else's policy is broken; the thread says so.
    with contextlib.suppress(PluginError):
        make_policy(config.autoscale.policy, config.autoscale.options)

    def run() -> None:
        # The daemon itself ends when its store is gone, and says so.
        with contextlib.suppress(StoreGoneError):
            scale(config, store, stop, troubled=troubled)

    thread = threading.Thread(target=run, name="autoscale", daemon=True)
    thread.start()
    return thread
