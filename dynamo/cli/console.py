"""Console output shared by all commands: tables and one-line errors for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from dynamo.texts import escaped, visible


class VisibleConsole(Console):
    """A console that prints no control character of a text: names of files, places and radars come from outside."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich.console.Console.print` does."""
        super().print(*(visible(item) if isinstance(item, str) else item for item in objects), **options)


#: Results go to standard output; progress and messages to standard error, so that output can be piped.
#: A pipe has no width, so tables get a fixed one instead of folding.
#: Names contain colons ("Cloud:x:y"), which must not turn into emoji.
out = VisibleConsole(highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
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


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table; numbers are right-aligned."""
    table = Table(
        title=Text(visible(title)) if title else None,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    materialised = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(materialised) and all(isinstance(row[index], int | float) for row in materialised)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in materialised:
        # Print verbatim: names may contain square brackets, which are not markup.
        table.add_row(*(Text("" if cell is None else visible(str(cell))) for cell in row))
    out.print(table)


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
