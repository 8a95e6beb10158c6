"""Tables as people read them: what every list of the two commands looks like on a terminal of any width.

One row is one line. Identifiers, states, times and numbers are shown whole; a text, such as a cause, gives way first to
the width, with an ellipsis, and a path before it. `--wide`, and a pipe, show everything.
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

from dynamo.texts import visible
from dynamo.times import to_iso, utc_now

_MORE = "\N{HORIZONTAL ELLIPSIS}"
#: Between two columns.
_GAP = 2
#: The least width of a text and of a path that are cut; below it, a path is left out.
_LEAST_TEXT, _LEAST_PATH = 16, 10
#: The least width of an identifier, where not even all identifiers have room.
_LEAST_NAME = 12


class Fit(Enum):
    """What becomes of a column that has no room."""

    WHOLE = "whole"
    TEXT = "text"
    PATH = "path"
    EXTRA = "extra"


@dataclass(frozen=True)
class Column:
    """A column; a plain string stands for one that is shown whole.

    Attributes
    ----------
    fit
        What becomes of it if there is no room: texts lose their end, paths their beginning, extras go, from the right.
    wide
        Shown with ``--wide`` only.
    right
        Right-aligned, as columns of numbers always are.
    """

    name: str
    fit: Fit = Fit.WHOLE
    wide: bool = False
    right: bool = False


def text(name: str) -> Column:
    """Return a column of sentences, such as causes, which may lose their end."""
    return Column(name, Fit.TEXT)


def path(name: str) -> Column:
    """Return a column of paths, which may lose their beginning; it stands behind the cause."""
    return Column(name, Fit.PATH)


def extra(name: str) -> Column:
    """Return a column that a narrow terminal does without."""
    return Column(name, Fit.EXTRA)


def wide(name: str, fit: Fit = Fit.WHOLE) -> Column:
    """Return a column that only ``--wide`` shows."""
    return Column(name, fit, wide=True)


def right(name: str) -> Column:
    """Return a right-aligned column."""
    return Column(name, right=True)


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

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table at the console's width."""
        names = [visible(column.name) for column in self._columns]
        natural = [
            max([len(name), *(line.cell_len for row in self._rows for line in row[index].split(allow_blank=True))])
            for index, name in enumerate(names)
        ]
        widths = natural if self._whole else fitted(self._columns, natural, options.max_width)
        table = Table(header_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP, 0, 0))
        shown = [index for index, width in enumerate(widths) if width]
        for index in shown:
            table.add_column(
                Text(names[index]),
                width=widths[index],
                no_wrap=True,
                overflow="ellipsis",
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

    Examples
    --------
    >>> fitted([Column("run"), text("why"), path("file")], [12, 60, 40], 80)
    [12, 54, 10]
    """
    widths = list(natural)

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

    shrink(Fit.PATH, _LEAST_PATH)
    shrink(Fit.TEXT, _LEAST_TEXT)
    drop(Fit.PATH)
    drop(Fit.EXTRA)
    shrink(Fit.WHOLE, _LEAST_NAME)
    shrink(Fit.TEXT, 1)
    return widths


def clock(time: datetime | None, now: datetime | None = None) -> str:
    """Return a UTC time as tables show it: its time of day if that is today, else its date and minute.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 5, 20, 21, tzinfo=UTC)
    >>> clock(datetime(2026, 5, 20, 18, 4, 9, tzinfo=UTC), now), clock(datetime(2026, 5, 19, 18, 4, tzinfo=UTC), now)
    ('18:04:09', '2026-05-19 18:04')
    """
    if time is None:
        return ""
    today = time.date() == (now or utc_now()).date()
    return f"{time:%H:%M:%S}" if today else f"{time:%Y-%m-%d %H:%M}"


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
