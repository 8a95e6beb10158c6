"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

Found = TypeVar("Found")

#: Limits in tests are those of an idle machine. They only end tests that have failed, so a slow or busy machine gets
#: this many times as long.
PATIENCE = 8


def wait_for(condition: Callable[[], Found | Literal[False]], timeout_s: float = 30.0, what: str = "") -> Found:
    """Wait until something is so and return it, or fail."""
    deadline = time.monotonic() + PATIENCE * timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so after {PATIENCE * timeout_s:g} s: {what or condition}"
        time.sleep(0.05)
    return found
