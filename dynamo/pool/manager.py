"""Where a pool for workers listens, and whom it lets do what."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dynamo.errors import UsageError
from dynamo.files import write_text
from dynamo.pool.configuration import DOMAIN

LOOPBACK = "127.0.0.1"
ANY = "0.0.0.0"  # noqa: S104 - asked for by the operator, never the default
#: The key that signs the workers' tokens; its file is in the folder ``passwords.d`` of the pool.
WORKER_KEY = "WORKERS"
#: Identities of workers, as the pool's lists of who may do what name them all.
WORKER_DOMAIN = f"worker.{DOMAIN}"
#: The attribute of a worker's ads that says which worker it is.
WORKER_ATTRIBUTE = "DynamoWorker"
#: The attribute that says at which site it is, as ``Cloud:Region``: jobs may require it.
SITE_ATTRIBUTE = "DynamoSite"
#: Configuration that `revoke` writes.
REVOKED = "revoked.conf"
#: For how many seconds the collector knows a worker without looking at its token again.
SESSION_S = 3600
_PORT = "port"
_SOCKETS = "sockets"
#: The longest path that the kernel takes for a socket, less what HTCondor puts behind the folder.
_LONGEST = 107 - 40


@dataclass(frozen=True)
class Head:
    """Where a manager listens: ``address`` on this machine, ``public`` as workers know it, one ``port``."""

    state: Path
    address: str
    public: str
    port: int
    sockets: Path

    @classmethod
    def choose(cls, state: Path, address: str, public: str, port: int) -> Head:
        """Return where the pool in ``state`` listens: where it did before, if nothing else is asked for.

        Raises
        ------
        UsageError
            If the address is not one of this machine, or the port is taken.
        """
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise UsageError("not an address", where=address, expected="an IPv4 address of this machine") from None
        if address == ANY and not public:
            raise UsageError(
                "a pool that listens on all addresses must know which one its workers use",
                where=address,
                hint="name the public address",
            )
        chosen = _free_port(address, port or _remembered(state))
        if chosen is None:
            if port:
                raise UsageError("this port is taken", where=f"{address}:{port}", hint="choose another, or 0")
            chosen = _free_port(address, 0) or 0
        write_text(state / _PORT, f"{chosen}\n")
        return cls(state, address, public or address, chosen, _socket_folder(state))

    def values(self) -> dict[str, object]:
        """Return the values for the template ``manager.conf``."""
        return {
            "ADDRESS": "*" if self.address == ANY else self.address,
            "BIND_ALL": str(self.address == ANY).upper(),
            "HERE": LOOPBACK if self.address == ANY else self.address,
            "FORWARDING": self.public if self.public != self.address else "",
            "PORT": self.port,
            "SOCKETS": self.sockets,
            "HOST": "localhost" if self.address == LOOPBACK else self.public,
            "WORKERS": f"*@{WORKER_DOMAIN}",
            "WORKER_KEY": WORKER_KEY,
            "WORKER_DOMAIN": WORKER_DOMAIN,
            "WORKER_PATTERN": WORKER_DOMAIN.replace(".", "[.]"),
            "WORKER_ATTRIBUTE": WORKER_ATTRIBUTE,
            "SESSION_S": SESSION_S,
            "REVOKED": self.state / REVOKED,
        }


def worker_identity(worker: str) -> str:
    """Return who a worker is to the pool."""
    return f"{worker}@{WORKER_DOMAIN}"


def _remembered(state: Path) -> int:
    # Workers that are there look for a manager that was away where it was.
    try:
        return int((state / _PORT).read_text())
    except (OSError, ValueError):
        return 0


def _free_port(address: str, port: int) -> int | None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if port == 0:
                raise UsageError(
                    f"cannot listen there: {error.strerror}", where=address, expected="an address of this machine"
                ) from None
            return None
        return int(trial.getsockname()[1])


def _socket_folder(state: Path) -> Path:
    """Return a folder whose name is short enough for the daemons' sockets."""
    folder = state / _SOCKETS
    if len(str(folder).encode()) > _LONGEST:
        note = state / "sockets.path"
        known = Path(note.read_text()) if note.is_file() else None
        if known is not None and known.is_dir() and not known.is_symlink():
            return known
        folder = Path(tempfile.gettempdir()) / f"dynamo-{secrets.token_hex(8)}"
        write_text(note, str(folder))
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
