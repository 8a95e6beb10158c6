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
#: The states of a worker among them; the others are of a fleet.
WORKER_STATES = _ORDER[: _ORDER.index("active")]


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
    ending
        Count the workers that are gone, not those that are ready.
    """

    def __init__(self, title: str, *, ending: bool = False) -> None:
        self._title = title
        self._ending = ending
        self._most: dict[str, int] = {}
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
        for group, states in glance.counts.items():
            self._most[group] = max(self._most.get(group, 0), sum(states.values()))
        if self._live is None:
            self._say(glance)

    def _say(self, glance: Glance) -> None:
        """Print changes, for logs and pipes."""
        words = self._gone_words if self._ending else _ready_words
        line = "; ".join(f"{group}: {words(glance, group)}" for group in self._groups(glance)) or self._without_workers
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
        for group in self._groups(glance):
            states = dict(glance.counts.get(group, {}))
            if self._ending:
                done, total = self._gone(glance, group), self._most[group]
                of = f"{done}/{total} gone"
            else:
                wanted = glance.target.get(group, 0)
                done, total = glance.ready(group), wanted or sum(states.values())
                of = f"{done}/{'?' if wanted is None else wanted}"
            bar = ProgressBar(total=max(1, total), completed=done, width=24)
            rows.add_row(Text(group, style="bold"), bar, of, states_text(states))
        held = [Text(text, style="yellow") for text in glance.held]
        if self._ending and not any(sum(states.values()) for states in glance.counts.values()):
            held.append(Text(self._without_workers))
        return Group(head, rows, *held)

    def _groups(self, glance: Glance) -> list[str]:
        # A fleet that ends keeps showing groups whose workers are all gone.
        return sorted(self._most) if self._ending else sorted({*glance.counts, *glance.target})

    @property
    def _without_workers(self) -> str:
        return "no workers left; closing sites and pool" if self._ending else "no workers"

    def _gone(self, glance: Glance, group: str) -> int:
        return self._most[group] - sum(glance.counts.get(group, {}).values())

    def _gone_words(self, glance: Glance, group: str) -> str:
        text = f"{self._gone(glance, group)} of {self._most[group]} gone"
        left = [f"{n} {state}" for state, n in sorted(glance.counts.get(group, {}).items()) if n]
        return f"{text} ({', '.join(left)})" if left else text


def _ready_words(glance: Glance, group: str) -> str:
    wanted = glance.target.get(group, 0)
    text = f"{glance.ready(group)}{'' if wanted is None else f' of {wanted}'} ready"
    others = [f"{n} {state}" for state, n in sorted(glance.counts.get(group, {}).items()) if state != "ready" and n]
    return f"{text} ({', '.join(others)})" if others else text
