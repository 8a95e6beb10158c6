"""Resolve requirements.in for the image's Python: exact versions and hashes.

Run it with any Python that has pip: ``python containers/lock.py`` writes requirements.txt and installer.txt,
and installs nothing. The hashes are those of the wheels for each of `ARCHITECTURES`: one lock serves both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ("x86_64", "aarch64")
#: Debian 12: Python 3.11, glibc 2.36.
PYTHON = "3.11"
GLIBC_MINOR = 36


def target_options(architecture: str) -> list[str]:
    """Return the options that make pip choose wheels for the image instead of for this machine."""
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(GLIBC_MINOR, 4, -1)]
    # pip does not derive the older names of the same thing from the newer ones.
    platforms += [f"{name}_{architecture}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    options += [f"--abi={abi}" for abi in ("cp" + PYTHON.replace(".", ""), "abi3", "none")]
    return options + [f"--platform={platform}" for platform in platforms]


def resolve(architecture: str, requirements: list[str]) -> dict[str, tuple[str, str]]:
    """Return version and SHA-256 of each wheel, by name."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report=-"]
    command += ["--ignore-installed"]
    # --target is never written to in a dry run; pip demands it with --platform.
    command += ["--target=/nonexistent", *target_options(architecture), *requirements]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {
        item["metadata"]["name"].lower(): (
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in report["install"]
    }


def lock(target: Path, requirements: list[str]) -> None:
    """Write the lock of ``requirements``.

    Raises
    ------
    SystemExit
        If the architectures would get different versions.
    """
    found = [resolve(architecture, requirements) for architecture in ARCHITECTURES]
    lines = ["# Written by containers/lock.py; do not edit."]
    for name in sorted(found[0]):
        versions = {wheels[name][0] for wheels in found}
        if len(versions) != 1:
            sys.exit(f"{name} differs: {', '.join(sorted(versions))}; pin it in requirements.in")
        hashes = dict.fromkeys(f"--hash=sha256:{wheels[name][1]}" for wheels in found)
        lines.append(" \\\n    ".join([f"{name}=={versions.pop()}", *hashes]))
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{target.name}: {len(found[0])} wheels for {' and '.join(ARCHITECTURES)}\n")


def main() -> None:
    """Write both locks; ``--options ARCHITECTURE`` prints the options of pip instead."""
    if sys.argv[1:2] == ["--options"]:
        sys.stdout.write("\n".join(target_options(sys.argv[2])) + "\n")
        return
    lock(HERE / "requirements.txt", ["--requirement", str(HERE / "requirements.in")])
    lock(HERE / "installer.txt", ["pip"])


if __name__ == "__main__":
    main()
