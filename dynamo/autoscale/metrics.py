"""Prometheus metrics of a store: demand, capacity, decisions, boots, latencies, deadlines, cost, sites, freshness.

Everything is read from the store on each scrape, so all serving processes report the same. Counters and histograms
start at zero with the process and count what happens from then on, as Prometheus expects.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.assets.watched import Watched
from dynamo.autoscale.decisions import read_state
from dynamo.autoscale.metric_names import COUNTERS, GAUGES, HISTOGRAMS
from dynamo.autoscale.metrics_counting import Counts
from dynamo.autoscale.metrics_freshness import read_freshness, read_problems
from dynamo.autoscale.overload import read_overload
from dynamo.config.file import Config
from dynamo.errors import DynamoError, UsageError
from dynamo.provision import ledger
from dynamo.provision.deciding.groups import Override, plan_groups
from dynamo.provision.deciding.lifecycle import LIVING
from dynamo.provision.fleets import stored_spec
from dynamo.provision.site_facts import read_site_facts
from dynamo.provision.states import ACTIVE, ENDED
from dynamo.runs.slots import read_stalled
from dynamo.runs.states import UNFINISHED
from dynamo.store.engine import Store
from dynamo.store.fleets import Fleet
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now

log = logging.getLogger(__name__)
#: Scrapes within this time of each other get the same answer: many dashboard readers cost one read.
_FRESH_S = 1.0
#: Longest silence of a client before its request has arrived.
_REQUEST_S = 15.0


class StoreCollector(Collector):
    """Reads all metrics from a store.

    Parameters
    ----------
    store
        The store.
    config
        What is watched: feeds, triggers, jobs. Default: nothing.
    clock
        Returns the current time.
    """

    def __init__(self, store: Store, config: Config | None = None, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._watched = None if config is None else Watched(config, clock())
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = Counts(clock())
        self._answer: tuple[float, list[Metric]] | None = None

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names are known without reading the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; if the store is down, only those counted before."""
        with self._lock:
            stamp = time.monotonic()
            if self._answer is None or stamp - self._answer[0] >= _FRESH_S:
                self._answer = (stamp, list(self._collect()))
            yield from self._answer[1]

    def _collect(self) -> Iterator[Metric]:
        gauges: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in GAUGES}
        try:
            with self._store.reading() as session:
                now = self._clock()
                self._read_gauges(session, gauges, now)
                self._counts.read(session, now)
            gauges["dynamo_store_up"][()] = 1.0
        except DynamoError as error:
            log.warning("store unavailable, serving partial metrics: %s", error)
            gauges = {name: {} for name in GAUGES}
            gauges["dynamo_store_up"][()] = 0.0
        for name, (labels, help_) in GAUGES.items():
            gauge = GaugeMetricFamily(name, help_, labels=labels)
            for values, value in sorted(gauges[name].items()):
                gauge.add_metric(values, value)
            yield gauge
        for name, (labels, help_) in COUNTERS.items():
            counter = CounterMetricFamily(name, help_, labels=labels)
            for values, value in sorted(self._counts.counts[name].items()):
                counter.add_metric(values, value)
            yield counter
        for name, (labels, help_, _) in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, help_, labels=labels)
            for values, histogram in sorted(self._counts.histograms[name].items()):
                family.add_metric(values, buckets=histogram.buckets(), sum_value=histogram.total)
            yield family

    # ---- current state ---------------------------------------------------------------------------------------------

    def _read_gauges(self, session: Session, gauges: Mapping[str, dict[tuple[str, ...], float]], now: datetime) -> None:
        for fleet in session.scalars(select(Fleet).where(Fleet.state != ENDED)).all():
            self._read_fleet(session, fleet, gauges, now)
        overload = read_overload(session, now)
        gauges["dynamo_overload"][()] = float(overload is not None)
        gauges["dynamo_overload_deficit_core_seconds"][()] = 0.0 if overload is None else overload.deficit_core_s
        states = dict(
            session.execute(select(Run.state, func.count()).where(Run.state.in_(UNFINISHED)).group_by(Run.state)).all()
        )
        for state in sorted(UNFINISHED):
            gauges["dynamo_runs_unfinished"][(state,)] = float(states.get(state, 0))
        if (stalled := read_stalled(session, now)) is not None:
            gauges["dynamo_runs_stalled"][()] = float(stalled)
        for feed, at in session.execute(select(Arrival.feed, func.max(Arrival.detected_at)).group_by(Arrival.feed)):
            if at is not None:
                gauges["dynamo_feed_last_arrival_timestamp_seconds"][(feed,)] = at.timestamp()
        read_problems(session, gauges)
        if self._watched is not None:
            read_freshness(session, self._watched, gauges, now)

    @staticmethod
    def _read_fleet(
        session: Session, fleet: Fleet, gauges: Mapping[str, dict[tuple[str, ...], float]], now: datetime
    ) -> None:
        name, spec = fleet.name, stored_spec(fleet)
        groups = {group.name: group.site for group in spec.compute}
        # Zeros are reported, too: a missing series looks like one that nobody measures.
        for group, site in groups.items():
            for state in LIVING:
                gauges["dynamo_workers"][name, site, group, state.value] = 0.0
        for site in spec.sites:
            gauges["dynamo_busy_cores"][name, site] = 0.0
            gauges["dynamo_cost_per_hour"][name, site, spec.budget.currency] = 0.0
            gauges["dynamo_site_left_alone"][name, site] = 0.0
            gauges["dynamo_site_failures"][name, site] = 0.0
            for state in LIVING:
                gauges["dynamo_capacity_cores"][name, site, state.value] = 0.0
        sums: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        for row in ledger.living_workers(session, name):
            sums["dynamo_workers"][name, row.site, row.group, row.state] += 1
            sums["dynamo_capacity_cores"][name, row.site, row.state] += row.cpus
            sums["dynamo_busy_cores"][name, row.site] += row.busy_cpus
            if row.started_at is not None:
                sums["dynamo_cost_per_hour"][name, row.site, spec.budget.currency] += row.cost_per_hour
        for metric, values in sums.items():
            gauges[metric].update({labels: float(value) for labels, value in values.items()})
        for site, health in ledger.site_health(session, name).items():
            gauges["dynamo_site_left_alone"][name, site] = float(not health.closed(now))
            gauges["dynamo_site_failures"][name, site] = float(health.failures)
        plans = plan_groups(
            spec,
            read_site_facts(session, name).flavors,
            {group: Override(w.wanted, w.source, w.reason) for group, w in ledger.wishes(session, name).items()},
            applied_at=fleet.applied_at,
            now=now,
            ending=fleet.state != ACTIVE,
        )
        for group, plan in plans.items():
            if plan.certain:
                gauges["dynamo_workers_wanted"][name, group, plan.source] = float(plan.wanted)
        loop = read_state(session, name)
        if loop is None:
            return
        for source, core_s in loop.demand_core_s.items():
            gauges["dynamo_demand_core_seconds"][name, source] = core_s
            gauges["dynamo_demand_source_up"][name, source] = 1.0
        for source, core_s in loop.demand_high_core_s.items():
            gauges["dynamo_demand_high_core_seconds"][name, source] = core_s
        for source in loop.missing:
            gauges["dynamo_demand_source_up"][name, source] = 0.0
        if loop.looked_at is not None:
            gauges["dynamo_autoscale_last_look_timestamp_seconds"][(name,)] = loop.looked_at.timestamp()


