"""Workers' tokens: who a worker is to the pool, for how long, and what it may do."""

from __future__ import annotations

import re

from dynamo.errors import UsageError
from dynamo.pool.configuration import DOMAIN
from dynamo.pool.manager import WORKER_KEY, worker_identity
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import PoolSilentError

#: All that a worker needs: to show itself, and to see whether its pool is there.
WORKER_MAY = ("ADVERTISE_STARTD", "ADVERTISE_MASTER", "READ")
#: Whom a worker is before it has its own token. No list of the pool names this domain, so it may do nothing but ask.
BOOT_DOMAIN = f"boot.{DOMAIN}"
#: Part of a host name: small letters, digits, dashes and dots.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def check_name(worker: str) -> str:
    """Return the name of a worker if the pool can know it by it.

    Raises
    ------
    UsageError
        If it is not part of a host name.
    """
    if not _NAME.fullmatch(worker) or ".." in worker:
        raise UsageError(
            "a worker cannot have this name",
            where=repr(worker),
            expected="at most 63 small letters, digits, dashes and dots",
        )
    return worker


def boot_identity(worker: str, serial: str) -> str:
    """Return who a worker is during its first boot; ``serial`` tells its papers from earlier ones."""
    return f"{worker}.{serial}@{BOOT_DOMAIN}"


def make_worker_token(tools: Tools, worker: str, lifetime_s: int) -> str:
    """Return a token of the worker's own, good for ``lifetime_s`` seconds.

    Raises
    ------
    PoolSilentError
        If HTCondor does not make it.
    """
    return _make(tools, worker_identity(worker), WORKER_MAY, lifetime_s)


def make_boot_token(tools: Tools, worker: str, serial: str, lifetime_s: int) -> str:
    """Return a token with which a worker can ask for its own, and do nothing else.

    Raises
    ------
    PoolSilentError
        If HTCondor does not make it.
    """
    return _make(tools, boot_identity(worker, serial), ("READ",), lifetime_s)


def authorizations(may: tuple[str, ...] = WORKER_MAY) -> list[str]:
    """Return the arguments that limit a token to ``may``."""
    return [word for one in may for word in ("-authz", one)]


def _make(tools: Tools, identity: str, may: tuple[str, ...], lifetime_s: int) -> str:
    token = tools.run(
        "condor_token_create",
        *("-identity", identity, "-key", WORKER_KEY, "-lifetime", str(lifetime_s)),
        *authorizations(may),
        as_daemon=True,
    ).strip()
    if not token.startswith("ey"):
        raise PoolSilentError("HTCondor made no token", where=identity)
    return token
