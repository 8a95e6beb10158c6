from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from dynamo.store.lease import machine, process_start
from dynamo.watch.logs import StructuredFormatter


def record(message: str, **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelname": "INFO", "created": 0.25, "name": "dynamo"})
    vars(made).update(extra)
    return made


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ('a "quote"', '"a \\"quote\\""'),
        ("two\nlines", '"two\\nlines"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ("bell\x07", '"bell\\x07"'),
        (1.5, "1.5"),
        (datetime(2026, 5, 20, tzinfo=UTC), "2026-05-20T00:00:00Z"),
    ],
)
def test_logfmt_lines_are_one_line_and_can_be_split(value: object, shown: str) -> None:
    line = StructuredFormatter("logfmt").format(record("run failed", key=value))
    assert line == f'time=1970-01-01T00:00:00.250Z level=info msg="run failed" key={shown}'


def test_no_line_has_a_control_character() -> None:
    evil = "\x1b[2J\x9b1A\u202e"
    for form in ("logfmt", "json"):
        line = StructuredFormatter(form).format(record(evil, path=evil))
        assert line.isprintable()
    assert orjson.loads(line)["path"] == evil


def test_json_lines_are_json() -> None:
    line = StructuredFormatter("json").format(record("x", path="a\nb", when=datetime(2026, 5, 20, tzinfo=UTC)))
    assert "\n" not in line
    assert orjson.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "msg": "x",
        "path": "a\nb",
        "when": "2026-05-20T00:00:00Z",
    }


def test_processes_are_told_apart() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid())
    assert process_start(2**22 + 1) is None
    assert "/" in machine()