@dataclass(frozen=True)
class MetricsServer:
    """A running metrics server; ``port`` is the actual one if 0 was requested."""

    server: WSGIServer
    thread: threading.Thread
    host: str
    port: int

    def stop(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5.0)


def serve_metrics(store: Store, address: str, config: Config | None = None) -> MetricsServer:
    """Serve the metrics of a store over HTTP, read-only.

    Parameters
    ----------
    store
        The store.
    address
        ``HOST:PORT``, or just ``PORT`` to serve this machine only.
    config
        What is watched: feeds, triggers, jobs. Default: nothing.

    Raises
    ------
    UsageError
        If the address is invalid or cannot be bound.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"invalid address: {address!r:.60}", where="--metrics", expected="HOST:PORT, such as 127.0.0.1:9100"
        )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StoreCollector(store, config))
    try:
        server, thread = start_http_server(int(port), host, registry)
    except OSError as error:
        raise UsageError(f"cannot listen: {error.strerror}", where=f"--metrics {address}") from error
    server.RequestHandlerClass = _with_timeout(server.RequestHandlerClass)
    log.info("metrics", extra={"address": f"http://{host}:{server.server_port}/metrics"})
    return MetricsServer(server, thread, host, server.server_port)


def _with_timeout(handler: Any) -> Any:
    """Return a request handler that ends connections whose request does not arrive: each holds a thread."""

    class Handler(handler):  # type: ignore[misc]
        timeout = _REQUEST_S

        def handle(self) -> None:
            with suppress(TimeoutError):
                super().handle()

    return Handler
