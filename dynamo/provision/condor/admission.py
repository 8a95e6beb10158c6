"""Answer workers that request their token.

A worker does so at least twice: with the token from its join papers for its own, and with its own for the next one.
It asks again if the answer got lost: the collector forgets its requests, answered or not, when it is reconfigured.
HTCondor identifies the requester and asks the administrator, which is this module. Unexpected requests get no
answer, and HTCondor drops them after an hour.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dynamo.pool.manager import WORKER_DOMAIN, worker_identity
from dynamo.provision.condor.memory import Memory
from dynamo.provision.condor.tokens import WORKER_MAY, boot_identity
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import PoolSilentError


@dataclass(frozen=True)
class Request:
    """One request: ``asker`` wants the identity ``wanted`` for ``lifetime_s`` seconds, limited to ``may``."""

    id: str
    asker: str
    wanted: str
    may: frozenset[str]
    lifetime_s: int

    @property
    def worker(self) -> str:
        """The worker the request is for, empty if it is for something else."""
        name, _, domain = self.wanted.rpartition("@")
        return name if domain == WORKER_DOMAIN else ""


def read_requests(text: str) -> list[Request]:
    """Parse the output of ``condor_token_request_list -json``."""
    try:
        found: list[dict[str, Any]] = orjson.loads(text) if text.strip() else []
    except orjson.JSONDecodeError as error:
        raise PoolSilentError(f"cannot read the list of token requests: {error}") from None
    return [
        Request(
            id=str(ad.get("RequestId", "")),
            asker=str(ad.get("AuthenticatedIdentity", "")),
            wanted=str(ad.get("RequestedIdentity", "")),
            may=frozenset(word.strip() for word in str(ad.get("LimitAuthorization", "")).split(",") if word.strip()),
            lifetime_s=int(ad.get("TokenLifetime", -1)),
        )
        for ad in found
    ]


def modest(request: Request, longest_s: int) -> bool:
    """Return whether a request is for at most a worker's token; one without limits is for everything."""
    return bool(request.may) and request.may <= set(WORKER_MAY) and 0 < request.lifetime_s <= longest_s


def admit(tools: Tools, memory: Memory, expected: Collection[str], *, token_s: int) -> Sequence[str]:
    """Answer the requests of the ``expected`` workers; return those that may join by it (not those renewing).

    A worker is answered with its papers as often as it asks, until it has joined (`note_joined`) or they expire.
    """
    joining = []
    now = time.time()
    for request in read_requests(tools.run("condor_token_request_list", "-json")):
        worker = request.worker
        if worker not in expected or not modest(request, token_s):
            continue
        note = memory.get(worker)
        if note.revoked:
            continue
        by_papers = bool(note.serial) and now < note.boot_until and request.asker == boot_identity(worker, note.serial)
        if not by_papers and request.asker != worker_identity(worker):
            continue
        # Before answering: the revocation must cover the token, whatever happens next.
        memory.put(note.but(token_until=now + token_s + 60))
        try:
            tools.run("condor_token_request_approve", "-reqid", request.id, text="yes\n")
        except PoolSilentError:
            # It may be gone by now; the others still need their answer, and the next call will tell.
            continue
        if by_papers and worker not in joining:
            joining.append(worker)
    return joining


def note_joined(memory: Memory, workers: Collection[str]) -> None:
    """Invalidate the papers of workers that have joined the pool."""
    for worker in workers:
        note = memory.get(worker)
        if note.serial:
            memory.put(note.but(serial=""))
