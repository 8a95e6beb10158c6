"""Settings of the API, without its libraries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True)
class ApiSettings:
    """Settings of the API.

    Attributes
    ----------
    local_files
        Whether remote specs may name files of this machine and run scripts on it.
    open_to_user
        Whether requests of the user who runs the server, from programs on the same machine, need no token: they may
        view and order.
    secured
        Whether browsers speak TLS with it, or with the proxy in front of it: cookies go no other way then.
    behind_proxy
        Whether all requests come through one proxy, which adds the client's address to `X-Forwarded-For`.
    session_idle, session_longest
        How long a session lasts without a request, and at most.
    config_file
        The configuration file for processes that execute runs. Default: they find the one that this process does.
    shared_s
        How long an answer that is the same for everybody may be given to others, in seconds; orders end that at once.
        Viewers ask half a second after an event: it is in every answer.
    requests_per_s, burst
        Rate limit of each token: requests per second in the long run, and at once.
    failures_per_s, failures_burst
        The same for each address without a valid token or session.
    logins_per_s, logins_burst
        The same for attempts to log in as one user from one address; ten times as many from all addresses.
    headers_timeout_s, body_timeout_s
        Time to send a request's headers, and its body, in seconds; the first counts from the opening of a connection,
        with TLS from the end of the handshake, which has the same time. A body has a second more for each 64 KiB of it.
    reading_timeout_s
        Time without progress after which a client that does not read its answer is cut off, in seconds.
    waiting_per_client, waiting
        Connections without a whole request, or still without TLS: of each address, and in total. The oldest make room
        for new ones.
    """

    local_files: bool = False
    open_to_user: bool = False
    secured: bool = False
    behind_proxy: bool = False
    session_idle: timedelta = timedelta(hours=12)
    session_longest: timedelta = timedelta(days=7)
    config_file: Path | None = None
    shared_s: float = 0.4
    requests_per_s: float = 50.0
    burst: float = 200.0
    failures_per_s: float = 1.0
    failures_burst: float = 20.0
    logins_per_s: float = 1 / 30
    logins_burst: float = 6.0
    headers_timeout_s: float = 15.0
    body_timeout_s: float = 30.0
    reading_timeout_s: float = 30.0
    waiting_per_client: int = 64
    waiting: int = 256
