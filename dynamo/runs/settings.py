"""What the run service is told: where things lie and which limits hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunSettings:
    """Folders and limits of the run service; the configuration file fills them."""

    runs_dir: Path
    products_dir: Path
    #: Options of each engine, by its name.
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_runs: int = 2
    fsync: bool = True
    #: Successful and unsuccessful run folders are removed after this time, in seconds; None keeps them.
    keep_succeeded_s: float | None = 86400.0
    keep_failed_s: float | None = 7 * 86400.0
    #: Below this free space, in MB, where runs or products lie, no new run starts.
    min_free_mb: int = 200
    #: Coefficients are fitted anew after this many finished runs; 0 never.
    refit_runs: int = 20
    #: How often a waiting run looks for a request to cancel it, in seconds.
    tick_s: float = 0.5
    #: How often a run whose work the engine has lost is given to it again.
    max_lost: int = 3
    #: Triggers whose runs are never left out in overload: in a pool their jobs go before all others.
    spared_triggers: frozenset[str] = frozenset()

    @property
    def lowest_free(self) -> tuple[Path, ...]:
        """The folders whose file systems must have room."""
        return self.runs_dir, self.products_dir
