"""Tokens of the API: made once, kept as a hash, valid until they expire or are revoked; limits of callers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from dynamo.api.limits import RateLimit, SlowCalls
from dynamo.api.server import parse_address
from dynamo.api.tokens import SCOPES, create_token, find_token, list_tokens, revoke_token
from dynamo.errors import BusyError, NotFoundError, RetryableError, UsageError
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import ApiToken
from dynamo.times import utc_now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def make(store: Store, name: str = "a", *scopes: str, hours: float | None = None) -> str:
    expires_at = None if hours is None else utc_now() + timedelta(hours=hours)
    with store.transaction() as session:
        return create_token(session, name, scopes or SCOPES, expires_at)


def test_a_token_is_found_by_itself_only(store: Store) -> None:
    token, other = make(store, "a", "read"), make(store, "b", "write", "read", "read")
    found = find_token(store, token)
    assert found is not None
    assert (found.name, found.role, found.how) == ("a", "viewer", "token a")
    assert token.startswith("dyn_")
    assert len(token) > 40
    second = find_token(store, other)
    assert second is not None
    assert (second.role, second.roles) == ("operator", ["viewer", "researcher", "operator"])
    for wrong in ("", "dyn_", token[:-1], token + "x", token.removeprefix("dyn_"), "dyn_é", "dyn_" + "x" * 10_000):
        assert find_token(store, wrong) is None


def test_the_store_has_no_token(store: Store, tmp_path: Path) -> None:
    token = make(store)
    with store.reading() as session:
        kept = str(session.execute(text("SELECT * FROM api_tokens")).all())
    assert token not in kept
    assert token.removeprefix("dyn_") not in kept


def test_expired_and_revoked_tokens_are_not_valid(store: Store) -> None:
    token = make(store, "a", hours=1)
    assert find_token(store, token) is not None
    with store.transaction() as session:
        session.execute(update(ApiToken).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert find_token(store, token) is None
    with store.reading() as session:
        assert [info.name for info in list_tokens(session)] == ["a"]
    other = make(store, "b")
    with store.transaction() as session:
        revoke_token(session, "b")
    assert find_token(store, other) is None
    with pytest.raises(NotFoundError), store.transaction() as session:
        revoke_token(session, "b")


def test_use_is_noted_once_a_minute(store: Store) -> None:
    token = make(store)

    def used() -> object:
        with store.reading() as session:
            return list_tokens(session)[0].last_used_at

    assert used() is None
    find_token(store, token)
    first = used()
    assert first is not None
    find_token(store, token)
    assert used() == first
    with store.transaction() as session:
        session.execute(update(ApiToken).values(last_used_at=utc_now() - timedelta(minutes=2)))
    find_token(store, token)
    assert used() >= first  # type: ignore[operator]


@pytest.mark.parametrize("name", ["", " a", "a b", "-a", "ä", "a" * 101, "a\n"])
def test_odd_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        make(store, name)


def test_scopes_times_and_taken_names_are_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="root"):
        make(store, "a", "root")
    with pytest.raises(UsageError, match="expired"):
        make(store, "a", hours=-1)
    with store.transaction() as session, pytest.raises(UsageError, match="without scopes"):
        create_token(session, "a", ())
    make(store, "a")
    with pytest.raises(BusyError):
        make(store, "a")


def test_a_caller_may_burst_and_then_keeps_to_the_rate() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 3.0, callers=2, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    assert limit.take("a") == pytest.approx(0.5)
    now[0] = 0.5
    assert limit.take("a") == 0
    assert limit.take("a") > 0
    now[0] = 1000
    assert [limit.take("a") for _ in range(4)].count(0) == 3
    for caller in ("b", "c"):
        assert limit.take(caller) == 0
    # Forgotten for two newer ones: it begins anew.
    assert limit.take("a") == 0


def test_slow_calls_do_not_queue() -> None:
    slow = SlowCalls(1)
    with slow.one(), pytest.raises(RetryableError), slow.one():
        pass
    with slow.one():
        pass


@pytest.mark.parametrize(
    ("text_", "address"),
    [
        ("127.0.0.1:81", ("127.0.0.1", 81)),
        ("[::1]:81", ("::1", 81)),
        ("[::1]", ("::1", 8080)),
        (":81", ("127.0.0.1", 81)),
        ("81", ("127.0.0.1", 81)),
        ("radar.example.org", ("radar.example.org", 8080)),
    ],
)
def test_addresses(text_: str, address: tuple[str, int]) -> None:
    assert parse_address(text_) == address


@pytest.mark.parametrize("text_", ["a:b", "a:99999", "a:-1"])
def test_no_addresses(text_: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text_)
