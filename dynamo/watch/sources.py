"""The feeds of a daemon: start, scan and stop them so that trouble in one does not hold up the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dynamo.config.feeds import FeedSection
from dynamo.doors import FEEDS
from dynamo.errors import DynamoError
from dynamo.feeds.base import FeedParts
from dynamo.feeds.making import make_feed
from dynamo.runs.events import RunEvents
from dynamo.watch.candidates import Candidates
from dynamo.watch.defects import Defects

_log = logging.getLogger("dynamo.watch")


class FeedSource:
    """One feed of a daemon.

    Parameters
    ----------
    section, parts
        What it is built from.
    defects
        Receives the feed's bugs; the call is then retried.

    Raises
    ------
    InputError, BusyError, PluginError
        If the feed cannot be built.
    """

    def __init__(self, section: FeedSection, parts: FeedParts, defects: Defects) -> None:
        self.name = section.name
        self.rescan_s = section.rescan_s
        self.who = f"feed {section.name}: kind {section.kind} of {FEEDS.origin(section.kind)}"
        #: Set after the first scan.
        self.scanned = threading.Event()
        self._feed = make_feed(section, parts)
        self._events: RunEvents = parts.events
        self._defects = defects

    def _start(self, candidates: Candidates) -> None:
        """Start handing over files as they are reported to the feed."""

        def start() -> None:
            try:
                self._feed.start(candidates.offer)
            except (OSError, DynamoError) as error:
                # Out of inotify watches, or a file system without them: rescans find the files, more slowly.
                self._trouble("no kernel events, rescans only", error)

        self._safely("start", start)

    def scan(self, candidates: Candidates) -> None:
        """Hand over the files in the feed."""

        def scan() -> None:
            try:
                count = self._feed.scan(candidates.offer)
            except (OSError, DynamoError) as error:
                self._trouble("the feed cannot be read", error)
            else:
                _log.debug("scanned", extra={"feed": self.name, "files": count})

        self._safely("scan", scan)

    def rescan(self, candidates: Candidates) -> None:
        """Scan, after a start if new files are not, or no longer, reported; forget files that are gone."""

        def revive() -> None:
            if not self._feed.healthy():
                self._start(candidates)

        if self.scanned.is_set():
            self._safely("healthy", revive)
        else:
            # First the events, then the scan: what arrives in between is seen twice, and known the second time.
            self._start(candidates)
        self.scan(candidates)
        self.scanned.set()
        candidates.forget_missing(self.name)

    def stop(self) -> None:
        """Stop handing over files."""
        self._safely("stop", self._feed.stop)

    def _safely(self, what: str, call: Callable[[], None]) -> None:
        who = f"{self.who}, {what}"
        try:
            call()
        except Exception as error:  # a defect in one feed must not stop the daemon
            self._defects.tell(who, error, retry_s=self.rescan_s)
        else:
            self._defects.well(who)

    def _trouble(self, what: str, error: Exception) -> None:
        _log.warning(what, extra={"feed": self.name, "reason": str(error)})
        self._events.emit("trouble", self.name, reason=str(error), retry_s=0.0)
