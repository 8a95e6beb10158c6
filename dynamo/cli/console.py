"""Console output shared by all commands: tables and one-line errors for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
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


#: Columns whose cells are at most this long are never broken; nor are those of single words up to the second length.
_SHORT, _NAME = 20, 40
#: Columns of longer texts get at least this width, enough for an ID.
_TEXT = 12


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = (), title: str = ""
) -> Table:
    """Return rows as a table: names, IDs, and times stay on one line, and texts take the rest of the width.

    Columns of numbers, and those in ``right``, are right-aligned. Cells may be `rich.text.Text`.
    """
    table = Table(
        title=Text(visible(title)) if title else None,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    materialised = [list(row) for row in rows]
    # Print verbatim: names may contain square brackets, which are not markup.
    texts = [[cell if isinstance(cell, Text) else _text(cell) for cell in row] for row in materialised]
    for index, column in enumerate(columns):
        numeric = bool(materialised) and all(isinstance(row[index], int | float) for row in materialised)
        cells = [row[index] for row in texts]
        whole = all(_stays_whole(cell) for cell in cells)
        widest = max((line.cell_len for cell in (Text(column), *cells) for line in cell.split()), default=0)
        table.add_column(
            column,
            justify="right" if numeric or column in right else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=widest if whole else _TEXT,
        )
    for row in texts:
        table.add_row(*row)
    return table


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Print rows as a table, see `make_table`; without rows, ``empty`` in its place on standard error."""
    materialised = list(rows)
    if empty and not materialised:
        err.print(empty, markup=False)
    else:
        out.print(make_table(columns, materialised, title=title))


def short_time(time: datetime | None) -> str:
    """Return a time for a table, to the minute; nothing for None."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%MZ}"


def _text(cell: object) -> Text:
    return Text("" if cell is None else visible(str(cell)))


def _stays_whole(cell: Text) -> bool:
    return all(
        line.cell_len <= _SHORT or (line.cell_len <= _NAME and " " not in line.plain.strip()) for line in cell.split()
    )


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
