"""Sessions of people of a provider: asked about anew in time, and no longer than the provider is ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from dynamo.api.access.roles import Role
from dynamo.api.access.sessions import end_session, find_session, start_session
from dynamo.api.access.users import external_user, find_user
from dynamo.api.settings import ApiSettings
from dynamo.errors import RetryableError
from dynamo.store.engine import Store, open_store

SETTINGS = ApiSettings()


@dataclass
class Asked:
    """Answers as it is told to; a real provider is asked in tests/integration/oidc."""

    answer: tuple[Role, str] | Exception | None
    every: timedelta = timedelta(0)
    questions: list[str] = field(default_factory=list)

    def again(self, external: str) -> tuple[Role, str] | None:
        self.questions.append(external)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def forget(self, external: str) -> None:
        raise AssertionError(external)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.fixture
def cookie(store: Store) -> str:
    with store.transaction() as session:
        user = external_user(session, issuer="https://a.example", subject="1", name="ann", role="operator")
        session.flush()
        return start_session(session, user.name, "oidc", SETTINGS, external="first")


def role(store: Store, cookie: str, asked: Asked | None) -> Role | None:
    found = find_session(store, cookie, SETTINGS, asked)
    return None if found is None else found[0].role


def test_a_session_goes_on_with_the_role_and_the_tokens_of_now(store: Store, cookie: str) -> None:
    asked = Asked(("viewer", "second"))
    assert role(store, cookie, asked) == "viewer"
    assert role(store, cookie, asked) == "viewer"
    assert asked.questions == ["first", "second"]
    with store.reading() as session:
        assert find_user(session, "ann").role == "viewer"


def test_a_provider_that_does_not_answer_ends_no_session_and_is_left_alone(store: Store, cookie: str) -> None:
    asked = Asked(RetryableError("down"), every=timedelta(microseconds=1))
    assert [role(store, cookie, asked) for _ in range(3)] == ["operator"] * 3
    assert asked.questions == ["first"]


def test_a_no_ends_the_session_for_good(store: Store, cookie: str) -> None:
    assert role(store, cookie, Asked(None)) is None
    assert role(store, cookie, Asked(("operator", "second"))) is None


def test_a_provider_that_is_no_longer_ours_vouches_for_nobody(store: Store, cookie: str) -> None:
    assert role(store, cookie, None) is None


def test_the_end_of_a_session_tells_what_its_provider_gave(store: Store, cookie: str) -> None:
    with store.transaction() as session:
        assert end_session(session, cookie) == "first"
        assert end_session(session, cookie) is None


def test_nobody_takes_the_name_of_a_user_by_having_it_elsewhere(store: Store, cookie: str) -> None:
    with store.transaction() as session:
        other = external_user(session, issuer="https://b.example", subject="1", name="ann", role="admin")
        again = external_user(session, issuer="https://b.example", subject="1", name="renamed", role="viewer")
        assert (other.name, again.name) == ("ann-2", "ann-2")
        assert find_user(session, "ann").role == "operator"
