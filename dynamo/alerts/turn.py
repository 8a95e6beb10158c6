"""Whose turn it is to handle a store's alerts: one process does, and others may stand by."""

from __future__ import annotations

import logging

from dynamo.errors import BusyError, RetryableError
from dynamo.store.engine import Store
from dynamo.store.lease import StoreLease

_log = logging.getLogger("dynamo.alerts")


class Turn:
    """The right to handle a store's alerts.

    Parameters
    ----------
    store
        The store.
    standby
        Wait while another process has it, instead of refusing.
    """

    def __init__(self, store: Store, *, standby: bool) -> None:
        self.standby = standby
        self._lease = StoreLease(store, "alerts", "the alerts of this store")
        self._left_to = ""

    def take(self) -> bool:
        """Take it; return False to stand by.

        Raises
        ------
        BusyError
            If another process has it, unless ``standby``.
        """
        try:
            self._lease.take()
        except BusyError as error:
            if not self.standby:
                raise
            if error.what != self._left_to:
                _log.warning("alerts left to another process until it stops", extra={"reason": error.what})
            self._left_to = error.what
            return False
        self._left_to = ""
        return True

    def renew(self) -> None:
        """Keep it; raises `BusyError` if another process has it now."""
        self._lease.renew()

    def give_back(self) -> None:
        """Leave it to others."""
        try:
            self._lease.give_back()
        except RetryableError as error:
            _log.warning("lease not released; it will expire", extra={"reason": str(error)})
