"""One daemon per store: a row in the store says which process it is and until when.

On the same machine a lease follows its process: free at once if the process is gone, and not free while it lives, even
if it was suspended past the lease's end. On another machine a lease is free once it expires.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, select, update

from dynamo.errors import BusyError, DynamoError
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import ProcessLease
from dynamo.times import to_iso, utc_now

NAME = "watch"
TERM_S = 60.0
RENEW_S = 15.0
_log = logging.getLogger("dynamo.store")


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

    def check(self) -> None:
        """Check that the lease is free, without taking it.

        Raises
        ------
        BusyError
            If a living daemon has it.
        """
        with self._store.reading() as session:
            held = session.get(ProcessLease, self._name)
            if held is not None and not is_free(held):
                raise self._refusal(held)

    def take(self) -> None:
        """Take the lease.

        Raises
        ------
        BusyError
            If a living daemon has it.
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
                raise self._refusal(held)
            session.execute(update(ProcessLease).where(ProcessLease.name == self._name).values(**mine))

    def renew(self) -> None:
        """Renew the lease; take it back if it was lost (the machine slept, the store was down) and nobody has it now.

        Raises
        ------
        BusyError
            If another living daemon has it.
        """
        with self._store.transaction() as session:
            result = session.execute(
                update(ProcessLease)
                .where(ProcessLease.name == self._name, ProcessLease.token == self._token)
                .values(expires_at=utc_now() + timedelta(seconds=TERM_S))
                .returning(ProcessLease.name)
            )
            if result.first() is not None:
                return
        self.take()
        _log.warning("took back what another daemon had meanwhile", extra={"lease": self._name})

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease in the background while the block runs: for waits that may outlast it, such as at the end."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(RENEW_S):
                try:
                    self.renew()
                except DynamoError as error:
                    _log.warning("lease not renewed", extra={"lease": self._name, "reason": str(error)})

        thread = threading.Thread(target=renew, name=f"lease-{self._name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def give_back(self) -> None:
        """Free the lease if it is ours."""
        with self._store.transaction() as session:
            session.execute(
                delete(ProcessLease).where(ProcessLease.name == self._name, ProcessLease.token == self._token)
            )

    def _refusal(self, held: ProcessLease) -> BusyError:
        if held.host != machine():
            hint = f"stop it, or if its machine crashed, wait until {to_iso(held.expires_at)}"
        elif is_suspended(held):
            hint = f"continue it with `kill -CONT {held.pid}`, or kill it"
        else:
            hint = "stop it"
        return BusyError(f"another daemon holds {self._what}: process {holder(held)}", where=self._store.url, hint=hint)


def machine() -> str:
    """Return where process numbers mean what they mean here: host name, boot id, and PID namespace, as available."""
    boot = namespace = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    return f"{socket.gethostname()}/{boot}/{namespace}"


def process_start(pid: int) -> str | None:
    """Return the start time that distinguishes a process from a later one with the same pid; None if it is gone."""
    fields = _process_fields(pid)
    return None if fields is None else fields[19]


def holder(held: ProcessLease) -> str:
    """Return who holds a lease, for messages: ``4711 on radar1 (suspended)``."""
    return f"{held.pid} on {held.host.split('/')[0]}{' (suspended)' if is_suspended(held) else ''}"


def is_suspended(held: ProcessLease) -> bool:
    """Tell whether a lease's process lives on this machine but is stopped (SIGSTOP, Ctrl-Z, a debugger)."""
    fields = _process_fields(held.pid) if held.host == machine() else None
    return fields is not None and fields[19] == held.pid_started and fields[0] in ("T", "t")


def is_free(held: ProcessLease) -> bool:
    """Tell whether nobody living holds a lease."""
    here = machine()
    if held.host == here:
        if process_start(held.pid) != held.pid_started:
            return True
        if held.pid != os.getpid():
            # Alive but late: it was suspended, or could not reach the store. It will go on where it was.
            return False
        # Ours, under another token: nothing in this process renews it any more once it has expired.
    else:
        (name, boot), (our_name, our_boot) = held.host.split("/")[:2], here.split("/")[:2]
        if name == our_name and our_boot not in ("", boot):
            # The same machine after a reboot: none of its processes survived.
            return True
        # Otherwise another machine, or a container on this one, whose processes cannot be seen from here.
    return held.expires_at <= utc_now()


def _process_fields(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third, the state, on; None if the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may contain spaces; field 22 is the start time.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields
