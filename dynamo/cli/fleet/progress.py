"""Progress of a fleet toward its target: bars on a terminal, lines elsewhere; always on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dynamo.cli.console import err

if TYPE_CHECKING:
    from dynamo.provision.keeping.attending import Glance

#: Styles of the states, here and in `status`.
COLOURS = {
    "requested": "cyan",
    "booting": "cyan",
    "joining": "blue",
    "ready": "green",
    "draining": "yellow",
    "releasing": "yellow",
    "released": "dim",
    "failed": "bold red",
    "lost": "bold red",
    "active": "green",
    "ending": "yellow",
    "ending-now": "yellow",
    "forgetting": "yellow",
    "ended": "dim",
}
_ORDER = tuple(COLOURS)


def states_text(counts: dict[str, int]) -> Text:
    """Return the number of workers per state, in color."""
    parts = [
        Text(f"{counts[state]} {state}", style=COLOURS.get(state, ""))
        for state in sorted(counts, key=lambda state: _ORDER.index(state) if state in _ORDER else 99)
        if counts[state]
    ]
    return Text(", ").join(parts)


class FleetDisplay:
    """Live display of a fleet; use it as a context manager and call `update`.

    Parameters
    ----------
    title
        What the caller is waiting for.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._glance: Glance | None = None
        self._spinner = Spinner("dots")
        self._said = ""
        self._held: set[str] = set()
        self._live = Live(get_renderable=self._render, console=err, refresh_per_second=8) if err.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def elapsed_s(self) -> float:
        """Seconds since creation."""
        return time.monotonic() - self._began

    def tell(self, text: str) -> None:
        """Print a permanent line."""
        err.print(text, markup=False)

    def update(self, glance: Glance) -> None:
        """Show a new state of the fleet."""
        self._glance = glance
        if self._live is None:
            self._say(glance)

    def _say(self, glance: Glance) -> None:
        """Print changes, for logs and pipes."""
        groups = sorted({*glance.counts, *glance.target})
        line = "; ".join(f"{group}: {_ready_words(glance, group)}" for group in groups) or "no workers"
        if line != self._said:
            self._said = line
            err.print(f"{self.elapsed_s:6.1f} s  {line}", markup=False)
        for held in glance.held:
            if held not in self._held:
                err.print(f"{self.elapsed_s:6.1f} s  {held}", markup=False)
        self._held = set(glance.held)

    def _render(self) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        by = f", managed by process {self._glance.by}" if self._glance is not None and self._glance.by else ""
        head.add_row(self._spinner, Text(f"{self._title}, {self.elapsed_s:.0f} s{by}"))
        if self._glance is None:
            return head
        glance = self._glance
        rows = Table.grid(padding=(0, 1))
        for group in sorted({*glance.counts, *glance.target}):
            ready, wanted = glance.ready(group), glance.target.get(group, 0)
            bar = ProgressBar(
                total=max(1, wanted or sum(glance.counts.get(group, {}).values())), completed=ready, width=24
            )
            of = "?" if wanted is None else str(wanted)
            rows.add_row(
                Text(group, style="bold"), bar, f"{ready}/{of}", states_text(dict(glance.counts.get(group, {})))
            )
        held = [Text(text, style="yellow") for text in glance.held]
        return Group(head, rows, *held)


def _ready_words(glance: Glance, group: str) -> str:
    wanted = glance.target.get(group, 0)
    text = f"{glance.ready(group)}{'' if wanted is None else f' of {wanted}'} ready"
    others = [f"{n} {state}" for state, n in sorted(glance.counts.get(group, {}).items()) if state != "ready" and n]
    return f"{text} ({', '.join(others)})" if others else text
