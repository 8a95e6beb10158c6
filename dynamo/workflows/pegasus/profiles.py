"""Profiles and properties known to Pegasus 5.1: the planner silently accepts any other key."""

from __future__ import annotations

import re

#: Keys of ``pegasus`` profiles (Pegasus 5 reference guide, "Profiles"), with patterns for their values.
WHOLE = re.compile(r"[1-9][0-9]*\Z")
COUNT = re.compile(r"[0-9]+\Z")
SIGNED = re.compile(r"-?[0-9]+\Z")
ANY = re.compile(r"[^\n]*\Z")
FLAG = re.compile(r"(?i:true|false)\Z")

PEGASUS: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(
        (
            "clusters.num",
            "clusters.size",
            "stagein.clusters",
            "stagein.local.clusters",
            "stagein.remote.clusters",
            "stageout.clusters",
            "stageout.local.clusters",
            "stageout.remote.clusters",
            "checkpoint.time",
            "maxwalltime",
            "runtime",
            "clusters.maxruntime",
            "cores",
            "nodes",
            "ppn",
            "memory",
            "diskspace",
            "pmc_request_memory",
            "pmc_request_cpus",
        ),
        WHOLE,
    ),
    "gpus": COUNT,
    "pmc_priority": SIGNED,
    **dict.fromkeys(("change.dir", "create.dir", "transfer.proxy", "auxillary.local", "condor.arguments.quote"), FLAG),
    "style": re.compile(r"(condor|condorc|glite|glideinwms|panda|ssh|creamce|pegasuslite)\Z"),
    "data.configuration": re.compile(r"(condorio|sharedfs|nonsharedfs)\Z"),
    "gridstart": re.compile(r"(?i:none|kickstart|pegasuslite|pegasuslite.none|distribute)\Z"),
    "label": re.compile(r"[A-Za-z0-9_-]+\Z"),
    **dict.fromkeys(
        (
            "job.aggregator",
            "job.aggregator.arguments",
            "gridstart.path",
            "gridstart.arguments",
            "gridstart.launcher",
            "gridstart.launcher.arguments",
            "group",
            "pmc_task_arguments",
            "exitcode.failuremsg",
            "exitcode.successmsg",
            "glite.arguments",
            "glite.arguments.expr",
            "runtime.expr",
            "cores.expr",
            "gpus.expr",
            "memory.expr",
            "diskspace.expr",
            "queue",
            "queue.expr",
            "project",
            "project.expr",
            "BOTO_CONFIG",
            "container.arguments",
            "container.launcher",
            "container.launcher.arguments",
            "pegasus_lite_env_source",
            "SSH_PRIVATE_KEY",
            "relative.submit.dir",
            "tag",
        ),
        ANY,
    ),
}

CONDOR: dict[str, re.Pattern[str]] = {
    "universe": re.compile(r"(vanilla|local|scheduler|container|docker|grid|parallel|java)\Z"),
    "request_cpus": WHOLE,
    "request_gpus": COUNT,
    # Megabytes and kilobytes as plain numbers: `128 MB` would reach the submit file verbatim and hold the job.
    "request_memory": WHOLE,
    "request_disk": WHOLE,
    "priority": SIGNED,
    "stream_error": FLAG,
    "stream_output": FLAG,
    "should_transfer_files": re.compile(r"(?i:yes|no|if_needed)\Z"),
    "when_to_transfer_output": re.compile(r"(?i:on_exit|on_exit_or_evict|on_success)\Z"),
    **dict.fromkeys(
        (
            "periodic_release",
            "periodic_remove",
            "periodic_hold",
            "filesystemdomain",
            "requirements",
            "rank",
            "condor_collector",
            "grid_resource",
            "cream_attributes",
            "concurrency_limits",
            "accounting_group",
            "accounting_group_user",
            "getenv",
            "environment",
            "transfer_input_files",
            "transfer_output_files",
        ),
        ANY,
    ),
}

DAGMAN: dict[str, re.Pattern[str]] = {
    "RETRY": COUNT,
    "PRIORITY": SIGNED,
    **dict.fromkeys(("MAXPRE", "MAXPOST", "MAXJOBS", "MAXIDLE"), COUNT),
    "POST.SCOPE": re.compile(r"(all|essential|none)\Z"),
    **dict.fromkeys(("PRE", "PRE.ARGUMENTS", "POST", "POST.ARGUMENTS", "CATEGORY", "ABORT-DAG-ON"), ANY),
}

SELECTOR: dict[str, re.Pattern[str]] = dict.fromkeys(("execution.site", "pfn", "grid.jobtype"), ANY)

#: Namespaces with user-defined keys.
FREE = frozenset({"env", "globus", "stat"})
NAMESPACES: dict[str, dict[str, re.Pattern[str]]] = {
    "pegasus": PEGASUS,
    "condor": CONDOR,
    "dagman": DAGMAN,
    "selector": SELECTOR,
    "hints": SELECTOR,
}
#: Version of the YAML schemas shared by Pegasus 5.0 and 5.1.
SCHEMA_VERSION = re.compile(r"5(\.[0-9]+){0,2}\Z")


def expectation(pattern: re.Pattern[str]) -> str:
    """Describe the values a profile accepts."""
    words = {
        WHOLE: "a whole number from 1, without a unit",
        COUNT: "a whole number from 0",
        SIGNED: "a whole number",
        FLAG: "true or false",
        ANY: "one line of text",
    }
    plain = pattern.pattern.removesuffix(r"\Z").removeprefix("(?i:").strip("()")
    return words.get(pattern, plain.replace("|", ", "))
