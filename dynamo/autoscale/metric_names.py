"""The exported metrics by name: dashboards and alert rules are checked against this list."""

from __future__ import annotations

from collections.abc import Mapping

LATENCY_BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
BOOT_BUCKETS_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1500.0, 3600.0)

#: Name, labels and help text of every metric: the one list that dashboards and rules are checked against.
GAUGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "dynamo_store_up": ((), "Whether the store is available."),
    "dynamo_demand_core_seconds": (("fleet", "source"), "Waiting and expected work, core-seconds."),
    "dynamo_demand_high_core_seconds": (
        ("fleet", "source"),
        "Waiting and expected work, 90th percentile, core-seconds.",
    ),
    "dynamo_demand_source_up": (("fleet", "source"), "Whether a demand source reported in the last iteration."),
    "dynamo_autoscale_last_look_timestamp_seconds": (("fleet",), "Time of the autoscaler's last iteration."),
    "dynamo_workers": (("fleet", "site", "group", "state"), "Live workers."),
    "dynamo_capacity_cores": (("fleet", "site", "state"), "Processors of live workers."),
    "dynamo_busy_cores": (("fleet", "site"), "Processors running jobs."),
    "dynamo_workers_wanted": (("fleet", "group", "source"), "Requested workers, and who requested them."),
    "dynamo_cost_per_hour": (("fleet", "site", "currency"), "Cost of all live workers per hour."),
    "dynamo_site_left_alone": (("fleet", "site"), "Whether a failed site is currently closed to new workers."),
    "dynamo_site_failures": (("fleet", "site"), "Consecutive failures of a site."),
    "dynamo_overload": ((), "Whether more work is due than existing and affordable workers can do."),
    "dynamo_overload_deficit_core_seconds": ((), "Work that cannot finish on time, core-seconds."),
    "dynamo_runs_unfinished": (("state",), "Unfinished runs."),
    "dynamo_runs_stalled": ((), "Whether all runs that `dynamo watch` works on wait, so that no run progresses."),
    "dynamo_feed_last_arrival_timestamp_seconds": (("feed",), "Time when the last file of a feed was accepted."),
    "dynamo_freshness": (
        ("kind", "name", "trigger", "radar", "state"),
        "Whether a feed, workflow or job is in a state: fresh, late, silent, not expected; jobs also failed.",
    ),
    "dynamo_data_age_seconds": (
        ("kind", "name", "trigger", "radar"),
        "Age of the newest valid time that came by itself; for a job, of its last success.",
    ),
    "dynamo_freshness_omitted": ((), "Feeds, workflows and jobs without series, because there are too many."),
    "dynamo_problems_open": (("state",), "Open problems: late, silent, failed."),
}
COUNTERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "dynamo_decisions": (("action",), "Stored decisions."),
    "dynamo_fleet_events": (("fleet", "action"), "Events of fleets, sites and workers."),
    "dynamo_jobs_killed": (("fleet",), "Jobs lost because their worker went away."),
    "dynamo_runs": (("workflow", "state"), "Finished runs."),
    "dynamo_deadlines": (("workflow", "outcome"), "Runs with a deadline: met, late, or skipped."),
}
HISTOGRAMS: Mapping[str, tuple[tuple[str, ...], str, tuple[float, ...]]] = {
    "dynamo_run_latency_seconds": (
        ("workflow",),
        "Time from the complete input file to published products.",
        LATENCY_BUCKETS_S,
    ),
    "dynamo_worker_boot_seconds": (
        ("fleet", "group"),
        "Time from requesting a worker until it is ready.",
        BOOT_BUCKETS_S,
    ),
}


def exposed_names() -> frozenset[str]:
    """Return the names of all time series, as used in queries."""
    names = set(GAUGES) | {f"{name}_total" for name in COUNTERS}
    for name in HISTOGRAMS:
        names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return frozenset(names)
