"""Roles, each with all that those before it may do; and who sends a request.

A viewer looks at everything but users, audit and tokens of others. A researcher also runs workflows, within a budget,
and cancels and retries these runs. An operator gives all orders. An admin also manages users and tokens, and reads the
audit. Each route names the least role that it needs, see `dynamo.api.auth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["viewer", "researcher", "operator", "admin"]
VIEWER: Role = "viewer"
RESEARCHER: Role = "researcher"
OPERATOR: Role = "operator"
ADMIN: Role = "admin"
#: From the least.
ROLES = (VIEWER, RESEARCHER, OPERATOR, ADMIN)
#: Not a role: a token that reports jobs, and does nothing else unless it has a role as well.
REPORTER = "reporter"


def includes(role: Role | None, needed: Role) -> bool:
    """Return whether a role is, or has all of, another one."""
    return role is not None and ROLES.index(role) >= ROLES.index(needed)


def lesser(one: Role | None, other: Role | None) -> Role | None:
    """Return the role that both have; None for none."""
    if one is None or other is None:
        return None
    return min(one, other, key=ROLES.index)


@dataclass(frozen=True)
class Identity:
    """Who sends a request.

    Attributes
    ----------
    name
        Of the user, or of a token that is nobody's.
    role
        None for a token that only reports jobs.
    how
        How we know: ``token NAME``, ``session password``, ``session oidc``, ``this machine``.
    user
        The name again if it is that of a user in the store, else empty.
    reports
        Whether it may report jobs.
    """

    name: str
    role: Role | None
    how: str
    user: str = ""
    reports: bool = False

    @property
    def roles(self) -> list[str]:
        """All that it may act as, the least first."""
        acts = [role for role in ROLES if includes(self.role, role)]
        return [*acts, *([REPORTER] if self.reports else [])]

    def may(self, needed: Role) -> bool:
        """Return whether it has a role, or a greater one."""
        return includes(self.role, needed)

    def owns(self, owner: str) -> bool:
        """Return whether it may change a run that somebody ordered: operators all, others their own."""
        return self.may(OPERATOR) or (self.may(RESEARCHER) and bool(owner) and owner == self.name)
