"""HTCondor for benchmarks: found or installed before anything is measured, so that its lack costs no measurement."""

from __future__ import annotations

import os

from benchmarks.report import console
from dynamo.pool.install.installation import install


def ensure_htcondor() -> None:
    """Find HTCondor or install it, and say so; with ``CONDOR_CONFIG`` there is a pool already.

    Raises
    ------
    DynamoError
        If there is none and it cannot be installed here.
    """
    if "CONDOR_CONFIG" in os.environ:
        return
    stages: set[str] = set()

    def report(stage: str, _done: float, _total: float) -> None:
        if stage not in stages:
            console.print(f"HTCondor: {stage}")
            stages.add(stage)

    found, new = install(None, report)
    console.print(f"HTCondor {found.version}: {'installed in' if new else 'found in'} {found.release}")
