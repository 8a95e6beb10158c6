"""The errors that DyNamo expects: each says what, where, what was expected, and what to do.

The command line prints one line of them and leaves with ``exit_code``; a traceback appears only with
``--debug``. Whether a failure is worth another try is a type (`RetryableError`), not a matter of wording.

Exit codes: 0 done, 1 a defect of DyNamo, 2 wrong usage, 3 bad input, 4 not found, 5 a part is missing or does
not answer, 6 the run failed, 7 somebody else holds it, 8 a site refused, 9 not so in the time given, 130 interrupted.
"""

from __future__ import annotations


class DynamoError(Exception):
    """Base of all expected errors.

    Parameters
    ----------
    what
        What is wrong, as a short clause.
    where
        The file, field, job or resource it concerns.
    expected
        What would have been right.
    hint
        What the reader can do about it.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: object = None, expected: str | None = None, hint: str | None = None
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.expected = expected
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.hint:
            text += f" ({self.hint})"
        return " ".join(text.split())

    def __reduce__(self) -> tuple[object, ...]:
        # Crosses process boundaries (the local engine's pool) with all its parts.
        return (_rebuild, (type(self), self.what, self.where, self.expected, self.hint))


def _rebuild(
    kind: type[DynamoError], what: str, where: str | None, expected: str | None, hint: str | None
) -> DynamoError:
    return kind(what, where=where, expected=expected, hint=hint)


class RetryableError(DynamoError):
    """The same call may succeed later (a slow API, a busy daemon)."""

    exit_code = 5


class UsageError(DynamoError):
    """The caller's words are off."""

    exit_code = 2


class InputError(DynamoError):
    """A file, document or value from outside is not what it must be."""

    exit_code = 3


class NotFoundError(DynamoError):
    """Nothing of that name exists."""

    exit_code = 4


class MissingPartError(DynamoError):
    """A program, daemon or optional library that is needed is not there."""

    exit_code = 5


class RunFailedError(DynamoError):
    """A run ended without its products."""

    exit_code = 6


class BusyError(DynamoError):
    """Another instance holds what this one needs."""

    exit_code = 7
