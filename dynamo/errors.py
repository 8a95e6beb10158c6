"""Expected errors: each says what is wrong, where, what was expected, and what to do.

The command line prints one line and exits with ``exit_code``; tracebacks appear only with ``--debug``. Whether a
failure is worth retrying is a type (`RetryableError`), not a matter of wording.

Exit codes: 0 done, 1 bug in DyNamo, 2 wrong usage, 3 bad input, 4 not found, 5 something is missing or does not
respond, 6 the run failed, 7 in use by another process, 8 a site refused, 9 timeout, 130 interrupted.
"""

from __future__ import annotations

import errno

from dynamo.texts import one_line

#: Faults of file systems that pass without a change to what was asked: a full disk or quota; a disk that fails or is
#: read-only, or a server that is gone, until somebody mends it; no file handles, locks or memory left.
_PASSING = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.ENOLINK,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
        errno.EINTR,
        errno.EAGAIN,
        errno.ENOLCK,
        errno.ENOMEM,
        errno.ENFILE,
        errno.EMFILE,
    }
)


class DynamoError(Exception):
    """Base class of all expected errors.

    Parameters
    ----------
    what
        What is wrong, as a short clause.
    where
        The file, field, job or resource concerned.
    expected
        What would have been valid.
    hint
        What the user can do about it.
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
        # Names from outside are in it: of files, places, radars, and whatever a broken document holds.
        return one_line(text)

    def __reduce__(self) -> tuple[object, ...]:
        # Keep all parts when crossing process boundaries (the local engine's pool).
        return (_rebuild, (type(self), self.what, self.where, self.expected, self.hint))


def _rebuild(
    kind: type[DynamoError], what: str, where: str | None, expected: str | None, hint: str | None
) -> DynamoError:
    return kind(what, where=where, expected=expected, hint=hint)


class RetryableError(DynamoError):
    """The same call may succeed later (a slow API, a busy daemon)."""

    exit_code = 5


class UsageError(DynamoError):
    """Wrong usage of a command or function."""

    exit_code = 2


class InputError(DynamoError):
    """Invalid file, document or value from outside."""

    exit_code = 3


class NotFoundError(DynamoError):
    """Nothing with that name exists."""

    exit_code = 4


class MissingPartError(DynamoError):
    """A required program, daemon or optional library is missing."""

    exit_code = 5


class RunFailedError(DynamoError):
    """A run ended without its products."""

    exit_code = 6


class BusyError(DynamoError):
    """Another process holds a resource that this one needs."""

    exit_code = 7


def passes(error: BaseException) -> bool:
    """Whether the same call may succeed later without changes to what was asked."""
    return isinstance(error, RetryableError) or (isinstance(error, OSError) and error.errno in _PASSING)


def passing_fault(error: BaseException | None) -> OSError | None:
    """Return the fault of a file system that passes and that led to an error; None if another thing did."""
    while error is not None and not (isinstance(error, OSError) and passes(error)):
        error = error.__cause__ or error.__context__
    return error
