"""apt with private state: download verified packages of any suite as an ordinary user, installing nothing.

Writes nothing to the system: lists, cache, status and sources are all in one working folder. apt itself checks
signatures against the system's keyring. Proxies and other transport settings are inherited from the system's
configuration; hooks are not, since they concern installed packages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from dynamo.errors import MissingPartError, RetryableError
from dynamo.files import write_text
from dynamo.pool.install.apt_sources import AptSource

#: The keyring file of Debian's keyring package.
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_UNKNOWN_KEY = ("NO_PUBKEY", "is not signed", "not available", "Missing key", "couldn't be verified")


class UnknownKeyError(RetryableError):
    """The suite is signed with a key that is not in the keyring."""


@dataclass(frozen=True)
class Package:
    """A package to download: its name and size in bytes."""

    name: str
    size: int


class PrivateApt:
    """apt-get and apt-cache on one source, with all state in ``folder``."""

    def __init__(self, folder: Path, source: AptSource) -> None:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise MissingPartError(
                    f"{tool} is not installed, so HTCondor cannot be downloaded",
                    hint="install HTCondor with your distribution's tools so that condor_master is on PATH",
                )
        self.folder = folder
        self.source = source
        self.archives = folder / "archives"
        for part in ("lists/partial", "cache/archives/partial", "empty", "archives", "log"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")
        write_text(folder / "own.sources", source.to_deb822())
        write_text(folder / "apt.conf", self._settings())

    def _settings(self) -> str:
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        inherited = [line for line in dump.splitlines() if re.match(r"Acquire::[^ ]+ \"", line)]
        # A temporary network failure must not abort the whole installation.
        own = {
            "Acquire::Retries": "3",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Dir::State": f"{self.folder}/",
            "Dir::State::lists": f"{self.folder}/lists",
            "Dir::State::status": f"{self.folder}/status",
            "Dir::Cache": f"{self.folder}/cache",
            "Dir::Log": f"{self.folder}/log",
            "Dir::Etc::sourcelist": f"{self.folder}/own.sources",
            "Dir::Etc::sourceparts": f"{self.folder}/empty",
            "Dir::Etc::main": f"{self.folder}/empty/none",
            "Dir::Etc::parts": f"{self.folder}/empty",
            "Dir::Etc::preferences": f"{self.folder}/empty/none",
            "Dir::Etc::preferencesparts": f"{self.folder}/empty",
        }
        return "\n".join([*inherited, *(f'{key} "{value}";' for key, value in own.items())]) + "\n"

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, env=self._environment(), cwd=self.archives, check=False
        )
        if done.returncode != 0:
            raise self._failure(command, done.stdout + done.stderr)
        return done.stdout

    def _failure(self, command: Sequence[str], text: str) -> RetryableError:
        lines = [line[2:].strip() for line in text.splitlines() if line.startswith(("E:", "W:"))]
        words = [word for word in command if not word.startswith("-") and "=" not in word]
        what = f"`{' '.join(words[:2])}` failed: {'; '.join(dict.fromkeys(lines)) or text.strip()[-300:]}"
        where = f"{self.source.uri} {self.source.suite}"
        if any(sign in text for sign in _UNKNOWN_KEY):
            return UnknownKeyError(what, where=where, hint="update the package debian-archive-keyring")
        return RetryableError(what, where=where, hint="check the network and the mirror, then try again")

    def update(self) -> None:
        """Download and verify the package index.

        Raises
        ------
        UnknownKeyError
            If the keyring cannot verify the suite's signature.
        RetryableError
            If the mirror does not respond or does not have the suite.
        """
        # By default apt treats a failed index download as a warning.
        self._run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")

    def dependencies(self, name: str) -> list[str]:
        """Return the direct dependencies of a package, the first of each set of alternatives."""
        text = self._run("apt-cache", "show", "--no-all-versions", name)
        found = []
        for line in text.splitlines():
            if line.startswith(("Depends:", "Pre-Depends:")):
                for clause in line.split(":", 1)[1].split(","):
                    found.append(re.split(r"[\s:(|]", clause.strip(), maxsplit=1)[0])
        return found

    def closure(self, names: Sequence[str]) -> list[Package]:
        """Return the packages ``names`` and all their dependencies."""
        text = self._run("apt-get", "-y", "--print-uris", "install", *names)
        return [Package(name, size) for name, size in parse_uris(text)]

    def download(self, names: Sequence[str], advance: Callable[[float], None]) -> list[Path]:
        """Download packages, reusing earlier downloads; call ``advance`` with the percentage."""
        command = ["apt-get", "-o", "APT::Status-Fd=1", "-q", "download", *names]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment(),
            cwd=self.archives,
        )
        told = []
        with process:
            for line in process.stdout or ():
                if line.startswith("dlstatus:"):
                    advance(float(line.split(":")[2]))
                else:
                    told.append(line)
        if process.returncode != 0:
            raise self._failure(command, "".join(told))
        return [self._newest(name) for name in names]

    def _newest(self, name: str) -> Path:
        found = sorted(self.archives.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise RetryableError("the package was not downloaded", where=name, hint="try again")
        return found[-1]


def parse_uris(text: str) -> list[tuple[str, int]]:
    """Parse package names and sizes in bytes from the ``'URI' file size hash`` lines of ``--print-uris``."""
    found = []
    for line in text.splitlines():
        match = re.match(r"^'[^']+' (\S+)_[^_]+_[^_]+\.deb (\d+)", line)
        if match:
            found.append((unquote(match[1]), int(match[2])))
    return found
