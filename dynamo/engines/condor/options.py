"""Options of engine `condor`, set by the operator under ``[engines.condor]``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from dynamo.errors import UsageError

Transfer = Literal["auto", "yes", "no"]

#: HTCondor's value for `transfer`. With ``IF_NEEDED`` it compares the worker's ``FileSystemDomain`` with ours.
SHOULD_TRANSFER: Mapping[Transfer, str] = {"auto": "IF_NEEDED", "yes": "YES", "no": "NO"}
#: Submit commands that the engine relies on and sets itself; operators must not override them.
_OURS = frozenset(
    (
        "executable",
        "arguments",
        "universe",
        "log",
        "output",
        "error",
        "initialdir",
        "should_transfer_files",
        "transfer_input_files",
        "transfer_output_files",
        "when_to_transfer_output",
        "transfer_executable",
        "preserve_relative_paths",
        "queue",
        "max_retries",
        "periodic_remove",
        "periodic_release",
        "on_exit_remove",
        "container_image",
    )
)


@dataclass(frozen=True)
class CondorOptions:
    """Options of the engine.

    Attributes
    ----------
    transfer
        ``auto``: send files only to workers that do not share our file system; ``yes``: always send files; ``no``: use
        only workers that share the file system.
    container
        Container image for tasks: ``docker://NAME``, a ``.sif`` file, or a root folder on a disk that the workers
        share; None runs them directly on the worker. A container sees only transferred files.
    python
        Interpreter with DyNamo on the worker or in the image. Default: this process's own; ``python3`` in a container.
        There a mere name is looked up in the image's ``PATH``.
    requirements
        ClassAd expression that a worker must satisfy.
    submit
        Additional submit commands, by name.
    sites
        Site where a workflow's tasks must run, by workflow; see `[autoscale] sites`.

    Raises
    ------
    UsageError
        If options contradict each other.
    """

    transfer: Transfer = "auto"
    container: str | None = None
    python: str | None = None
    requirements: str | None = None
    submit: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.transfer not in get_args(Transfer):
            raise UsageError(
                f"unknown transfer {self.transfer!r:.40}", where="engines.condor", expected="auto, yes or no"
            )
        if self.container is not None and self.transfer == "no":
            raise UsageError(
                "a container sees only transferred files",
                where="engines.condor",
                expected='transfer = "auto" or "yes"',
            )
        for name, value in {"container": self.container, "python": self.python, **self.submit}.items():
            if value is not None and (not str(value).isprintable() or not str(value).strip()):
                raise UsageError(f"{name} is not one line of text: {value!r:.60}", where="engines.condor")
        taken = sorted(name for name in self.submit if name.lower() in _OURS)
        if taken:
            raise UsageError(f"reserved for the engine: {', '.join(taken)}", where="engines.condor.submit")

    def needs(self, workflow: str) -> str | None:
        """Return a workflow's requirements on workers as a ClassAd expression, or None."""
        terms = [f"({self.requirements})"] if self.requirements else []
        if workflow in self.sites:
            site = self.sites[workflow].replace("\\", "\\\\").replace('"', '\\"')
            terms.append(f'(TARGET.DynamoSite =?= "{site}")')
        return " && ".join(terms) or None

    @property
    def executable(self) -> str:
        """The program that starts a task: the interpreter, or what finds it."""
        # HTCondor takes a mere name for a file of the job; the image's own PATH is to decide.
        return "/usr/bin/env" if self._by_name else (self.python or sys.executable)

    @property
    def first_argument(self) -> str:
        """The interpreter as the program's first argument and a space; empty if it is the program itself."""
        return f"{self.python or 'python3'} " if self._by_name else ""

    @property
    def _by_name(self) -> bool:
        return self.container is not None and "/" not in (self.python or "")

    @property
    def should_transfer(self) -> str:
        """The value of ``should_transfer_files``."""
        return "YES" if self.container else SHOULD_TRANSFER[self.transfer]
