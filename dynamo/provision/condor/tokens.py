"""Workers' tokens: a worker's identity in the pool, for how long, and its permissions."""

from __future__ import annotations

import re

from dynamo.errors import UsageError
from dynamo.pool.configuration import DOMAIN
from dynamo.pool.manager import WORKER_KEY, worker_identity
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import PoolSilentError

#: All a worker needs: to advertise itself, and to check that its pool is there.
WORKER_MAY = ("ADVERTISE_STARTD", "ADVERTISE_MASTER", "READ")
#: Domain of a worker before it has its own token. No pool setting lists it, so it may only request a token.
BOOT_DOMAIN = f"boot.{DOMAIN}"
#: Part of a host name: lowercase letters, digits, hyphens and dots.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def check_name(worker: str) -> str:
    """Return a worker's name if it is valid in the pool.

    Raises
    ------
    UsageError
        If it is not part of a host name.
    """
    if not _NAME.fullmatch(worker) or ".." in worker:
        raise UsageError(
            "invalid worker name",
            where=repr(worker),
            expected="at most 63 lowercase letters, digits, hyphens and dots",
        )
    return worker


def boot_identity(worker: str, serial: str) -> str:
    """Return a worker's identity during first boot; ``serial`` distinguishes its papers from earlier ones."""
    return f"{worker}.{serial}@{BOOT_DOMAIN}"


def make_worker_token(tools: Tools, worker: str, lifetime_s: int) -> str:
    """Return the worker's own token, valid for ``lifetime_s`` seconds.

    Raises
    ------
    PoolSilentError
        If HTCondor does not create it.
    """
    return _make(tools, worker_identity(worker), WORKER_MAY, lifetime_s)


def make_boot_token(tools: Tools, worker: str, serial: str, lifetime_s: int) -> str:
    """Return a token a worker can only use to request its own.

    Raises
    ------
    PoolSilentError
        If HTCondor does not create it.
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
        raise PoolSilentError("HTCondor did not create a token", where=identity)
    return token
