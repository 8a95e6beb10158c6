"""A separate network for each local worker: a namespace, a pair of interfaces to a bridge, and a rate limit."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass

import orjson

from dynamo.errors import InputError, MissingPartError
from dynamo.provision.sites.errors import SitePermanentError, SiteRetryableError

_PROGRAMS = ("ip", "tc")
#: The kernel limits interface names to 15 characters.
_DIGITS = 8
#: How long a packet may be queued.
_LATENCY_MS = 100


@dataclass(frozen=True)
class Joined:
    """A worker's place in the network, and the command prefix that runs a command there."""

    namespace: str
    address: str
    command: tuple[str, ...]


class LocalNetwork:
    """The network of one site.

    Parameters
    ----------
    site
        Its name, from which the names of bridge and namespaces are derived.
    cidr
        Addresses for this machine (the first) and the workers.
    bandwidth_mbit
        Bandwidth of each worker in each direction, in megabits per second; None: no limit.
    delay_ms
        Added to each packet in each direction, in milliseconds.
    """

    def __init__(self, site: str, cidr: str, bandwidth_mbit: float | None, delay_ms: float = 0.0) -> None:
        try:
            self._cidr = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise InputError(str(error), where=f"{site}: network_cidr", expected="e.g. 10.213.0.0/24") from None
        if self._cidr.prefixlen > 29:
            raise InputError("too few addresses", where=f"{site}: network_cidr", expected="/29 or larger")
        self._site = site
        self._bandwidth_mbit = bandwidth_mbit
        self._delay_ms = delay_ms
        self._bridge = f"dynb{hashlib.sha256(site.encode()).hexdigest()[:_DIGITS]}"
        self.host_address = str(next(self._cidr.hosts()))

    def ensure(self) -> None:
        """Create the bridge with this machine's address.

        Raises
        ------
        MissingPartError
            If iproute2 is missing, the user is not root or the kernel refuses.
        """
        missing = [name for name in _PROGRAMS if shutil.which(name) is None]
        if missing:
            raise MissingPartError(
                f"{' and '.join(missing)} not found, required for separate worker networks",
                where=self._site,
                hint="install iproute2, or use the option network = host",
            )
        if os.geteuid() != 0:
            raise MissingPartError(
                "only root can create networks", where=self._site, hint="use the option network = host"
            )
        try:
            if not _exists(self._bridge):
                _run("ip", "link", "add", self._bridge, "type", "bridge")
            _run("ip", "addr", "replace", f"{self.host_address}/{self._cidr.prefixlen}", "dev", self._bridge)
            _run("ip", "link", "set", self._bridge, "up")
        except SiteRetryableError as error:
            raise MissingPartError(
                f"this system cannot create the network: {error.what}",
                where=self._site,
                hint="use the option network = host",
            ) from None
        try:
            self._try_shaping()
        except SiteRetryableError as error:
            raise MissingPartError(
                f"this system cannot shape the network: {error.what}",
                where=self._site,
                hint="leave out delay_ms (the kernel may lack netem), or bandwidth_mbit too",
            ) from None

    def _try_shaping(self) -> None:
        """Shape an unused interface, to find out what the kernel cannot do before there are workers."""
        words = self._discipline()
        if not words:
            return
        digits = secrets.token_hex(_DIGITS // 2)
        trial = f"dynv{digits}"
        _run("ip", "link", "add", trial, "type", "veth", "peer", "name", f"dynw{digits}")
        try:
            _run("tc", "qdisc", "replace", "dev", trial, "root", *words)
        finally:
            _run("ip", "link", "del", trial)

    def join(self, server_id: str) -> Joined:
        """Create a namespace for a server and connect it; an incomplete one is recreated.

        Raises
        ------
        SiteRetryableError
            If the system refuses.
        SitePermanentError
            If all addresses are taken.
        """
        digest = hashlib.sha256(server_id.encode()).hexdigest()[:_DIGITS]
        namespace = f"dynn{digest}"
        self.leave(namespace)
        address = self._free_address()
        outer, inner = f"dynv{digest}", f"dynw{digest}"
        _run("ip", "netns", "add", namespace)
        try:
            # The address is recorded on this machine's interface, where other calls check which are taken.
            _run("ip", "link", "add", outer, "alias", address, "type", "veth", "peer", "name", inner)
            _run("ip", "link", "set", inner, "netns", namespace)
            _run("ip", "link", "set", outer, "alias", address, "master", self._bridge, "up")
            inside = ("ip", "-n", namespace)
            _run(*inside, "link", "set", "lo", "up")
            _run(*inside, "addr", "add", f"{address}/{self._cidr.prefixlen}", "dev", inner)
            _run(*inside, "link", "set", inner, "up")
            _run(*inside, "route", "add", "default", "via", self.host_address)
            self._shape(outer, ("tc",))
            self._shape(inner, ("tc", "-n", namespace))
        except SiteRetryableError:
            self.leave(namespace)
            raise
        return Joined(namespace, address, ("ip", "netns", "exec", namespace))

    def _shape(self, interface: str, tool: tuple[str, ...]) -> None:
        words = self._discipline()
        if words:
            _run(*tool, "qdisc", "replace", "dev", interface, "root", *words)

    def _discipline(self) -> list[str]:
        words: list[str] = []
        if self._delay_ms or self._bandwidth_mbit:
            # netem alone does both.
            words = ["netem"]
            if self._delay_ms:
                words += ["delay", f"{self._delay_ms:g}ms"]
            if self._bandwidth_mbit:
                words += ["rate", f"{self._bandwidth_mbit:g}mbit"]
        if self._bandwidth_mbit and not self._delay_ms:
            # A token bucket keeps a rate better; it must hold what arrives in one clock tick.
            burst = max(16_000, int(self._bandwidth_mbit * 1e6 / 8 / 100))
            words = ["tbf", "rate", f"{self._bandwidth_mbit:g}mbit", "burst", str(burst), "latency", f"{_LATENCY_MS}ms"]
        return words

    def _free_address(self) -> str:
        taken = {self.host_address}
        for link in orjson.loads(_run("ip", "-json", "link", "show", "master", self._bridge) or "[]"):
            taken.add(str(link.get("ifalias", "")))
        for address in self._cidr.hosts():
            if str(address) not in taken:
                return str(address)
        raise SitePermanentError("all addresses are taken", where=f"{self._site}: {self._cidr}")

    @staticmethod
    def leave(namespace: str) -> None:
        """Remove a namespace and its interfaces; a missing one is not an error."""
        if not namespace.startswith("dynn"):
            return
        outer = f"dynv{namespace.removeprefix('dynn')}"
        if _exists(outer):
            _run("ip", "link", "del", outer)
        if any(line.split()[:1] == [namespace] for line in _run("ip", "netns", "list").splitlines()):
            _run("ip", "netns", "del", namespace)

    def remove(self) -> None:
        """Remove the bridge if no worker is left."""
        if _exists(self._bridge):
            _run("ip", "link", "del", self._bridge)


def _exists(interface: str) -> bool:
    done = subprocess.run(["ip", "link", "show", interface], capture_output=True, check=False)
    return done.returncode == 0


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SiteRetryableError(f"`{' '.join(command[:4])}` failed: {error}", where="network") from None
    if done.returncode != 0:
        raise SiteRetryableError(f"`{' '.join(command)}` failed: {done.stderr.strip()}", where="network")
    return done.stdout
