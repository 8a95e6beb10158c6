"""The server of the wheel stands in where the system has none."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres_server import postgres_server, wheel_installation


@pytest.mark.postgres
def test_the_wheel_serves_too() -> None:
    with postgres_server(wheel_installation()) as url, psycopg.connect(f"{url}/postgres") as connection:
        assert connection.info.server_version >= 180000
