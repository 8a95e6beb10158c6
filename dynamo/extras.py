"""Optional libraries: import one, or say how to install it."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import Any

from dynamo.errors import MissingPartError


def need(module: str, *, extra: str = "nowcast") -> Any:
    """Import ``module`` quietly and return it.

    Raises
    ------
    MissingPartError
        If it is not installed or fails to import; the hint names the extra that installs it.
    """
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError as error:
        raise MissingPartError(
            f"requires the Python library {module.split('.', maxsplit=1)[0]}: {error}",
            hint=f"pip install 'dynamo-radar[{extra}]'",
        ) from error
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        # Some libraries read a configuration file when they are imported.
        raise MissingPartError(
            f"the Python library {module.split('.', maxsplit=1)[0]} cannot be imported: {error}",
            hint="check its configuration file, or reinstall it",
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress library output and warnings."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def quiet_descriptors() -> Iterator[None]:
    """Do the same as `quiet` for C libraries that write to descriptors 1 and 2 directly.

    Descriptors are process-wide: keep the block short.
    """
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor, _ in saved:
            os.dup2(null, descriptor)
        yield
    finally:
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(null)
