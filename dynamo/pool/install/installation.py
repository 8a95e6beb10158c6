"""Finding this machine's HTCondor, and installing one if there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dynamo.errors import MissingPartError, RetryableError
from dynamo.pool.install.packages import Report
from dynamo.pool.install.prefix import install_prefix, read_marker

PREFIX_VARIABLE = "DYNAMO_HTCONDOR_PREFIX"
#: sbin folders are not on an ordinary user's PATH.
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_WAY_OUT = "dynamo pool install"


@dataclass(frozen=True)
class Installation:
    """Paths of one HTCondor installation; ``origin`` is ``system`` or ``prefix``."""

    origin: str
    release: Path
    bin: Path
    sbin: Path
    lib: Path
    libexec: Path
    version: str


def default_prefix() -> Path:
    """Return the folder for a rootless HTCondor: ``DYNAMO_HTCONDOR_PREFIX``, or one in the user's data folder."""
    named = os.environ.get(PREFIX_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(data).expanduser() / "dynamo" / "htcondor").absolute()


def find_installation(prefix: Path | None = None) -> Installation | None:
    """Return the HTCondor to use, or None.

    Search order: explicit prefix (argument or ``DYNAMO_HTCONDOR_PREFIX``), the system's HTCondor, the default prefix.
    """
    if prefix is not None or os.environ.get(PREFIX_VARIABLE):
        return _in_prefix((prefix or default_prefix()).absolute())
    return _of_system() or _in_prefix(default_prefix())


def require_installation(prefix: Path | None = None) -> Installation:
    """Return the HTCondor to use.

    Raises
    ------
    MissingPartError
        If there is none.
    """
    found = find_installation(prefix)
    if found is None:
        raise MissingPartError("HTCondor is not installed", hint=f"run `{_WAY_OUT}`")
    return found


def install(prefix: Path | None, report: Report) -> tuple[Installation, bool]:
    """Find or install HTCondor; return it and whether anything was installed.

    An existing system installation is used as is. Otherwise, root on a release that packages HTCondor installs the
    package; in all other cases it goes into the prefix.
    """
    found = find_installation(prefix)
    if found is not None:
        return found, False
    named = prefix is not None or bool(os.environ.get(PREFIX_VARIABLE))
    if not named and os.geteuid() == 0 and _release_has_package():
        _install_package(report)
        found = _of_system()
    if found is None:
        target = (prefix or default_prefix()).absolute()
        install_prefix(target, report)
        found = _in_prefix(target)
    if found is None or not _starts(found):
        raise MissingPartError(
            "HTCondor was installed, but its programs do not start",
            where=found.release if found else prefix,
            hint="run its condor_version and check the output",
        )
    return found, True


def ensure_installed(prefix: Path | None = None, tell: Callable[[str], None] = lambda _text: None) -> Installation:
    """Return the HTCondor to use; if there is none, install one into the prefix, without root, and say so.

    Raises
    ------
    DynamoError
        As `dynamo.pool.install.prefix.install_prefix`.
    """
    found = find_installation(prefix)
    if found is not None:
        return found
    target = (prefix or default_prefix()).absolute()
    tell(f"HTCondor is not installed: installing it in {target}")
    install_prefix(target, lambda _stage, _done, _total: None)
    installed = require_installation(prefix)
    tell(f"installed HTCondor {installed.version}")
    return installed


def _in_prefix(prefix: Path) -> Installation | None:
    marker = read_marker(prefix)
    if marker is None:
        return None
    usr = prefix / "usr"
    return Installation(
        "prefix",
        usr,
        usr / "bin",
        usr / "sbin",
        usr / "lib" / "condor",
        usr / "libexec" / "condor",
        str(marker["version"]),
    )


def _of_system() -> Installation | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN])
    master = shutil.which("condor_master", path=path)
    ask = shutil.which("condor_config_val", path=path)
    if master is None or ask is None:
        return None
    sbin = Path(master).resolve().parent
    release = sbin.parent
    # `use_pool` puts the programs of a private folder on PATH, too.
    if (own := _in_prefix(release.parent)) is not None:
        return own
    # CONDOR_CONFIG may name a pool of ours; the system's folders are in the system's own configuration.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CONDOR_", "_CONDOR_"))}
    told = {}
    for name in ("LIB", "LIBEXEC"):
        done = subprocess.run([ask, name], capture_output=True, text=True, env=environment, check=False)
        told[name] = done.stdout.strip()
    lib = Path(told["LIB"] or release / "lib" / "condor")
    libexec = Path(told["LIBEXEC"] or release / "libexec" / "condor")
    return Installation("system", release, Path(ask).parent, sbin, lib, libexec, _version(Path(ask).parent))


def _version(folder: Path) -> str:
    environment = {**os.environ, "CONDOR_CONFIG": "ONLY_ENV"}
    try:
        done = subprocess.run(
            [folder / "condor_version"], capture_output=True, text=True, env=environment, check=False, timeout=30
        )
    except OSError:
        return ""
    words = done.stdout.split()
    return words[1] if done.returncode == 0 and len(words) > 1 else ""


def _starts(found: Installation) -> bool:
    return bool(_version(found.bin))


def _release_has_package() -> bool:
    if shutil.which("apt-cache") is None:
        return False
    done = subprocess.run(
        ["apt-cache", "policy", "condor"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    return has_candidate(done.stdout)


def has_candidate(policy: str) -> bool:
    """Return whether the output of ``apt-cache policy NAME`` shows an installable package."""
    for line in policy.splitlines():
        name, _, value = line.strip().partition(":")
        if name == "Candidate":
            return value.strip() not in {"", "(none)"}
    return False


def _install_package(report: Report) -> None:
    report("installing the Debian package", 0, 1)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "condor"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        reason = " ".join(line for line in done.stderr.splitlines() if line.startswith("E:"))
        raise RetryableError(
            f"apt-get install condor failed: {reason or done.stderr[-200:]}",
            hint="run `apt-get update` and try again, or choose a folder with --prefix",
        )
    report("installing the Debian package", 1, 1)
