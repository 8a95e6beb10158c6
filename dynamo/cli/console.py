"""Console output shared by all commands: text and one-line errors for people, JSON for programs."""

from __future__ import annotations

import os
import sys
from typing import Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from dynamo.texts import escaped, visible


class VisibleConsole(Console):
    """A console that prints no control character of a text: names of files, places and radars come from outside."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich.console.Console.print` does."""
        super().print(*(visible(item) if isinstance(item, str) else item for item in objects), **options)


_ENDLESS = 100_000
#: Results go to standard output; progress and messages to standard error, so that output can be piped.
#: A pipe has no width: its lines are as long as they need, unless somebody says how wide it is read.
#: Names contain colons ("Cloud:x:y"), which must not turn into emoji.
out = VisibleConsole(
    highlight=False,
    emoji=False,
    soft_wrap=True,
    width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _ENDLESS,
)
err = VisibleConsole(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print ``value`` as indented JSON on standard output."""
    data = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z, default=str)
    sys.stdout.write(escaped(data.decode()) + "\n")


def print_json_line(value: Any) -> None:
    """Print ``value`` as one line of JSON on standard output, at once: somebody may follow."""
    data = orjson.dumps(value, option=orjson.OPT_UTC_Z, default=str)
    sys.stdout.write(escaped(data.decode()) + "\n")
    sys.stdout.flush()


def progress() -> Progress:
    """Return a progress display on standard error: spinner, text, bar, count and elapsed time."""
    return Progress(
        SpinnerColumn(),
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=False,
    )
