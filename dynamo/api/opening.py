"""To whom the API is opened: to this machine's user without a login, to others only with TLS and tokens."""

from __future__ import annotations

import logging
from pathlib import Path

from dynamo.api.pages import is_built
from dynamo.api.server import ApiServer, is_loopback, parse_address, start
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import READ, list_tokens
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

    On loopback, programs of the user who runs the server need no token. Elsewhere, and behind a proxy, everybody does.

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
        If others would reach it without TLS, or nobody has a token.
    """
    host, port = parse_address(address)
    own = is_loopback(host) and not behind_proxy
    if not own:
        _refuse_unsafe(store, host, secured=certificate is not None or behind_proxy)
    settings = ApiSettings(open_to_user=own, config_file=config_file)
    server = start(
        store, config.state_dir, host, port, certificate=certificate, key=key, settings=settings, config=config
    )
    if not is_built():
        log.warning("the dashboard is not built, only the API responds: run `make web` in the checkout")
    return server


def _refuse_unsafe(store: Store, host: str, *, secured: bool) -> None:
    if not secured:
        raise UsageError(
            "others could read tokens on the way: no TLS",
            where=host,
            expected="--cert with a certificate, or --behind-proxy if a reverse proxy ends TLS",
            hint="without either, listen on 127.0.0.1; from elsewhere, `ssh -L 8080:127.0.0.1:8080 HOST` leads there",
        )
    with store.reading() as session:
        now = utc_now()
        known = [
            token
            for token in list_tokens(session)
            if READ in token.scopes and (token.expires_at is None or token.expires_at > now)
        ]
    if not known:
        raise UsageError(
            "nobody could look: there is no token with the scope read",
            where=host,
            hint="dynamo-provision token create NAME --scope read --scope write",
        )
