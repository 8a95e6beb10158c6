"""Whose fault it is that a file cannot be read: the file's, or that of the disk, the network, or the machine."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import look
from dynamo.inspection.serving import Question, answer
from dynamo.times import utc_now
from dynamo.watch.examining import Bad, examine


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM])
@pytest.mark.parametrize(
    "content", [b"CDF\x01" + bytes(28), gzip.compress(b"AR2V0006.267", mtime=0)], ids=("netcdf", "nexrad")
)
def test_a_file_system_that_fails_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, content: bytes
) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)

    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    # A stand-in: no real file system of a test machine fails on demand.
    monkeypatch.setattr("netCDF4.Dataset", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    found = answer(Question(None, None, (path,), (), 1.0, 1.0))
    assert isinstance(found, OSError)
    assert found.errno == number

    monkeypatch.setattr("dynamo.watch.examining.inspect", fail)
    seen = look(path)
    assert seen is not None
    with pytest.raises(OSError, match=os.strerror(number)):
        examine(Candidate("a", path, "closed", utc_now()), seen, (), 0.0)


def test_a_file_that_may_not_be_read_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"CDF\x01")

    def refuse(*_arguments: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("dynamo.watch.examining.inspect", refuse)
    seen = look(path)
    assert seen is not None
    assert examine(Candidate("a", path, "closed", utc_now()), seen, (), 0.0) == Bad("cannot be read: Permission denied")
