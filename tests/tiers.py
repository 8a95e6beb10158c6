"""How long each tier of tests took: the folders `unit`, `property` and `integration`."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pytest


class TierReport:
    """Sums up what the tests of each folder took, set-up and tear-down included, on all of pytest's processes."""

    def __init__(self) -> None:
        self._tests: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase of a test."""
        tier = PurePosixPath(report.nodeid).parts[1]
        self._tests[tier] += report.when == "setup"
        self._seconds[tier] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it in one line, the longest first."""
        workers = getattr(terminalreporter.config.option, "numprocesses", None) or 1
        longest = sorted(self._seconds.items(), key=lambda item: -item[1])
        tiers = [f"{tier} {seconds:.0f} s ({self._tests[tier]} tests)" for tier, seconds in longest]
        if tiers:
            terminalreporter.write_line(f"time: {', '.join(tiers)}; {workers} at a time")
