"""Who we are, and who is at the other end of a connection on this machine: Linux tells the user of each socket."""

from __future__ import annotations

import getpass
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path

#: Of an open connection, in the kernel's table; the sockets of closed ones belong to root.
_ESTABLISHED = "01"
_ORDER = sys.byteorder


def is_own_user(client: tuple[str, int] | None, server: tuple[str, int] | None) -> bool:
    """Return whether the client of a connection over loopback is run by this process's user.

    A person who shares this machine is not, nor is a proxy: most are run by another user or root.

    Parameters
    ----------
    client, server
        Address and port of both ends; None if unknown.
    """
    if client is None or server is None:
        return False
    try:
        ends = [(ipaddress.ip_address(host), port) for host, port in (client, server)]
    except ValueError:
        return False
    if not all(address.is_loopback for address, _ in ends):
        return False
    wanted = tuple(_as_in_table(address, port) for address, port in ends)
    return any(user == os.getuid() for ends_, user in _connections() if ends_ == wanted)


def own_name() -> str:
    """Return the name of this process's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _as_in_table(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    """Return an address as the kernel's tables show it: in words of 32 bits, each in this machine's order."""
    packed = address.packed
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, _ORDER):08X}" for word in words) + f":{port:04X}"


def _connections() -> Iterator[tuple[tuple[str, ...], int]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _ESTABLISHED:
                yield (fields[1], fields[2]), int(fields[7])
