"""All checks with their limits, as a configuration sets them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dynamo.checks.model import Check
from dynamo.config.file import Config
from dynamo.doors import CHECKS


@dataclass(frozen=True)
class ConfiguredCheck:
    """A check, whether it is on, and where it comes from."""

    name: str
    check: Check
    enabled: bool
    origin: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        names = ("subject", "description", "unit", "severity", "suspect", "fail", "low")
        return {
            "name": self.name,
            **{key: getattr(self.check, key) for key in names},
            "usual": self.check.usual is not None,
            "enabled": self.enabled,
            "origin": self.origin,
        }


def configured_checks(config: Config) -> list[ConfiguredCheck]:
    """Return all checks with their limits, as `[checks.NAME]` of the configuration sets them."""
    checks = CHECKS.usable()
    # Those that only a workflow module knows.
    own = {name: Check(name, "series", "", "", None, None) for name in config.checks if name not in CHECKS}
    found = []
    for name, check in {**checks, **own}.items():
        section = config.checks.get(name)
        if section is not None:
            check = replace(  # noqa: PLW2901
                check,
                severity=section.severity or check.severity,
                suspect=check.suspect if section.suspect is None else section.suspect,
                fail=check.fail if section.fail is None else section.fail,
            )
        origin = CHECKS.origin(name) if name in checks else "a workflow module"
        found.append(ConfiguredCheck(name, check, section is None or section.enabled, origin))
    return found
