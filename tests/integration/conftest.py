"""Real daemons for the integration tests, started once per session and ended with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dynamo.errors import MissingPartError
from dynamo.pool.control import down, up
from dynamo.pool.install.installation import install
from dynamo.pool.record import STATE_VARIABLE, PoolRecord
from dynamo.store.engine import open_store
from tests.needs import HTCONDOR
from tests.postgres_server import postgres_server
from tests.stores import migrated

__all__ = ["migrated"]


@pytest.fixture(scope="session")
def htcondor() -> None:
    """HTCondor, installed when it is missing, where it can be."""
    try:
        install(None, lambda _stage, _done, _total: None)
    except MissingPartError as error:
        HTCONDOR.lacking(str(error))


@pytest.fixture(autouse=True)
def _what_is_marked(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("condor"):
        request.getfixturevalue("htcondor")


@pytest.fixture(scope="session")
def condor_pool(htcondor: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolRecord]:
    """A running HTCondor pool with two slots, to which `dynamo.pool.environment.use_pool` leads."""
    state = tmp_path_factory.mktemp("condor")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CONDOR_CONFIG", raising=False)
        patch.setenv(STATE_VARIABLE, str(state))
        record, _ = up(slots=2, state=state)
        try:
            yield record
        finally:
            down(state)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own; ended with it."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """The name of a database with a new store, for copies."""
    import psycopg

    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    open_store(f"{postgres}/migrated").close()
    return "migrated"
