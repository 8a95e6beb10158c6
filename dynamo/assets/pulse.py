"""The dead man's switch: while the daemon works it reports to another service, which notices when that ends.

The address has the form of healthchecks.io: ``URL/start`` at the start, ``URL`` while all is well, ``URL/fail`` if not.
It is a secret: whoever has it can pretend that we live.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from dynamo.alerts.channels.posting import Address
from dynamo.config.freshness import PulseSection
from dynamo.errors import InputError, NotFoundError, RetryableError
from dynamo.files import expanded

_log = logging.getLogger("dynamo.pulse")
_WHERE = "pulse"
_LONGEST_REASON = 500
_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "dynamo-pulse"}


class Pulse:
    """Reports from a thread of its own, which nothing waits for.

    Parameters
    ----------
    section
        The section ``[pulse]``, with an address.
    base
        Where relative paths begin.
    trouble
        Returns why the daemon does not work; empty if it does. If it hangs, nothing is reported, as is right.

    Raises
    ------
    InputError, NotFoundError
        If there is no valid address; no message shows it.
    """

    def __init__(self, section: PulseSection, base: Path, trouble: Callable[[], str]) -> None:
        self._address = pulse_address(section, base)
        self._every_s = section.every_s
        self._trouble = trouble
        self._stop = threading.Event()
        self._last_words = ""
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Start to report."""
        self._thread.start()

    def stop(self, reason: str = "", timeout_s: float = 2.0) -> None:
        """Stop; with a reason, report a failure first. An end in order is not reported: it shows by itself."""
        self._last_words = reason
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        self._send("/start", "")
        while not self._stop.wait(self._every_s):
            self._beat()
        if self._last_words:
            self._send("/fail", self._last_words)

    def _beat(self) -> None:
        try:
            trouble = self._trouble()
        except Exception as error:  # whoever cannot tell that all is well must not say so
            _log.exception("unexpected error in the pulse")
            trouble = f"unexpected error: {type(error).__name__}"
        self._send("/fail" if trouble else "", trouble)

    def _send(self, below: str, text: str) -> None:
        try:
            self._address.post(text[:_LONGEST_REASON].encode(), _HEADERS, below=below)
        except RetryableError as error:
            if not self._failing:
                _log.warning("the pulse is not received", extra={"reason": error.what})
            self._failing = True
        else:
            if self._failing:
                _log.info("the pulse is received again")
            self._failing = False


def pulse_address(section: PulseSection, base: Path) -> Address:
    """Return where to report to.

    Raises
    ------
    InputError, NotFoundError
        If there is no valid address.
    """
    return Address(_url(section, base), where=_WHERE, timeout_s=section.timeout_s)


def _url(section: PulseSection, base: Path) -> str:
    if section.url is not None:
        return section.url.get_secret_value()
    if section.url_env is not None:
        text = os.environ.get(section.url_env, "").strip()
        if not text:
            raise NotFoundError(f"the environment variable {section.url_env} is empty", where=_WHERE)
        return text
    path = base / expanded(section.url_file or "")
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise NotFoundError(f"url_file {path}: {reason}", where=_WHERE) from None
    if not text:
        raise InputError("there is no address", where=_WHERE, expected=f"one in {path}")
    return text
