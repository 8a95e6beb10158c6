"""Where and how modules run under Pegasus, and which paths ``pegasus-plan`` can take."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dynamo
from dynamo.errors import InputError
from dynamo.workflows.arguments import EXECUTABLE
from dynamo.workflows.pegasus.image import locate_image

CONTAINER = "dynamo-modules"
SITE = "condorpool"
CONTAINER_TYPES = ("docker", "singularity")
_IN_IMAGE = f"/usr/local/bin/{EXECUTABLE}"


@dataclass(frozen=True)
class PegasusSettings:
    """Where and how the modules run.

    Attributes
    ----------
    image
        Container image with the modules: ``docker://NAME``, another URL that Pegasus takes, or a file (``.sif`` for
        ``singularity``); None or empty runs them without a container.
    container_type
        ``docker`` or ``singularity`` (also for Apptainer).
    executable
        Absolute path of ``dynamo-module``: inside the image, or on the workers. Without a container it may be a mere
        name, which is looked up on this machine. Empty: where our image has it; without a container, where this
        machine has it.
    site
        Name of the execution site.
    arch
        Architecture of the workers, as Pegasus names it.

    Raises
    ------
    InputError
        If the container type is unknown or does not fit the image, or the program has no absolute path.
    """

    image: str | None = f"docker:///{CONTAINER}:{dynamo.__version__}"
    container_type: str = "docker"
    executable: str = ""
    site: str = SITE
    arch: str = "x86_64"

    def __post_init__(self) -> None:
        if self.container_type not in CONTAINER_TYPES:
            raise InputError(
                f"unknown container type {self.container_type!r:.40}", expected=" or ".join(CONTAINER_TYPES)
            )
        program = self.executable or (_IN_IMAGE if self.image else EXECUTABLE)
        if not self.image and "/" not in program:
            program = _on_this_machine(program) or program
        if not Path(program).is_absolute():
            raise InputError("the program path is not absolute", where=program, expected="an absolute path")
        object.__setattr__(self, "executable", program)
        # Refused here, and not by the first run.
        self.located_image()

    def located_image(self) -> Path | str | None:
        """Return the file or the URL of the image; None without a container."""
        return locate_image(self.image, self.container_type) if self.image else None


def check_paths(paths: Iterable[Path]) -> None:
    """Check that Pegasus can take the paths.

    Its catalogs are URLs that it neither quotes nor unquotes, and it joins arguments with spaces.

    Raises
    ------
    InputError
        If a path has spaces or letters outside ASCII.
    """
    bad = [path for path in paths if not re.fullmatch(r"[!-~]+", str(path))]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise InputError(
            f"pegasus-plan cannot take this path{more}",
            where=repr(str(bad[0])),
            expected="ASCII without spaces",
            hint="use another folder or a link, or engine condor, which takes any",
        )


def _on_this_machine(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)
