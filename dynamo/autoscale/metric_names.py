"""The metrics that are served, by name: what dashboards and alert rules are checked against."""

from __future__ import annotations

from collections.abc import Mapping

LATENCY_BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
BOOT_BUCKETS_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1500.0, 3600.0)

#: Name, labels and meaning of every metric: the one list that dashboards and rules are checked against.
GAUGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "dynamo_store_up": ((), "Whether the store answers."),
    "dynamo_demand_core_seconds": (("fleet", "source"), "Work that is there or expected, core-seconds."),
    "dynamo_demand_high_core_seconds": (("fleet", "source"), "Work that is not exceeded nine times out of ten."),
    "dynamo_demand_source_up": (("fleet", "source"), "Whether a source of demand said anything at the last look."),
    "dynamo_autoscale_last_look_timestamp_seconds": (("fleet",), "When the autoscaler looked last."),
    "dynamo_workers": (("fleet", "site", "group", "state"), "Workers that live."),
    "dynamo_capacity_cores": (("fleet", "site", "state"), "Processors of workers that live."),
    "dynamo_busy_cores": (("fleet", "site"), "Processors that have jobs."),
    "dynamo_workers_wanted": (("fleet", "group", "source"), "Workers that are wanted, and by whom."),
    "dynamo_cost_per_hour": (("fleet", "site", "currency"), "What the workers that live cost in an hour."),
    "dynamo_site_left_alone": (("fleet", "site"), "Whether a site that failed is asked for no new workers now."),
    "dynamo_site_failures": (("fleet", "site"), "Failures of a site in a row."),
    "dynamo_overload": ((), "Whether more is due than can be done or bought."),
    "dynamo_overload_deficit_core_seconds": ((), "How much of it cannot be in time."),
    "dynamo_runs_unfinished": (("state",), "Runs that are not over."),
    "dynamo_feed_last_arrival_timestamp_seconds": (("feed",), "When the last file of a feed was accepted."),
}
COUNTERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "dynamo_decisions": (("action",), "Decisions that were stored."),
    "dynamo_fleet_events": (("fleet", "action"), "What happened to fleets, sites and workers."),
    "dynamo_jobs_killed": (("fleet",), "Jobs that ended with their worker."),
    "dynamo_runs": (("workflow", "state"), "Runs that are over."),
    "dynamo_deadlines": (("workflow", "outcome"), "Runs with a deadline: met, late, or skipped."),
}
HISTOGRAMS: Mapping[str, tuple[tuple[str, ...], str, tuple[float, ...]]] = {
    "dynamo_run_latency_seconds": (
        ("workflow",),
        "From the end of the input file to the published products.",
        LATENCY_BUCKETS_S,
    ),
    "dynamo_worker_boot_seconds": (
        ("fleet", "group"),
        "From the wish for a worker until it serves.",
        BOOT_BUCKETS_S,
    ),
}


def exposed_names() -> frozenset[str]:
    """Return the names of all time series, as queries use them."""
    names = set(GAUGES) | {f"{name}_total" for name in COUNTERS}
    for name in HISTOGRAMS:
        names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return frozenset(names)
