"""One daemon per store: a row in the store says which process it is and until when.

On the same machine, the lease of a killed daemon is free at once, because its process is known to be gone; on another
machine it is free once it expires.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, select, update

from dynamo.errors import BusyError
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import ProcessLease
from dynamo.times import to_iso, utc_now

NAME = "watch"
TERM_S = 60.0
RENEW_S = 15.0


class StoreLease:
    """The exclusive right to be a store's daemon.

    Parameters
    ----------
    store
        The store.
    name
        Name of the lease.
    what
        What the lease is for, as shown to a process that is refused.
    """

    def __init__(self, store: Store, name: str = NAME, what: str = "this store") -> None:
        self._store = store
        self._name = name
        self._what = what
        self._token = secrets.token_hex(16)

    def take(self) -> None:
        """Take the lease.

        Raises
        ------
        BusyError
            If a running daemon has it.
        """
        mine = {
            "token": self._token,
            "host": machine(),
            "pid": os.getpid(),
            "pid_started": process_start(os.getpid()) or "",
            "expires_at": utc_now() + timedelta(seconds=TERM_S),
        }
        with self._store.transaction() as session:
            if insert_new(session, ProcessLease, name=self._name, **mine):
                return
            held = session.scalars(select(ProcessLease).where(ProcessLease.name == self._name).with_for_update()).one()
            if not is_free(held):
                raise BusyError(
                    f"another daemon holds {self._what}: process {held.pid} on {held.host.split('/')[0]}",
                    where=self._store.url,
                    hint=f"stop it, or if its machine crashed, wait until {to_iso(held.expires_at)}",
                )
            session.execute(update(ProcessLease).where(ProcessLease.name == self._name).values(**mine))

    def renew(self) -> None:
        """Renew the lease.

        Raises
        ------
        BusyError
            If it expired (the machine slept, the store was down) and another daemon has it now.
        """
        with self._store.transaction() as session:
            result = session.execute(
                update(ProcessLease)
                .where(ProcessLease.name == self._name, ProcessLease.token == self._token)
                .values(expires_at=utc_now() + timedelta(seconds=TERM_S))
                .returning(ProcessLease.name)
            )
            if result.first() is None:
                raise BusyError(f"another daemon has taken over {self._what}", where=self._store.url)

    def give_back(self) -> None:
        """Free the lease if it is ours."""
        with self._store.transaction() as session:
            session.execute(
                delete(ProcessLease).where(ProcessLease.name == self._name, ProcessLease.token == self._token)
            )


def machine() -> str:
    """Return the host name and, if available, the current boot id."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}/{boot}"


def process_start(pid: int) -> str | None:
    """Return the start time that distinguishes a process from a later one with the same pid; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may contain spaces; field 22 is the start time, field 3 the state.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def is_free(held: ProcessLease) -> bool:
    """Tell whether nobody living holds a lease."""
    if held.expires_at <= utc_now():
        return True
    here = machine()
    if held.host == here:
        return process_start(held.pid) != held.pid_started
    # The same machine after a reboot: none of its processes survived.
    return (
        held.host.split("/")[0] == here.split("/")[0] and "/" in here and held.host.split("/")[1] != here.split("/")[1]
    )
