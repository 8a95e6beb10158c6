"""Reflectivity pictures of nowcasts for the map, made from published images: once for all who ask, few at a time."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynamo.errors import RetryableError
from dynamo.formats.sheet import Cells, Sheet, Table, make_sheet
from dynamo.store.models import Product

#: Bytes of pictures that are kept; a picture that does not fit pushes out those not asked for the longest.
_KEPT_BYTES = 64_000_000
_AT_ONCE = 2
_PATIENCE_S = 10.0
#: Raised when the same products give another picture.
_VERSION = "1"


@dataclass(frozen=True)
class SheetKey:
    """What a picture is made of; its text is the picture's ETag."""

    text: str

    @classmethod
    def of(cls, products: Sequence[Product], table: Table) -> SheetKey:
        """Return the key of a picture of products, in their order."""
        parts = (_VERSION, table, *(f"{product.lead_min}:{product.sha256}" for product in products))
        return cls(hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32])


class Sheets:
    """Pictures by what they are made of."""

    def __init__(self, kept_bytes: int = _KEPT_BYTES, patience_s: float = _PATIENCE_S) -> None:
        self._known: OrderedDict[SheetKey, Sheet] = OrderedDict()
        self._kept_bytes, self._patience_s = kept_bytes, patience_s
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def sheet(self, key: SheetKey, cells: Callable[[], Sequence[Cells]], table: Table) -> Sheet:
        """Return a picture, made from ``cells`` if it is not known.

        Raises
        ------
        RetryableError
            If others are being made, and none of them is ready in time.
        InputError
            As `make_sheet` does.
        """
        if (found := self._find(key)) is not None:
            return found
        if not self._places.acquire(timeout=self._patience_s):
            raise RetryableError("too many pictures are being made", hint="retry in a few seconds")
        try:
            # Another request may have made it meanwhile.
            if (found := self._find(key)) is None:
                found = make_sheet(cells(), table)
                self._keep(key, found)
            return found
        finally:
            self._places.release()

    def _find(self, key: SheetKey) -> Sheet | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def _keep(self, key: SheetKey, made: Sheet) -> None:
        with self._lock:
            self._known[key] = made
            while sum(len(one.png) for one in self._known.values()) > self._kept_bytes and len(self._known) > 1:
                self._known.popitem(last=False)
