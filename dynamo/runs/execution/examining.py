"""Have a run's files checked here, after the fact, where its jobs could not tell what they measured: under Pegasus."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence

import orjson

from dynamo.checks import files
from dynamo.checks.model import Examination, from_json
from dynamo.modules.branching import why_not_made
from dynamo.runs.folder import folder_of
from dynamo.store.models import Run

#: Time limit for all files of a run; what is not examined by then is not judged.
_LIMIT_S = 600.0
_log = logging.getLogger("dynamo.checks")


def examine_apart(run: Run) -> list[Examination]:
    """Return what the checks measure in a run's inputs and products; files of kinds without checks are left out.

    A process of its own reads them: they may be large, and crash a library.
    """
    folder = folder_of(run)
    ports: dict[str, list[str]] = {}
    for one in run.inputs:
        ports.setdefault(str(one["port"]), []).append(str(one["path"]))
    made = (folder.work / lfn for lfn in folder.read_plan().products)
    products = [[str(path)] for path in made if path.is_file() and why_not_made(path) is None]
    return _ask([*ports.values(), *products])


def _ask(groups: Sequence[Sequence[str]]) -> list[Examination]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", files.__name__],
            input=orjson.dumps(groups),
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
        lines = done.stdout.splitlines()
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b"").rpartition(b"\n")[0].splitlines()
    found = []
    for line in lines:
        try:
            found.append(from_json(orjson.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            _log.warning("not an examination", extra={"line": line[:200].decode(errors="replace")})
    return found
