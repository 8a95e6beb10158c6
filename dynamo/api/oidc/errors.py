"""Why a login at the provider came to nothing."""

from __future__ import annotations

from typing import Literal

from dynamo.api.problems import Refusal
from dynamo.errors import RetryableError

#: What the login page tells: the provider does not answer; it lets nobody in; too late, or begun in another browser;
#: what it said cannot be trusted; no role here; an account that is disabled.
Why = Literal["provider", "denied", "expired", "untrusted", "role", "disabled"]


class ProviderDownError(RetryableError):
    """The provider does not answer, or not with what it must."""

    why: Why = "provider"
    #: The page that was asked for.
    then = "/"


class LoginRefusedError(Refusal):
    """Nobody is logged in, and trying the same again does not help."""

    #: The page that was asked for.
    then = "/"

    def __init__(self, why: Why, what: str, *, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(403, what, where="login", expected=expected, hint=hint)
        self.why = why
