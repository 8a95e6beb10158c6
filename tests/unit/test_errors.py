from __future__ import annotations

import errno
import os

import pytest

from dynamo.errors import DynamoError, InputError, RetryableError, passes, passing_fault


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EMFILE"])
def test_faults_of_file_systems_pass(name: str) -> None:
    number = getattr(errno, name)
    fault = OSError(number, os.strerror(number))
    assert passes(fault)
    wrapped = DynamoError("module plot failed")
    wrapped.__cause__ = ValueError("no image")
    wrapped.__cause__.__context__ = fault
    assert passing_fault(wrapped) is fault
    assert not passes(wrapped)


@pytest.mark.parametrize("name", ["ENOENT", "EACCES", "ENOTDIR", "EISDIR", "ENAMETOOLONG"])
def test_what_only_a_change_mends_does_not_pass(name: str) -> None:
    fault = OSError(getattr(errno, name), "")
    assert not passes(fault)
    assert passing_fault(fault) is None


def test_other_errors_pass_by_their_type() -> None:
    assert passes(RetryableError("busy"))
    assert not passes(InputError("bad"))
    assert passing_fault(InputError("bad")) is None
    assert passing_fault(None) is None
