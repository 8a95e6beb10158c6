"""Real daemons for the integration tests, started once per session and ended with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dynamo.pool.control import down, up
from dynamo.pool.install.installation import install
from dynamo.pool.record import STATE_VARIABLE, PoolRecord


@pytest.fixture(scope="session")
def condor_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolRecord]:
    """A running HTCondor pool with two slots, to which `dynamo.pool.environment.use_pool` leads.

    HTCondor is installed when it is missing; where that is impossible, the tests fail and say why.
    """
    install(None, lambda _stage, _done, _total: None)
    state = tmp_path_factory.mktemp("condor")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CONDOR_CONFIG", raising=False)
        patch.setenv(STATE_VARIABLE, str(state))
        record, _ = up(slots=2, state=state)
        try:
            yield record
        finally:
            down(state)
