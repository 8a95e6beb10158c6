"""A site whose driver cannot be opened: it answers every call with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from dynamo.errors import DynamoError
from dynamo.provision.sites.base import Flavor, Quota, Server, ServerRequest
from dynamo.provision.sites.errors import SitePermanentError


class AbsentSite:
    """Stands in for such a site, so that the others of an ending fleet are cleared all the same.

    Parameters
    ----------
    name
        The site.
    error
        Why it cannot be opened.
    """

    def __init__(self, name: str, error: DynamoError) -> None:
        self._name = name
        self._error = error

    @property
    def name(self) -> str:
        """The site's name."""
        return self._name

    def create(self, request: ServerRequest) -> Server:
        """Refuse."""
        self._refuse(f"create {request.name}")

    def list(self, fleet: str) -> Sequence[Server]:
        """Refuse."""
        self._refuse(f"list the servers of {fleet}")

    def get(self, server_id: str) -> Server | None:
        """Refuse."""
        self._refuse(f"look at server {server_id}")

    def delete(self, server_id: str) -> None:
        """Refuse."""
        self._refuse(f"delete server {server_id}")

    def quota(self) -> Quota:
        """Refuse."""
        self._refuse("read the quota")

    def flavors(self) -> Sequence[Flavor]:
        """Refuse."""
        self._refuse("list flavors")

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _refuse(self, doing: str) -> NoReturn:
        error = self._error
        raise SitePermanentError(f"cannot {doing}: {error.what}", where=self._name, hint=error.hint) from error
