"""From a provider's claims to a person here: name and role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamo.api.oidc.errors import LoginRefusedError
from dynamo.config.oidc import ROLES, OidcSection, Role
from dynamo.texts import one_line

_LONGEST_NAME = 100
_EMAIL = "email"


@dataclass(frozen=True)
class Person:
    """Somebody whom the provider knows, and the role here.

    Attributes
    ----------
    issuer, subject
        Together the one lasting identity: names and addresses change hands.
    name
        To show; neither unique nor to be trusted.
    """

    issuer: str
    subject: str
    name: str
    role: Role


def person_of(section: OidcSection, claims: Mapping[str, Any]) -> Person:
    """Return who claims are about.

    Raises
    ------
    LoginRefusedError
        If the person has no role here.
    """
    subject = claims["sub"]
    names = (claim(claims, path) for path in (section.name_claim, "name", "sub"))
    name = next((found for text in names if isinstance(text, str) and (found := one_line(text)[:_LONGEST_NAME])), "?")
    role = _role(section, claims)
    if role is None:
        raise LoginRefusedError(
            "role",
            f"{name} has no role here",
            expected=f"a value of the claim {section.roles_claim} that [serve.oidc.roles] names",
            hint="ask whoever runs this server",
        )
    return Person(section.issuer, subject, name, role)


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim by its name, which may have dots, or by a path of names with dots between; None without it."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _role(section: OidcSection, claims: Mapping[str, Any]) -> Role | None:
    found = claim(claims, section.roles_claim)
    # Some providers send it as a text.
    verified = str(claims.get("email_verified")).lower() == "true"
    if section.roles_claim == _EMAIL and not verified:
        found = None
    values = found if isinstance(found, list) else [found]
    roles = [section.roles[value] for value in values if isinstance(value, str) and value in section.roles]
    return max(roles, key=ROLES.index, default=section.default_role)
