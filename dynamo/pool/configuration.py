"""The pool's HTCondor configuration, rendered from templates in the data folder ``condor``."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from dynamo.errors import InputError, UsageError
from dynamo.files import write_text
from dynamo.pool.install.installation import Installation
from dynamo.pool.record import MARK
from dynamo.resources import data_folder

#: Starts each job, in the pool's folder.
WRAPPER = "job_wrapper"
#: Configuration common to all pools, and the additions for each kind.
COMMON = "common.conf"
TEMPLATES = {"personal": "personal.conf", "manager": "manager.conf"}
#: The pool's own domain; `.internal` is reserved for private use, so no name server knows it.
DOMAIN = "dynamo.internal"
#: How long a claim waits for its next job, in seconds.
KEEP_CLAIM_S = 5
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill the ``@NAME@`` placeholders of a template with values that HTCondor reads verbatim.

    Raises
    ------
    InputError
        If the template names a value that is not given.
    UsageError
        If a value cannot be expressed in an HTCondor configuration.
    """

    def replace(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InputError(f"no value for @{match[1]}@", where="the template", expected=", ".join(sorted(values)))
        return _plain(str(values[match[1]]))

    return _PLACEHOLDER.sub(replace, template)


def _plain(value: str) -> str:
    # Spaces, commas, quotes and letters of any script work. `$` can be quoted in the configuration, but the starter
    # expands it again.
    if re.search(r"[\x00-\x1f\x7f\"\\$]", value) or value != value.strip():
        raise UsageError(
            "HTCondor cannot be configured with this name",
            where=repr(value),
            expected="no line breaks, double quotes, backslashes, dollar signs, or outer spaces",
            hint="choose another folder",
        )
    return value


def write_configuration(
    path: Path,
    *,
    state: Path,
    installation: Installation,
    pool_id: str,
    user: str,
    slots: int,
    kind: str = "personal",
    runtime: Path | None = None,
    more: Mapping[str, object] | None = None,
) -> None:
    """Write the configuration of the pool in folder ``state`` with ``slots`` one-core slots.

    ``runtime`` is the program that runs containers, if any; jobs that start containers themselves find it on ``PATH``.
    ``more`` has the values that only the template of this ``kind`` needs.
    """
    wrapper = path.with_name(WRAPPER)
    if runtime is not None:
        write_text(wrapper, wrapper_text(runtime))
        wrapper.chmod(0o755)
    folder = data_folder("condor")
    template = (folder / COMMON).read_text() + "\n" + (folder / TEMPLATES[kind]).read_text()
    values = {
        **installation_values(installation),
        "STATE": state,
        "DOMAIN": DOMAIN,
        "ID": pool_id,
        "MARK": MARK,
        "USER": user,
        "IDS": f"{os.geteuid()}.{os.getegid()}",
        "SLOTS": slots,
        "KEEP_CLAIM_S": KEEP_CLAIM_S,
        "RUNTIME": runtime or "",
        "WRAPPER": wrapper if runtime is not None else "",
        **(more or {}),
    }
    write_text(path, render(template, values))


def wrapper_text(runtime: Path) -> str:
    """Return a program that runs its arguments with the container runtime at the end of ``PATH``.

    Part of the jobs' environment it cannot be: HTCondor would impose that on its own containers, in place of the
    image's ``PATH``. It starts this program outside of them.
    """
    default = "/usr/local/bin:/usr/bin:/bin"
    return f'#!/bin/sh\nPATH="${{PATH:-{default}}}":{shlex.quote(str(runtime.parent))}\nexport PATH\nexec "$@"\n'


def installation_values(installation: Installation) -> dict[str, object]:
    """Return the values for a template's program folders."""
    return {
        "RELEASE": installation.release,
        "BIN": installation.bin,
        "SBIN": installation.sbin,
        "LIB": installation.lib,
        "LIBEXEC": installation.libexec,
    }
