"""Records of one physical job for Pegasus's tools: an invocation record per logical job.

The format is pegasus-kickstart 3 (YAML) plus the summary line of pegasus-cluster, as read by `pegasus-monitord` 5.1.
JSON is YAML, so workers need no YAML library.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from dynamo.modules.runner import ended_well

NAMESPACE = "dynamo"
SITE = "condorpool"
#: The wait(2) status of a process that exited with code 1.
_RAW_FAILURE = 256


def transformation(module: str, version: str | None) -> str:
    """Return a module's Pegasus name, ``namespace::name[:version]``."""
    return f"{NAMESPACE}::{module}" + (f":{version}" if version else "")


def task_records(lines: Sequence[Mapping[str, Any]], *, total: int) -> str:
    """Return the records for the result lines of one task with ``total`` logical jobs."""
    address, user = _address(), _user()
    if total == 1:
        return "".join(_record(line, address, user) for line in lines)
    # Without a cluster line between them, the reader takes an invocation for a continuation of the previous one.
    records = [_record(line, address, user) + _task(line, number) for number, line in enumerate(lines, 1)]
    return "".join([*records, _summary(lines, total)])


def _record(line: Mapping[str, Any], address: str, user: str) -> str:
    failed = not ended_well(line)
    main = {
        "start": line["started"],
        "duration": line["wall_s"],
        "usage": {"utime": line["cpu_s"], "stime": 0.0},
        "status": {"raw": _RAW_FAILURE if failed else 0, "regular_exitcode": int(failed)},
        "executable": {"file_name": "dynamo-module"},
    }
    fields: dict[str, Any] = {
        "version": 3.0,
        "start": line["started"],
        "duration": line["wall_s"],
        "transformation": transformation(line["module"], line.get("module_version")),
        "derivation": line["job"],
        "resource": SITE,
        "hostname": line["host"],
        "hostaddr": address,
        "user": user,
        "mainjob": main,
    }
    if line.get("error"):
        fields["files"] = {"stderr": {"data": f"{line['error']}\n"}}
    body = "".join(f"  {key}: {orjson.dumps(value).decode()}\n" for key, value in fields.items())
    return f"- invocation: True\n{body}"


def _task(line: Mapping[str, Any], number: int) -> str:
    return (
        f'[cluster-task id={number}, name="{line["job"]}", start="{line["started"]}", '
        f"duration={line['wall_s']:.6f}, status={int(not ended_well(line))}, line={number}, "
        f'pid={os.getpid()}, app="dynamo-module"]\n'
    )


def _summary(lines: Sequence[Mapping[str, Any]], total: int) -> str:
    done = sum(map(ended_well, lines))
    duration = sum(line["wall_s"] for line in lines)
    start = min((line["started"] for line in lines), default="1970-01-01T00:00:00Z")
    return (
        f'[cluster-summary stat="{"ok" if done == total else "fail"}", lines={total}, tasks={total}, '
        f'succeeded={done}, failed={total - done}, extra=0, duration={duration:.6f}, start="{start}", '
        f'pid={os.getpid()}, app="dynamo"]\n'
    )


def _address() -> str:
    # Connecting a datagram socket sends nothing; it only makes the system pick a source address (RFC 5737 net).
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
