"""Network address and access control of a pool that workers join."""

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
ANY = "0.0.0.0"  # noqa: S104 - chosen by the operator, never the default
#: The key that signs worker tokens, a file in the pool's ``passwords.d`` folder.
WORKER_KEY = "WORKERS"
#: Domain of worker identities, used in the pool's access lists.
WORKER_DOMAIN = f"worker.{DOMAIN}"
#: The ad attribute with a worker's name.
WORKER_ATTRIBUTE = "DynamoWorker"
#: The ad attribute with a worker's site, as ``Cloud:Region``; jobs may require it.
SITE_ATTRIBUTE = "DynamoSite"
#: Configuration file written by `revoke`.
REVOKED = "revoked.conf"
#: How long the collector trusts a worker before rechecking its token, in seconds.
SESSION_S = 3600
_PORT = "port"
_SOCKETS = "sockets"
#: The kernel's limit on socket paths, minus what HTCondor appends to the folder.
_LONGEST = 107 - 40


@dataclass(frozen=True)
class Head:
    """Where a manager listens: local ``address``, ``public`` address for workers, and one ``port``."""

    state: Path
    address: str
    public: str
    port: int
    sockets: Path

    @classmethod
    def choose(cls, state: Path, address: str, public: str, port: int) -> Head:
        """Return where the pool in ``state`` listens; by default, where it did before.

        Raises
        ------
        UsageError
            If the address does not belong to this machine, or the port is in use.
        """
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise UsageError("not an address", where=address, expected="an IPv4 address of this machine") from None
        if address == ANY and not public:
            raise UsageError(
                "no public address for a pool that listens on all addresses",
                where=address,
                hint="give the address its workers use",
            )
        chosen = _free_port(address, port or _remembered(state))
        if chosen is None:
            if port:
                raise UsageError("port already in use", where=f"{address}:{port}", hint="choose another, or 0")
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
    """Return a worker's identity in the pool."""
    return f"{worker}@{WORKER_DOMAIN}"


def _remembered(state: Path) -> int:
    # Existing workers look for a returning manager at its old port.
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
                    f"cannot listen on this address: {error.strerror}",
                    where=address,
                    expected="an address of this machine",
                ) from None
            return None
        return int(trial.getsockname()[1])


def _socket_folder(state: Path) -> Path:
    """Return a folder with a path short enough for the daemons' sockets."""
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
