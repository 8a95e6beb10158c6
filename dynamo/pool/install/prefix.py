"""HTCondor in a private folder: Debian packages, unpacked and patched to use their own libraries.

Debian 13 packages HTCondor, Debian 12 does not. Jobs, being host programs, run with the host's libraries.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from dynamo.errors import MissingPartError
from dynamo.pool.install import packages
from dynamo.pool.install.packages import LIBRARIES, Report

#: The Debian release that packages HTCondor.
SUITE = "trixie"
MARKER = "dynamo-htcondor.json"

# Python and Perl bindings, which the daemons do not need.
_UNUSED = re.compile(r"^(libjs-|libpython|libboost-python)|-perl$")
_CONDOR = re.compile(
    r"^\./usr/(s?bin/(condor_[^/]+|procd_ctl)|lib/[^/]+\.so[^/]*|lib/condor/.*|libexec/condor/.*"
    r"|lib/[^/]+-linux-gnu/[^/]+\.so[^/]*)$"
)
_NEEDED = ("condor_master", "condor_collector", "condor_negotiator", "condor_schedd", "condor_startd", "condor_shadow",
           "condor_starter")  # fmt: skip


def read_marker(prefix: Path) -> dict[str, object] | None:
    """Return the marker of the installation in ``prefix``, or None if it is incomplete or was moved."""
    return packages.read_marker(prefix, MARKER)


def install_prefix(prefix: Path, report: Report) -> dict[str, object]:
    """Download, unpack and patch HTCondor into ``prefix``; return its marker.

    Resumes after a kill: complete downloads are reused, the rest is redone. ``prefix`` appears complete or not at all.

    Raises
    ------
    MissingPartError
        If the system cannot use Debian packages.
    BusyError
        If another process is installing there.
    RetryableError
        If the mirror does not respond.
    """

    def build(prefix: Path, work: Path) -> dict[str, object]:
        packages.find_patchelf()
        report("reading the package index", 0, 1)
        apt = packages.trusted_apt(work, SUITE)
        libraries = [name for name in apt.dependencies("condor") if name.startswith("lib") and not _UNUSED.search(name)]
        needed = [item.name for item in apt.closure(libraries) if re.match(r"^(lib|zlib1g$)", item.name)]
        report("reading the package index", 1, 1)
        tree = work / "tree"
        names = ["condor", *needed]
        noted = packages.fetch(apt, names, tree, lambda name: _CONDOR if name == "condor" else LIBRARIES, report)
        _check_complete(packages.find_patchelf(), packages.adapt(tree, prefix, report), tree)
        return {"suite": SUITE, **noted}

    return packages.place(prefix, MARKER, build)


def _check_complete(patchelf: str, elf: list[Path], tree: Path) -> None:
    present = {path.name for path in tree.rglob("*.so*")}
    for path in elf:
        if packages.is_static(patchelf, path):
            continue
        needed = subprocess.run([patchelf, "--print-needed", str(path)], check=True, capture_output=True, text=True)
        missing = set(needed.stdout.split()) - present
        if missing and path.name in _NEEDED:
            raise MissingPartError(f"libraries not in any package: {', '.join(sorted(missing))}", where=path.name)
        if missing:
            # Belongs to an omitted part (Python plug-ins).
            path.unlink()
    absent = [name for name in _NEEDED if not (tree / "usr/sbin" / name).exists()]
    if absent:
        raise MissingPartError(f"the package lacks {', '.join(absent)}", where=f"condor of Debian {SUITE}")
