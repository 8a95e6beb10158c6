"""Machine-readable log lines: logfmt or JSON on standard error."""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from typing import Any, Literal

import orjson

from dynamo.texts import escaped
from dynamo.times import from_epoch, to_iso

LogFormat = Literal["logfmt", "json"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class StructuredFormatter(logging.Formatter):
    """One line per record: time, level, message, and everything passed as ``extra``."""

    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        fields: dict[str, Any] = {
            "time": to_iso(from_epoch(record.created)),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._form == "json":
            return escaped(orjson.dumps(fields, default=str, option=orjson.OPT_UTC_Z).decode())
        return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def set_up_logging(form: LogFormat, level: str) -> None:
    """Send DyNamo's log to standard error, replacing any earlier setup."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(StructuredFormatter(form))
    logger = logging.getLogger("dynamo")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def _quoted(value: object) -> str:
    text = to_iso(value) if isinstance(value, datetime) else str(value)
    if text and text.isprintable() and not set(text) & set(' "=\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped) + '"'
