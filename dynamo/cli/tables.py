"""Tables as people read them: what every list of the two commands looks like on a terminal of any width.

One row is one line. Identifiers, states, times and numbers are shown whole; where there is no room, a path gives way
first, then a text such as a cause, both with an ellipsis. `--wide` shows everything, and a pipe cuts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from dynamo.cli import console
from dynamo.texts import visible
from dynamo.times import parse_time, to_iso, utc_now

_MORE = "\N{HORIZONTAL ELLIPSIS}"
#: Between two columns.
_GAP = 2
#: A text of this width can be read; of the other one, what is cut can be recognized at least.
_EASY, _LEAST = 24, 12
#: The end of a path tells files of one kind apart: radar and time.
_NAME_OF_FILE = 20


class Fit(Enum):
    """What becomes of a column if there is no room."""

    #: Nothing: identifiers, states, times, numbers.
    WHOLE = "whole"
    #: The last to be cut: names that people give, of any length.
    NAME = "name"
    #: Loses its end: a cause.
    TEXT = "text"
    #: Loses its beginning, or goes: a path.
    PATH = "path"
    #: Goes, from the right.
    EXTRA = "extra"
    #: Takes more lines: a description in a table that is read, not searched.
    PROSE = "prose"


#: Columns that are left out if all their cells are empty.
_OPTIONAL = (Fit.EXTRA, Fit.TEXT, Fit.PATH)


@dataclass(frozen=True)
class Column:
    """A column; a plain string stands for one that is shown whole.

    Attributes
    ----------
    fit
        What becomes of it if there is no room.
    wide
        Shown with ``--wide`` only.
    right
        Right-aligned, as columns of numbers always are.
    """

    title: str
    fit: Fit = Fit.WHOLE
    wide: bool = False
    right: bool = False


def named(title: str) -> Column:
    """Return a column of names that people give, such as those of workflows."""
    return Column(title, Fit.NAME)


def worded(title: str) -> Column:
    """Return a column of sentences, such as causes, which may lose their end."""
    return Column(title, Fit.TEXT)


def located(title: str) -> Column:
    """Return a column of paths, which may lose their beginning; it stands behind the cause."""
    return Column(title, Fit.PATH)


def extra(title: str) -> Column:
    """Return a column that a narrow terminal does without."""
    return Column(title, Fit.EXTRA)


def right(title: str) -> Column:
    """Return a right-aligned column."""
    return Column(title, right=True)


def prose(title: str) -> Column:
    """Return a column of descriptions, which may take several lines."""
    return Column(title, Fit.PROSE)


class Rows:
    """A table that fits itself to the console it is printed on.

    Parameters
    ----------
    columns
        Names, or `Column`.
    rows
        A cell for each column: texts, numbers, None, aware times, `rich.text.Text`, or several lines of them.
    title
        A line above.
    whole
        Show all columns, and cut nothing, however wide that is.
    now
        The clock that tells what is today.
    """

    def __init__(
        self,
        columns: Sequence[str | Column],
        rows: Iterable[Sequence[object]],
        *,
        title: str = "",
        whole: bool = False,
        now: datetime | None = None,
    ) -> None:
        now = now or utc_now()
        given = [Column(column) if isinstance(column, str) else column for column in columns]
        kept = [index for index, column in enumerate(given) if whole or not column.wide]
        self._columns = [given[index] for index in kept]
        self._title = title
        self._whole = whole
        cells = [list(row) for row in rows]
        self._right = [
            given[index].right or (bool(cells) and all(isinstance(row[index], int | float) for row in cells))
            for index in kept
        ]
        self._rows = [[_cell(row[index], now, whole=whole) for index in kept] for row in cells]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table at the console's width."""
        names = [visible(column.title) for column in self._columns]
        natural = [
            max([len(title), *(line.cell_len for row in self._rows for line in row[index].split(allow_blank=True))])
            for index, title in enumerate(names)
        ]
        if not self._whole:
            natural = [
                0 if column.fit in _OPTIONAL and self._rows and not any(row[index] for row in self._rows) else size
                for index, (column, size) in enumerate(zip(self._columns, natural, strict=True))
            ]
        widths = natural if self._whole else fitted(self._columns, natural, options.max_width)
        table = Table(
            header_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0)
        )
        shown = [index for index, width in enumerate(widths) if width]
        for index in shown:
            table.add_column(
                Text(names[index]),
                width=widths[index],
                no_wrap=self._columns[index].fit is not Fit.PROSE,
                overflow="fold" if self._columns[index].fit is Fit.PROSE else "ellipsis",
                justify="right" if self._right[index] else "left",
            )
        for row in self._rows:
            table.add_row(*(_cut(row[index], widths[index], self._columns[index].fit) for index in shown))
        table.width = sum(widths[index] for index in shown) + _GAP * (len(shown) - 1)
        if self._title:
            yield Text(visible(self._title), style="italic")
        yield table


