"""Revoke the tokens of workers that left.

Two pool settings name them: who is denied (works at once, even for open sessions), and which tokens are revoked.
An entry is dropped when the last token of its name has expired, so the list only has the workers that left
within one token's lifetime.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from pathlib import Path

from dynamo.files import write_text
from dynamo.pool.manager import REVOKED, worker_identity
from dynamo.pool.processes import descendants, name_of
from dynamo.pool.record import PoolRecord
from dynamo.provision.condor.memory import Memory
from dynamo.provision.condor.tokens import BOOT_DOMAIN

_DENIED = ("READ", "ADVERTISE_STARTD", "ADVERTISE_MASTER", "DAEMON", "WRITE")

#: The kernel keeps 15 characters of a process's name.
_COLLECTOR = "condor_collector"[:15]


def revocation_text(workers: Iterable[str]) -> str:
    """Return the configuration that locks out ``workers``."""
    names = sorted(workers)
    if not names:
        return "# Nobody is revoked.\n"
    identities = ", ".join(worker_identity(name) for name in names)
    subjects = ", ".join(f'"{worker_identity(name)}"' for name in names)
    boots = " || ".join(f'regexp("^{name.replace(".", "[.]")}[.][0-9a-f]+@{BOOT_DOMAIN}$", sub)' for name in names)
    return (
        "".join(f"DENY_{level} = $(DENY_{level}) {identities}\n" for level in _DENIED)
        + f"SEC_TOKEN_REVOCATION_EXPR = member(sub, {{{subjects}}}) || {boots}\n"
    )


def revoke(record: PoolRecord, memory: Memory, workers: Iterable[str]) -> None:
    """Lock out workers and notify the pool; names whose tokens have expired are dropped."""
    now = time.time()
    for worker in workers:
        note = memory.get(worker)
        memory.put(note.but(serial="", revoked=True, drain_until=0.0))
    out = []
    for note in memory.all():
        if not note.revoked:
            continue
        if max(note.token_until, note.boot_until) + 60 < now:
            memory.forget(note.worker)
        else:
            out.append(note.worker)
    path = Path(record.state) / REVOKED
    text = revocation_text(out)
    if path.is_file() and path.read_text() == text:
        return
    write_text(path, text)
    if record.running():
        # SIGHUP: reread the configuration. Via the master, all daemons would do so, including the negotiator.
        for process in descendants(record.master):
            if name_of(process) == _COLLECTOR:
                process.send(signal.SIGHUP)
