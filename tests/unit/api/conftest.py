"""Passwords are hashed cheaply here: how dear that is in life is the library's default, which a test looks at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import argon2
import pytest

from dynamo.api.access import passwords


@pytest.fixture(scope="package", autouse=True)
def cheap_hashes() -> Iterator[Any]:
    """Let passwords be hashed in microseconds; the true hasher is what is yielded."""
    true, cheap = passwords._hasher, argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: cheap)
        patch.setattr(passwords, "_nobodys", lambda: cheap.hash("nobody knows this"))
        yield true
