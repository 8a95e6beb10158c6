"""The section `[serve.oidc]` of `dynamo.toml`: logging in with an account of another place."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from dynamo.documents.section import Section

Role = Literal["viewer", "researcher", "operator", "admin"]
#: Each may do what those before it may.
ROLES: tuple[Role, ...] = ("viewer", "researcher", "operator", "admin")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Parameters of the login address that protect it, or that other options give.
_OWN_PARAMETERS = re.compile(
    r"(client_id|client_secret|code_challenge|code_challenge_method|nonce|redirect_uri|request|request_uri|response_mode"
    r"|response_type|scope|state)\Z"
)


def safe_address(text: str) -> str:
    """Return an address if nobody can listen to what is sent there.

    Raises
    ------
    ValueError
        If it is neither https nor, for trials, this machine.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not an address: expected https://HOST/...") from None
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not safe or not host or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("expected https://HOST/... (http only on this machine), without a user or a query")
    return text


class OidcSection(Section):
    """Log in with an account of another place by OpenID Connect: a university, a company, Google, CILogon."""

    provider: str = Field(
        "single sign-on", min_length=1, max_length=60, description="Name of the provider on the login page."
    )
    issuer: Annotated[str, AfterValidator(safe_address)] = Field(
        description="The provider's address: below it is `/.well-known/openid-configuration`."
    )
    public_url: Annotated[str, AfterValidator(safe_address)] = Field(
        description="Address of this server in browsers. Register `PUBLIC_URL/v1/login/oidc/callback` at the provider."
    )
    client_id: str = Field(min_length=1, max_length=500, description="Name that the provider gave to this server.")
    client_secret_env: str | None = Field(None, description="Environment variable that holds the client secret.")
    client_secret_file: str | None = Field(
        None, description="File that holds the client secret; only its owner may read it (0600)."
    )
    scopes: list[str] = Field(
        default=["openid", "profile", "email"],
        description="What to ask for. With `offline_access`, some providers let a session go on without a new login.",
    )
    parameters: dict[str, str] = Field(
        default_factory=dict, description='More parameters of the login address, such as `prompt = "consent"`.'
    )
    name_claim: str = Field("preferred_username", description="Claim with a person's name here; a path as below.")
    roles_claim: str = Field(
        "groups",
        description="Claim whose values lead to roles. A path such as `realm_access.roles` names a claim in a claim. "
        "`email` counts only if the provider has verified it.",
    )
    roles: dict[str, Role] = Field(
        default_factory=dict,
        description="Role for each value of the claim: `viewer`, `researcher`, `operator` or `admin`; the highest.",
    )
    default_role: Role | None = Field(
        None, description="Role of everybody else whom the provider knows. Default: they are refused."
    )
    recheck_min: float = Field(
        15.0,
        gt=0,
        le=1440,
        description="Ask the provider again after N minutes whether a person may still be here, and for the role.",
    )
    timeout_s: float = Field(5.0, gt=0, le=60, description="Time limit of a question to the provider, in seconds.")
    leeway_s: float = Field(60.0, ge=0, le=600, description="Tolerated difference to the provider's clock, in seconds.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.client_secret_env is not None and self.client_secret_file is not None:
            raise ValueError("give one of client_secret_env, client_secret_file")
        if "openid" not in self.scopes:
            raise ValueError('scopes: "openid" is missing')
        if not self.roles and self.default_role is None:
            raise ValueError("nobody could log in: give roles, or a default_role")
        for name in self.parameters:
            if _OWN_PARAMETERS.match(name):
                raise ValueError(f"parameters: {name} is not yours to set")
        return self
