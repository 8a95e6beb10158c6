"""The container runtime of a pool: this machine's Apptainer, or one in a private folder.

Debian's stable releases do not package Apptainer; its unstable release does. Unpacked and patched as HTCondor is, it
runs containers in user namespaces, without root and without a setuid program.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dynamo.errors import DynamoError, MissingPartError
from dynamo.pool.install import packages
from dynamo.pool.install.installation import Installation, default_prefix
from dynamo.pool.install.packages import LIBRARIES, Report

#: The Debian release that packages it.
SUITE = "sid"
MARKER = "dynamo-apptainer.json"
#: The folder's name, beside HTCondor's prefix: workers that are told that prefix look there.
FOLDER = "apptainer"
#: What it calls to read and write images; its package only recommends the second.
_TOOLS = {"squashfs-tools": ("mksquashfs", "unsquashfs"), "squashfuse": ("squashfuse_ll",)}
_APPTAINER = re.compile(r"^\./(usr/bin/apptainer|usr/lib/[^/]+-linux-gnu/apptainer/.*|etc/apptainer/.*)$")
_TOOL = re.compile(r"^\./usr/bin/(mksquashfs|unsquashfs|squashfuse_ll)$|" + LIBRARIES.pattern)
#: What HTCondor runs at the start of a worker to see whether images work.
_PROBE_IMAGE, _PROBE_FOLDER = "exit_37.sif", "singularity_test_sandbox"


@dataclass(frozen=True)
class Runtime:
    """An Apptainer (or Singularity): its program, version, and whether it is the ``system``'s or in a ``prefix``."""

    origin: str
    program: Path
    version: str


def find_runtime(prefix: Path | None = None) -> Runtime | None:
    """Return the runtime to use, or None: the one beside HTCondor's ``prefix``, else the system's."""
    folder = runtime_folder(prefix)
    marker = packages.read_marker(folder, MARKER)
    if marker is not None:
        return Runtime("prefix", folder / "usr" / "bin" / "apptainer", str(marker["version"]))
    for name in ("apptainer", "singularity"):
        found = shutil.which(name)
        if found is not None and (version := _version(Path(found))):
            return Runtime("system", Path(found), version)
    return None


def runtime_folder(prefix: Path | None = None) -> Path:
    """Return the folder for a private runtime, given HTCondor's prefix."""
    return (prefix or default_prefix()).absolute().with_name(FOLDER)


def install_runtime(condor: Installation, prefix: Path | None, report: Report) -> tuple[Runtime, bool]:
    """Find or install a runtime for the HTCondor that is installed; return it and whether anything was installed.

    Raises
    ------
    MissingPartError
        If this system cannot use Debian packages or has no user namespaces.
    """
    found = find_runtime(prefix)
    new = found is None
    if found is None:
        folder = runtime_folder(prefix)
        packages.place(folder, MARKER, lambda place, work: _build(place, work, report))
        found = find_runtime(prefix)
    if found is None or not _version(found.program):
        raise MissingPartError(
            "Apptainer was installed, but does not start", where=found.program if found else runtime_folder(prefix)
        )
    _prepare_probes(condor, found)
    _check_namespaces(condor, found)
    return found, new


def _build(prefix: Path, work: Path, report: Report) -> dict[str, object]:
    packages.find_patchelf()
    report("reading the package index", 0, 1)
    apt = packages.trusted_apt(work, SUITE)
    libraries = [name for name in apt.dependencies("apptainer") if name.startswith("lib")]
    found = [item.name for item in apt.closure([*libraries, *_TOOLS])]
    # Character sets that no program of these converts to.
    needed = [name for name in found if re.match(r"^(lib|zlib1g$|squash)", name) and name != "libc-gconv-modules-extra"]
    report("reading the package index", 1, 1)
    tree = work / "tree"
    noted = packages.fetch(
        apt, ["apptainer", *needed], tree, lambda name: _APPTAINER if name == "apptainer" else _TOOL, report
    )
    _arrange(tree)
    packages.adapt(tree, prefix, report)
    return {"suite": SUITE, **noted}


def _arrange(tree: Path) -> None:
    """Put its files where a moved Apptainer looks: relative to its program, and to its starter further down."""
    usr = tree / "usr"
    (tree / "etc").rename(usr / "etc")
    (usr / "var" / "lib" / "apptainer" / "mnt" / "session").mkdir(parents=True)
    for name in ("etc", "var"):
        (usr / "lib" / name).symlink_to(f"../{name}")
    [starter] = usr.glob("lib/*-linux-gnu/apptainer/bin/starter")
    for names in _TOOLS.values():
        for name in names:
            starter.with_name(name).symlink_to(os.path.relpath(usr / "bin" / name, starter.parent))


def _prepare_probes(condor: Installation, runtime: Runtime) -> None:
    """Complete what HTCondor looks at to find out which images work; Debian's package has not all of it."""
    folder, image = condor.libexec / _PROBE_FOLDER, condor.libexec / _PROBE_IMAGE
    if condor.origin != "prefix" or not folder.is_dir():
        return
    for name in ("dev", "proc"):
        (folder / name).mkdir(exist_ok=True)
    if not image.exists():
        _run(runtime, "build", str(image), str(folder))


def _check_namespaces(condor: Installation, runtime: Runtime) -> None:
    """Run HTCondor's own probe once, so that a kernel that forbids it is told here and not by waiting jobs."""
    folder = condor.libexec / _PROBE_FOLDER
    if not (folder / "proc").is_dir():
        return
    done = _call(runtime, "exec", "--userns", "--contain", str(folder), "/exit_37")
    if done.returncode != 37:
        raise MissingPartError(
            f"Apptainer cannot run a container here: {_last(done.stderr)}",
            where=runtime.program,
            hint="it needs user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)",
        )


def _version(program: Path) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return ""
    return done.stdout.split()[-1] if done.returncode == 0 and done.stdout.split() else ""


def _run(runtime: Runtime, *arguments: str) -> None:
    done = _call(runtime, *arguments)
    if done.returncode != 0:
        raise DynamoError(f"apptainer {arguments[0]} failed: {_last(done.stderr)}", where=runtime.program)


def _call(runtime: Runtime, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [runtime.program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1][:300]
