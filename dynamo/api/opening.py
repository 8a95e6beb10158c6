"""To whom the API is opened: to this machine's user without a login, to others only with TLS and logins."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from dynamo.api.access.neighbors import is_loopback
from dynamo.api.access.users import list_users
from dynamo.api.pages import is_built
from dynamo.api.server import ApiServer, parse_address, start
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import list_tokens
from dynamo.config.file import Config
from dynamo.errors import UsageError
from dynamo.store.engine import Store
from dynamo.times import utc_now

log = logging.getLogger(__name__)


def open_api(
    store: Store,
    config: Config,
    address: str,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: bool = False,
    config_file: Path | None = None,
) -> ApiServer:
    """Serve the whole application on an address.

    On loopback, programs of the user who runs the server need no login, unless the configuration says so. Elsewhere,
    and behind a proxy, everybody logs in or sends a token.

    Parameters
    ----------
    address
        As `dynamo.api.server.parse_address` reads it.
    certificate, key
        PEM files for TLS.
    behind_proxy
        Whether a reverse proxy in front of the server ends TLS.
    config_file
        The configuration file if one was named: processes that execute runs read it, too.

    Raises
    ------
    UsageError
        If others would reach it without TLS, or nobody could log in.
    """
    host, port = parse_address(address)
    inside = is_loopback(host) and not behind_proxy
    if not inside and certificate is None and not behind_proxy:
        raise UsageError(
            "others could read passwords and tokens on the way: no TLS",
            where=host,
            expected="--cert with a certificate, or --behind-proxy if a reverse proxy ends TLS",
            hint="without either, listen on 127.0.0.1; from elsewhere, `ssh -L 8080:127.0.0.1:8080 HOST` leads there",
        )
    own = inside and config.serve.login == "elsewhere"
    if not own and config.serve.oidc is None and not _somebody_may_look(store):
        raise UsageError(
            "nobody could log in: there is no user, and no token that may look",
            where=host,
            hint="dynamo users add NAME --role admin",
        )
    settings = ApiSettings(
        open_to_user=own,
        secured=certificate is not None or behind_proxy,
        behind_proxy=behind_proxy,
        session_idle=timedelta(hours=config.serve.idle_h),
        session_longest=timedelta(hours=config.serve.longest_h),
        config_file=config_file,
    )
    server = start(
        store, config.state_dir, host, port, certificate=certificate, key=key, settings=settings, config=config
    )
    if not is_built():
        log.warning("the dashboard is not built, only the API responds: run `make web` in the checkout")
    return server


def _somebody_may_look(store: Store) -> bool:
    """Return whether there is a user who can log in, or a valid token with a role."""
    with store.reading() as session:
        if any(user.has_password and not user.disabled for user in list_users(session)):
            return True
        now = utc_now()
        tokens = list_tokens(session)
    return any(token.role is not None and (token.expires_at is None or token.expires_at > now) for token in tokens)