def fitted(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """Return the width of each column on a terminal: at most the natural ones, 0 for a column that is left out.

    Columns of a natural width of 0 are left out from the beginning.

    Examples
    --------
    >>> fitted([Column("run"), worded("why"), located("file")], [12, 60, 40], 80)
    [12, 44, 20]
    """
    # Whatever cannot be shown at once is no loss.
    widths = [
        min(size, width) if column.fit in (Fit.TEXT, Fit.PATH, Fit.PROSE) else size
        for column, size in zip(columns, natural, strict=True)
    ]

    def excess() -> int:
        shown = [one for one in widths if one]
        return sum(shown) + _GAP * (len(shown) - 1) - width

    def shrink(fit: Fit, least: int) -> None:
        # The widest gives way first, so that several share what there is.
        while excess() > 0:
            able = [i for i, column in enumerate(columns) if column.fit is fit and widths[i] > least]
            if not able:
                return
            widest = max(able, key=lambda i: widths[i])
            widths[widest] -= 1

    def drop(fit: Fit) -> None:
        for index in reversed(range(len(columns))):
            if excess() > 0 and columns[index].fit is fit:
                widths[index] = 0

    shrink(Fit.PATH, _NAME_OF_FILE)
    for fit in (Fit.PROSE, Fit.TEXT):
        shrink(fit, _EASY)
    shrink(Fit.PATH, _LEAST)
    drop(Fit.EXTRA)
    for fit in (Fit.PROSE, Fit.TEXT, Fit.NAME):
        shrink(fit, _LEAST)
    drop(Fit.PATH)
    for fit in (Fit.PROSE, Fit.TEXT):
        shrink(fit, 1)
    # What went leaves more room than was needed.
    for fit in (Fit.NAME, Fit.PROSE, Fit.TEXT, Fit.PATH):
        for index, column in enumerate(columns):
            if column.fit is fit and widths[index] and excess() < 0:
                widths[index] = min(natural[index], widths[index] - excess())
    return widths


def clock(time: datetime | None, now: datetime | None = None) -> str:
    """Return a UTC time as tables show it: ``HH:MM:SS`` if it is today; its date and minute otherwise.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 5, 20, 21, tzinfo=UTC)
    >>> clock(datetime(2026, 5, 20, 18, 4, 9, tzinfo=UTC), now)
    '18:04:09'
    >>> clock(datetime(2026, 5, 19, 18, 4, tzinfo=UTC), now), clock(datetime(2024, 5, 20, 18, 4, tzinfo=UTC), now)
    ('05-19 18:04', '2024-05-20 18:04')
    """
    if time is None:
        return ""
    now = now or utc_now()
    if time.date() == now.date():
        return f"{time:%H:%M:%S}"
    return f"{time:%m-%d %H:%M}" if time.year == now.year else f"{time:%Y-%m-%d %H:%M}"


def when(iso: str | None) -> datetime | None:
    """Return a time for a table from the ISO 8601 text of a record; None for none."""
    return parse_time(iso) if iso else None


def print_table(
    title: str,
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[object]],
    *,
    empty: str = "",
    whole: bool = False,
) -> None:
    """Print rows as a table, see `Rows`; without rows, ``empty`` in its place on standard error."""
    cells = list(rows)
    if empty and not cells:
        console.err.print(empty, markup=False)
    else:
        console.out.print(Rows(columns, cells, title=title, whole=whole))


def _cell(value: object, now: datetime, *, whole: bool) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, datetime):
        return Text(to_iso(value.replace(microsecond=0)) if whole else clock(value, now))
    if isinstance(value, list | tuple):
        return Text("\n").join(_cell(one, now, whole=whole) for one in value)
    # Printed verbatim: names may contain square brackets, which are not markup. A line break would break the row.
    return Text("" if value is None else " ".join(visible(str(value)).split("\n")))


def _cut(cell: Text, width: int, fit: Fit) -> Text:
    """Return a path without its beginning where it is too long; rich cuts the end of all others."""
    if fit is not Fit.PATH or cell.cell_len <= width:
        return cell
    plain = cell.plain
    while Text(plain).cell_len > width - 1:
        plain = plain[1:]
    return Text(_MORE + plain)
