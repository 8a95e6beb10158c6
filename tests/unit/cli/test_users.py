"""`dynamo users` and `dynamo audit`: passwords come from files and pipes, and what was done is told."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dynamo.api.access.passwords import check_password
from dynamo.cli.main import register_all
from dynamo.errors import BusyError, DynamoError, InputError, NotFoundError, UsageError
from dynamo.store.access import User
from dynamo.store.engine import open_store

PASSWORD = "rain on the radome"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    (tmp_path / "dynamo.toml").write_text('[serve]\nbudget_period = "week"\n')


@functools.cache
def built() -> Any:
    return get_command(register_all())


def do(*words: str, stdin: str = "") -> Any:
    """Return what a command prints as JSON, or raise what it fails with."""
    with pytest.MonkeyPatch.context() as patched:
        # Building the commands takes longer than what they do here.
        patched.setattr("typer.testing._get_command", lambda _app: built())
        result = CliRunner().invoke(register_all(), [*words, "--json"], input=stdin)
    if result.exception is not None:
        raise result.exception
    return orjson.loads(result.stdout)


def stored(name: str) -> User:
    store = open_store(Path(".dynamo/store.sqlite"))
    try:
        with store.reading() as session:
            return session.get_one(User, name)
    finally:
        store.close()


def test_a_user_from_the_first_day_to_the_last(tmp_path: Path) -> None:
    assert do("users", "add", "ada", "--role", "admin", stdin=f"{PASSWORD}\n")["role"] == "admin"
    assert check_password(PASSWORD, stored("ada").password) == (True, None)
    do("users", "add", "rita", "--role", "researcher", "--budget", "50", "--no-password")
    assert stored("rita").password is None
    file = tmp_path / "password"
    file.write_text("hail in the gauge\n")
    file.chmod(0o600)
    do("users", "passwd", "rita", "--password-file", str(file))
    assert check_password("hail in the gauge", stored("rita").password)[0]
    do("users", "role", "rita", "viewer")
    do("users", "disable", "rita")
    do("users", "budget", "rita", "none")
    rita = {item["name"]: item for item in do("users", "list")}["rita"]
    assert (rita["role"], rita["disabled"], rita["budget"], rita["period"]) == ("viewer", True, None, "week")
    assert do("users", "enable", "rita")["disabled"] is False
    assert do("users", "budget", "rita", "2.5")["budget"] == 2.5
    assert do("users", "remove", "rita") == {"name": "rita", "removed": True}
    assert [item["name"] for item in do("users", "list")] == ["ada"]
    rows = do("audit")
    assert [row["route"].removeprefix("dynamo users ") for row in rows] == [
        *("remove", "budget", "enable", "budget", "disable", "role", "passwd", "add", "add")
    ]
    assert {(row["how"], row["status"]) for row in rows} == {("command line", 200)}
    assert [row["summary"] for row in do("audit", "-n", "2")] == ["", "budget=2.5"]
    assert do("audit", "--user", "nobody") == do("audit", "--since", "2999-01-01T00:00:00Z") == []
    assert PASSWORD not in str(rows)


MISTAKES: list[tuple[tuple[str, ...], str, type[DynamoError]]] = [
    (("add", "bob"), "short\n", InputError),
    (("add", "bob"), "", InputError),
    (("add", "a b", "--no-password"), "", UsageError),
    (("add", "bob", "--role", "root", "--no-password"), "", UsageError),
    (("add", "ada", "--no-password"), "", BusyError),
    (("role", "ada", "root"), "", UsageError),
    (("role", "bob", "viewer"), "", NotFoundError),
    (("passwd", "bob"), PASSWORD, NotFoundError),
    (("budget", "ada", "much"), "", UsageError),
    (("budget", "ada", "nan"), "", UsageError),
    (("remove", "bob"), "", NotFoundError),
]


def test_mistakes_change_nothing() -> None:
    do("users", "add", "ada", "--no-password")
    before = do("users", "list")
    for words, stdin, error in MISTAKES:
        with pytest.raises(error):
            do("users", *words, stdin=stdin)
    assert do("users", "list") == before
    assert len(do("audit")) == 1


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o640)
    with pytest.raises(InputError, match="others can read it"):
        do("users", "add", "ada", "--password-file", str(file))
