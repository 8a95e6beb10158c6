"""Conditions of jobs on the numbers that earlier jobs record: ``hail.max_dbz >= 45``, ``any(contour.polygons > 0)``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dynamo.documents.problems import shown
from dynamo.errors import InputError

#: What compares, in a document and in an argument for the worker's shell.
_COMPARISONS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    ">=": ("ge", operator.ge),
    "<=": ("le", operator.le),
    "==": ("eq", operator.eq),
    "!=": ("ne", operator.ne),
    ">": ("gt", operator.gt),
    "<": ("lt", operator.lt),
}
#: How the numbers of several jobs become one.
_TOTALS: Mapping[str, Callable[[Sequence[float]], float]] = {"max": max, "min": min, "sum": math.fsum}
#: Around the number (``max(JOB.NUMBER) > 0``), or around the comparison (``any(JOB.NUMBER > 0)``).
AGGREGATES = ("any", "all", *_TOTALS)

_SOURCE = r"(?P<job>[A-Za-z][A-Za-z0-9_-]*)\s*\.\s*(?P<number>[A-Za-z][A-Za-z0-9_]*)"
_COMPARED = rf"(?P<compare>{'|'.join(map(re.escape, _COMPARISONS))})\s*(?P<value>\S+?)"
_FORMS = (
    re.compile(rf"\s*{_SOURCE}\s*{_COMPARED}\s*"),
    re.compile(rf"\s*(?P<over>{'|'.join(_TOTALS)})\s*\(\s*{_SOURCE}\s*\)\s*{_COMPARED}\s*"),
    re.compile(rf"\s*(?P<over>any|all)\s*\(\s*{_SOURCE}\s*{_COMPARED}\s*\)\s*"),
)
FORM = (
    "JOB.NUMBER >= VALUE (or > <= < == !=), any(JOB.NUMBER >= VALUE), all(...), or max(JOB.NUMBER) >= VALUE, "
    "min(...), sum(...)"
)


@dataclass(frozen=True)
class Branch:
    """One comparison; a job runs if all of its own hold.

    Attributes
    ----------
    job, number
        The job in the document and what it records.
    compare, value
        How it is compared, and with what.
    over
        ``any``, ``all``, ``max``, ``min`` or ``sum`` of several jobs; empty for a single one.
    files
        LFNs of the files with the numbers of these jobs.

    Examples
    --------
    >>> branch = parse_branch("max(contour.polygons) > 0")
    >>> branch.why_not([{"polygons": 0.0}, {"polygons": 0.0}])
    'max(contour.polygons) is 0, not > 0'
    >>> branch.why_not([{"polygons": 0.0}, {"polygons": 2.0}])
    ''
    """

    job: str
    number: str
    compare: str
    value: float
    over: str = ""
    files: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The comparison as in a document."""
        source, limit = f"{self.job}.{self.number}", f"{self.compare} {plain(self.value)}"
        if self.over in _TOTALS:
            return f"{self.over}({source}) {limit}"
        return f"{self.over}({source} {limit})" if self.over else f"{source} {limit}"

    @property
    def argument(self) -> str:
        """The comparison as an argument without blanks and metacharacters; `branch_of_argument` reads it."""
        return f"{self.over or 'one'}:{self.job}.{self.number}:{_COMPARISONS[self.compare][0]}:{plain(self.value)}"

    def why_not(self, recorded: Sequence[Mapping[str, float] | None]) -> str:
        """Return why the comparison does not hold, with value and threshold; empty if it holds.

        Parameters
        ----------
        recorded
            What each job recorded, in the order of ``files``; None for jobs that were skipped, which do not count.
        """
        ran = [numbers for numbers in recorded if numbers is not None]
        if not ran:
            return f"{self.job} was skipped"
        values = [numbers[self.number] for numbers in ran if self.number in numbers]
        if not values:
            return f"{self.job} recorded no {self.number}"
        source, limit = f"{self.job}.{self.number}", f"{self.compare} {plain(self.value)}"
        met = sum(self._holds(value) for value in values)
        if self.over == "any":
            return "" if met else f"none of {len(ran)} {source} is {limit}{self._range(values)}"
        if self.over == "all":
            missed = len(ran) - met
            return f"{missed} of {len(ran)} {source} not {limit}{self._range(values)}" if missed else ""
        value = _TOTALS[self.over](values) if self.over else values[0]
        name = f"{self.over}({source})" if self.over else source
        return "" if self._holds(value) else f"{name} is {self._shown(value)}, not {limit}"

    def _holds(self, value: float) -> bool:
        return _COMPARISONS[self.compare][1](value, self.value)

    def _range(self, values: Sequence[float]) -> str:
        low, high = self._shown(min(values)), self._shown(max(values))
        return f" ({low})" if low == high else f" ({low} to {high})"

    def _shown(self, value: float) -> str:
        """Return a value in six digits, or in all of them if it would look like one on the other side."""
        short = f"{value:.6g}"
        return short if self._holds(float(short)) == self._holds(value) else plain(value)


def parse_branch(text: str) -> Branch:
    """Return the comparison in a text without placeholders; raise `InputError` if it has another form."""
    match = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if match is None:
        raise InputError(f"not a condition: {shown(text)}", expected=FORM)
    return Branch(
        match["job"], match["number"], match["compare"], _value(match["value"]), match.groupdict().get("over") or ""
    )


def branch_of_argument(text: str) -> Branch:
    """Return the comparison that `Branch.argument` wrote; raise `InputError` for anything else."""
    parts = text.split(":")
    signs = {word: sign for sign, (word, _) in _COMPARISONS.items()}
    if len(parts) == 4 and parts[0] in ("one", *AGGREGATES) and parts[2] in signs:
        job, _, number = parts[1].partition(".")
        if re.fullmatch(_SOURCE, parts[1]):
            over = "" if parts[0] == "one" else parts[0]
            return Branch(job, number, signs[parts[2]], _value(parts[3]), over)
    raise InputError(
        f"not a condition: {shown(text)}",
        expected=f"({'|'.join(('one', *AGGREGATES))}):JOB.NUMBER:({'|'.join(signs)}):VALUE",
    )


def plain(value: float) -> str:
    """Return a number in full, without a needless point."""
    return repr(float(value)).removesuffix(".0")


def _value(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"not a number: {shown(text)}",
            expected="a number without a unit, or a placeholder such as {parameters.NAME}",
        )
    return value
