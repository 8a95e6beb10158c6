"""What a machine may lack. Tests that need it are "not run" there, which one line at the end says for each part.

On CI (`CI=true`) nothing may be lacking: there such a test fails.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

_NOT_RUN = "not run"


@dataclass(frozen=True)
class Part:
    """Something that tests need and a fresh machine may not have.

    Parameters
    ----------
    name
        What is lacking, as in "no data folder".
    remedy
        What to do to have it.
    """

    name: str
    remedy: str

    def lacking(self, why: str = "") -> NoReturn:
        """End the test: not run here, or failed on CI. ``why`` is told on CI only."""
        __tracebackhide__ = True
        if os.environ.get("CI") == "true":
            pytest.fail(f"no {self.name}, which CI must have: {why or self.remedy}", pytrace=False)
        pytest.skip(f"{_NOT_RUN}: no {self.name}: {self.remedy}")


DATA = Part("data folder", "set DYNAMO_TEST_DATA to the folder of real radar data (composites/, radar/)")
HTCONDOR = Part("HTCondor", "install HTCondor 10 or newer; dynamo pool install can on Debian and Ubuntu")
NAMESPACES = Part(
    "user namespaces", "allow unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=0)"
)
SYSTEMD = Part("systemd-analyze", "install the package systemd")
CONTAINERS = Part(
    "container runtime", "dynamo pool install --containers can where user namespaces are allowed, on Debian"
)
PEERS = Part("peers to compare with", "make peers (needs a C compiler)")


def peer(module: str) -> Any:
    """Import a module of the extra `peers`, quietly."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        PEERS.lacking(str(error))


class NotRunReport:
    """Counts tests that were not run apart from those skipped, and says for each part what brings it."""

    def __init__(self) -> None:
        self._lacking: Counter[str] = Counter()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Name the outcome."""
        return (_NOT_RUN, "n", "NOT RUN") if _lacking(report) else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test by what it lacks."""
        if lacking := _lacking(report):
            self._lacking[lacking] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it, a line for each part."""
        for lacking, count in self._lacking.most_common():
            terminalreporter.write_line(f"{_NOT_RUN}: {count} tests, {lacking}", yellow=True)


def _lacking(report: pytest.TestReport) -> str | None:
    if not (report.skipped and isinstance(report.longrepr, tuple)):
        return None
    _, found, lacking = str(report.longrepr[2]).partition(f"{_NOT_RUN}: ")
    return lacking if found else None
