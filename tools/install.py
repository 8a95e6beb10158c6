"""Run `pip install` with these arguments and say in one line how far it is: pip says nothing or fills screens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import deque

_DOWNLOAD = re.compile(r"\s+Downloading (\S+\.(?:whl|tar\.gz|zip)) \(([\d.]+) (kB|MB)\)")


class Progress:
    """One line of a terminal that is written over, or, in a log, a line for each phase."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._phase = ""
        self._started = time.monotonic()

    def show(self, phase: str, detail: str = "") -> None:
        """Show what goes on."""
        if self._live:
            width = os.get_terminal_size().columns - 1
            self._write(f"\r{f'  {self._seconds():4.0f} s  {phase} {detail}'[:width]:{width}}")
        elif phase != self._phase:
            self._write(f"  {self._seconds():4.0f} s  {phase}\n")
        self._phase = phase

    def close(self, outcome: str) -> None:
        """Replace the line by what came of it."""
        self.show(outcome)
        if self._live:
            self._write("\n")

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Install, and show pip's own last lines if that fails."""
    # Deprecation notices of build tools concern nobody who installs.
    quiet = {"PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", *arguments]
    progress, told, packages, megabytes = Progress(), deque[str](maxlen=30), 0, 0.0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | quiet
    ) as process:
        progress.show("looking for packages")
        for line in process.stdout or ():
            told.append(line)
            if line.startswith("Collecting "):
                packages += 1
                progress.show("downloading", f"{packages} packages, {megabytes:.0f} MB: {line.split()[1]}")
            elif found := _DOWNLOAD.match(line):
                megabytes += float(found[2]) / (1000 if found[3] == "kB" else 1)
                progress.show("downloading", f"{packages} packages, {megabytes:.0f} MB: {found[1]}")
            elif "Building wheel for" in line and "editable" not in line and "started" in line:
                progress.show("building", line.split()[3])
            elif line.startswith("Installing collected packages"):
                progress.show("installing", f"{packages} packages")
    if process.returncode:
        progress.close("pip failed; its last lines:")
        sys.stderr.writelines(told)
    else:
        progress.close(f"packages installed: {packages}, {megabytes:.0f} MB downloaded")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
