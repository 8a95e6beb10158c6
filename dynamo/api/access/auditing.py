"""The audit: each order is stored before it is carried out, and completed with how it was answered.

An order is a request by any method but those that only look. Without a place to store it, it is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from dynamo.api.access.roles import Identity
from dynamo.errors import DynamoError
from dynamo.scrubbing import scrub_output
from dynamo.store.access import AUDITED, complete_order, note_order
from dynamo.store.engine import Store
from dynamo.texts import visible

log = logging.getLogger(__name__)
LOOKING = ("GET", "HEAD", "OPTIONS")
_SECRET = ("password", "passphrase", "secret", "token", "credential", "key", "authorization", "cookie", "user_data")
_MASK = "***"
#: Characters of a summary, and of one text in it.
_LONGEST, _TEXT = 400, 80
_ITEMS, _DEPTH = 12, 3


class AuditEntry:
    """One order on its way.

    Attributes
    ----------
    who, role, how, subject
        May be set until the order is answered.
    """

    def __init__(self, store: Store, request: Request, address: str) -> None:
        self._store = store
        self._id: int | None = None
        self._query = dict(request.query_params)
        route = request.scope.get("route")
        self.method = request.method
        self.route = str(getattr(route, "path", request.url.path))
        self.address = address
        self.who = self.role = self.how = ""
        self.subject = " ".join(str(value) for value in request.path_params.values())

    def by(self, who: Identity) -> None:
        """Note who orders."""
        self.who, self.role, self.how = who.name, who.role or "", who.how

    def begin(self, body: object = None) -> None:
        """Store the order; raise `StoreUnavailableError` if it cannot be."""
        if self._id is None:
            with self._store.transaction() as session:
                self._id = note_order(session, self._facts(), summary_of(self._query, body))

    async def answered(self, status: int, location: str) -> None:
        """Store how the order was answered, before the answer goes out; what it made is at ``location``."""
        if not self.subject:
            self.subject = location.removeprefix("/v1/")
        try:
            await run_in_threadpool(self._complete, status)
        except DynamoError as error:
            # What was ordered is done: the answer must say so.
            log.warning("cannot complete the audit of %s %s: %s", self.method, self.route, error)

    def _complete(self, status: int) -> None:
        with self._store.transaction() as session:
            if self._id is None:
                note_order(session, self._facts(), summary_of(self._query, None), status)
            else:
                complete_order(session, self._id, self._facts(), status)

    def _facts(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in AUDITED}


def summary_of(query: Mapping[str, str], body: object) -> str:
    """Return in a few words what an order says, without its secrets.

    Examples
    --------
    >>> summary_of({"reason": "calm"}, {"name": "eve", "password": "hunter22", "list": [1, 2]})
    '{"reason":"calm","name":"eve","password":"***","list":[1,2]}'
    """
    told = {**query, **body} if isinstance(body, Mapping) else ({**query, "body": body} if body is not None else query)
    if not told:
        return ""
    text = scrub_output(orjson.dumps(_shown(told, _DEPTH), option=orjson.OPT_NON_STR_KEYS).decode())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _shown(value: object, depth: int) -> Any:
    if isinstance(value, str):
        text = visible(value)
        return text if len(text) <= _TEXT else text[: _TEXT - 3] + "..."
    if isinstance(value, Mapping):
        if not depth:
            return "{...}"
        some = list(value.items())[:_ITEMS]
        return {str(name)[:_TEXT]: _MASK if _is_secret(str(name)) else _shown(one, depth - 1) for name, one in some}
    if isinstance(value, list):
        return [_shown(one, depth - 1) for one in value[:_ITEMS]] if depth else "[...]"
    return value


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET)
