"""Injected faults: make a simulated site refuse calls, lose answers, and hide servers."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Literal

from dynamo.provision.sites.errors import SiteAuthError, SiteError, SiteRetryableError

Verb = Literal["create", "list", "get", "delete", "quota", "flavors", "extend"]


class Faults:
    """The faults currently injected into a site.

    Parameters
    ----------
    site
        The site's name, for errors.
    """

    def __init__(self, site: str) -> None:
        self._name = site
        self._lock = threading.RLock()
        self._to_fail: dict[str, list[SiteError]] = {}
        self._to_lose: Counter[str] = Counter()
        self._down_until = datetime.min.replace(tzinfo=UTC)
        self._expired = False
        self._hidden: dict[str, datetime | None] = {}

    def fail_next(self, n: int, error: SiteError, *, verb: Verb = "create") -> None:
        """Make the next ``n`` calls of ``verb`` raise ``error`` without effect."""
        with self._lock:
            self._to_fail.setdefault(verb, []).extend([error] * n)

    def lose_answer_next(self, n: int, *, verb: Literal["create", "delete"] = "create") -> None:
        """Make the next ``n`` calls of ``verb`` take effect but still raise `SiteRetryableError`."""
        with self._lock:
            self._to_lose[verb] += n

    def down_until(self, instant: datetime) -> None:
        """Do not answer before ``instant``; servers keep running."""
        with self._lock:
            self._down_until = instant

    def expire_credentials(self) -> None:
        """Refuse every call as not logged in until `renew_credentials`."""
        with self._lock:
            self._expired = True

    def renew_credentials(self) -> None:
        """Accept calls again."""
        with self._lock:
            self._expired = False

    def hide(self, *server_ids: str, until: datetime | None = None) -> None:
        """Omit existing servers from lists until ``until``, by default until `show`."""
        with self._lock:
            self._hidden.update(dict.fromkeys(server_ids, until))

    def show(self) -> None:
        """List all servers again."""
        with self._lock:
            self._hidden.clear()

    def _check(self, verb: Verb, now: datetime, *, away: bool) -> None:
        if now < self._down_until or away:
            raise SiteRetryableError(f"cannot {verb}: no answer (simulated outage)", where=self._name)
        if self._expired:
            hint = "renew the credentials of this simulated site"
            raise SiteAuthError(f"not logged in: cannot {verb}", where=self._name, hint=hint)
        if waiting := self._to_fail.get(verb):
            # The same error is raised repeatedly; its old traceback would only grow.
            raise waiting.pop(0).with_traceback(None)

    def _answered(self, verb: Literal["create", "delete"], what: str) -> None:
        if self._to_lose[verb] > 0:
            self._to_lose[verb] -= 1
            hint = "the request may have taken effect anyway"
            raise SiteRetryableError(
                f"cannot {verb} {what}: the answer was lost (simulated)", where=self._name, hint=hint
            )

    def _is_hidden(self, server_id: str, now: datetime) -> bool:
        if server_id not in self._hidden:
            return False
        until = self._hidden[server_id]
        return until is None or now < until
