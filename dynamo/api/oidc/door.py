"""From somebody whom the provider lets in to a session here, and back to the provider every now and then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Request

from dynamo.api.access.roles import Role
from dynamo.api.access.sessions import start_session
from dynamo.api.access.users import external_user
from dynamo.api.auth import Doorkeeper, too_often
from dynamo.api.limits import RateLimit, SlowCalls
from dynamo.api.oidc.errors import LoginRefusedError
from dynamo.api.service import Service
from dynamo.config.file import Config
from dynamo.extras import need
from dynamo.store.access import note_order

if TYPE_CHECKING:
    from dynamo.api.oidc.flow import Begun, Ended, OpenId

#: Logins of one address: a click each.
_PER_S, _BURST = 0.5, 20.0
#: Requests that wait for the provider; the others are told to come back.
_AT_ONCE = 4


class OpenIdDoor:
    """Lets people in whom the provider knows.

    Parameters
    ----------
    openid
        Logins at the provider.
    keeper
        Tells addresses of clients.
    """

    def __init__(self, openid: OpenId, keeper: Doorkeeper) -> None:
        self._openid = openid
        self._keeper = keeper
        self._often = RateLimit(_PER_S, _BURST)
        self._slow = SlowCalls(_AT_ONCE)
        #: How long a session goes on before the provider is asked again.
        self.every = timedelta(minutes=openid.section.recheck_min)

    @property
    def name(self) -> str:
        """The provider's name on the login page."""
        return self._openid.section.provider

    @property
    def secure(self) -> bool:
        """Whether cookies go over TLS only."""
        return self._openid.secure

    def begin(self, request: Request, then: str) -> Begun:
        """Begin a login of a browser that wants to see a page."""
        self._keeper.refuse_plain(request)
        if wait_s := self._often.take(self._keeper.address(request)):
            raise too_often(wait_s, "too many logins")
        with self._slow.one():
            return self._openid.begin(then)

    def end(self, request: Request, service: Service) -> tuple[Ended, str]:
        """Return who has logged in, and the value of the session's cookie; the audit notes both ends.

        Raises
        ------
        LoginRefusedError, RetryableError
            If nobody has.
        """
        self._keeper.refuse_plain(request)
        try:
            with self._slow.one():
                ended = self._openid.end(dict(request.query_params), request.cookies)
        except LoginRefusedError as error:
            self._note(request, service, "", "", str(error), error.status)
            raise
        person = ended.person
        with service.store.transaction() as session:
            user = external_user(
                session, issuer=person.issuer, subject=person.subject, name=person.name, role=person.role
            )
            if user.disabled:
                refused = LoginRefusedError("disabled", f"{user.name} is disabled", hint="ask an administrator")
                refused.then = ended.next
            else:
                refused = None
                session.flush()
                value = start_session(session, user.name, "oidc", service.settings, external=ended.kept)
        self._note(request, service, user.name, user.role, "", 403 if refused else 303)
        if refused:
            raise refused
        return ended, value

    def again(self, external: str) -> tuple[Role, str] | None:
        """Return the role that somebody has now, and what to ask with next time; None if the session is over.

        Raises
        ------
        RetryableError
            If the provider does not answer.
        """
        with self._slow.one():
            still = self._openid.again(external)
        return None if still is None else (still.person.role, still.kept)

    def forget(self, external: str) -> None:
        """Tell the provider that a session has ended."""
        self._openid.forget(external)

    def _note(self, request: Request, service: Service, who: str, role: str, summary: str, status: int) -> None:
        facts = {
            "who": who,
            "role": role,
            "how": self.name,
            "address": self._keeper.address(request),
            "method": request.method,
            "route": request.url.path,
        }
        with service.store.transaction() as session:
            note_order(session, facts, summary, status)


def open_door(config: Config, keeper: Doorkeeper) -> OpenIdDoor | None:
    """Return the door of the configuration's provider; None if it has none.

    Raises
    ------
    MissingPartError
        If a library is missing.
    InputError, NotFoundError
        If there is no client secret where the settings say, or others may read it.
    """
    section = config.serve.oidc
    if section is None:
        return None
    for library in ("authlib", "httpx2", "joserfc"):
        need(library, extra="serve")
    from dynamo.api.oidc.flow import OpenId

    return OpenIdDoor(OpenId(section, config.base), keeper)
