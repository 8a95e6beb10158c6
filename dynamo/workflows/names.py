"""Names allowed in a workflow: identifiers, and logical file names that stay inside the run folder."""

from __future__ import annotations

import re

from dynamo.errors import InputError

#: Job ids name DAGMan nodes and Pegasus files: no dots, spaces or slashes.
ID_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
#: Names of inputs, parameters, ports and loop variables.
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$"
_LFN_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*\Z")
_JOB_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
#: These files in a product folder record what was published, by which run, and from what.
RESERVED_LFNS = frozenset({"index.json", "prov.json"})
_MAX_LFN = 240
_MAX_DEPTH = 8
LFN_EXPECTATION = (
    "a relative file name of letters, digits and _ . + @ - (folders by /), without leading dots or dashes, "
    f"at most {_MAX_LFN} characters"
)


def check_lfn(lfn: str) -> str:
    """Return ``lfn`` if it names a file inside the run folder.

    Raises
    ------
    InputError
        For absolute paths, ``..``, leading dots or dashes, spaces, control characters, names that are too long, and
        the names of the files that are written beside products.
    """
    if (first := lfn.partition("/")[0]) in RESERVED_LFNS:
        raise InputError(f"the name {first} is reserved for what DyNamo writes", expected="another file name")
    parts = lfn.split("/")
    if len(lfn) > _MAX_LFN or len(parts) > _MAX_DEPTH or not all(_LFN_PART.match(part) for part in parts):
        raise InputError(f"not a logical file name: {lfn[:80]!r}", expected=LFN_EXPECTATION)
    return lfn


def is_lfn(text: str) -> bool:
    """Return whether `check_lfn` accepts ``text``."""
    try:
        check_lfn(text)
    except InputError:
        return False
    return True


def check_job_id(name: str) -> str:
    """Return ``name`` if it is a valid id for an expanded job; raise `InputError` otherwise."""
    if len(name) > 200 or not _JOB_ID.match(name):
        raise InputError(
            f"not a job id: {name[:80]!r}",
            expected="a letter, then letters, digits, _ and -, at most 200 characters",
        )
    return name
