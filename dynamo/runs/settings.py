"""Settings of the run service: folders and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamo.checks.judging import CheckRule


@dataclass(frozen=True)
class RunSettings:
    """Folders and limits of the run service, filled from the configuration file."""

    runs_dir: Path
    products_dir: Path
    #: Options of each engine, by name.
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_runs: int = 2
    fsync: bool = True
    #: Seconds to keep run folders of successful and unsuccessful runs; None keeps them.
    keep_succeeded_s: float | None = 86400.0
    keep_failed_s: float | None = 7 * 86400.0
    #: Start no run with less than this free disk space, in MB, for runs or products.
    min_free_mb: int = 200
    #: Refit coefficients after this many finished runs; 0: never.
    refit_runs: int = 20
    #: Whether to write PROV-JSON beside the index.
    prov: bool = False
    #: Whether to store the steps of runs to tell others of them.
    tells_steps: bool = False
    #: Seconds between a waiting run's checks for cancellation.
    tick_s: float = 0.5
    #: How many times a run is resubmitted after the engine lost its work.
    max_lost: int = 3
    #: Triggers whose runs are never skipped in overload: in a pool their jobs go before all others.
    spared_triggers: frozenset[str] = frozenset()
    #: What the configuration says about checks, by name.
    checks: Mapping[str, CheckRule] = field(default_factory=dict)

    @property
    def lowest_free(self) -> tuple[Path, ...]:
        """The folders whose file systems must have free space."""
        return self.runs_dir, self.products_dir
