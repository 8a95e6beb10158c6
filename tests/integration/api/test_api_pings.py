"""Jobs report over real HTTP, on SQLite and PostgreSQL; what they miss or report opens a problem once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from dynamo.api.ping_routes import LONGEST_MESSAGE
from dynamo.api.server import ApiServer, start
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import create_token
from dynamo.assets.freshness import State
from dynamo.assets.problems import ProblemBook
from dynamo.assets.watched import JOB, Subject, Watched, enroll_jobs
from dynamo.config.file import parse_config
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.engine import Store, open_store
from dynamo.store.problems import JobReport, ProblemRecord
from dynamo.times import utc_now
from tests.integration import test_store

# The databases of the store's own tests.
url = test_store.url
COPY = Subject(JOB, "copy")
HOUR = timedelta(hours=1)


class Cron:
    """A job, the API that it reports to, and who watches it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        config = parse_config({"jobs": [{"name": "copy", "period_s": 3600, "grace_s": 60}]}, base=folder)
        self.config = config
        self.began = utc_now()
        with store.transaction() as session:
            enroll_jobs(session, config, self.began)
            self.token = create_token(session, "cron", ["ping"])
        self.watched = Watched(config, self.began)
        self.book = ProblemBook(store, ["ops"])
        self.server: ApiServer = start(store, folder, port=0, settings=ApiSettings(requests_per_s=1e6, burst=1e6))
        self.client = httpx.Client(base_url=self.server.url, headers={"Authorization": f"Bearer {self.token}"})

    def ping(self, below: str = "", method: str = "POST", **more: Any) -> None:
        response = self.client.request(method, f"/ping/copy{below}", **more)
        assert response.status_code == 200, response.text

    def state(self, after: timedelta = timedelta()) -> tuple[State, str]:
        """Return how the job is judged after a time, and let problems follow."""
        now = utc_now() + after
        with self.store.reading() as session:
            found = self.watched.judge(session, now)
        self.book.settle(found, now)
        return found[COPY].state, found[COPY].reason

    def problems(self) -> list[tuple[str, bool]]:
        with self.store.reading() as session:
            found = session.scalars(select(ProblemRecord).order_by(ProblemRecord.id)).all()
        return [(problem.kind, problem.closed_at is not None) for problem in found]


@pytest.fixture
def cron(url: str, tmp_path: Path) -> Iterator[Cron]:
    store = open_store(url)
    made = Cron(store, tmp_path)
    yield made
    made.client.close()
    made.server.stop()
    store.close()


def test_jobs_report_and_problems_open_and_close_once(cron: Cron) -> None:
    assert cron.state()[0] is State.NOT_EXPECTED
    assert cron.state(2 * HOUR) == (State.SILENT, "it never succeeded")
    cron.ping(method="GET")
    assert cron.state()[0] is State.FRESH
    cron.ping("/start", "HEAD")
    assert cron.state()[0] is State.FRESH
    assert cron.state(timedelta(minutes=2))[0] is State.LATE
    cron.ping("/fail", content="rsync: connection refused\n")
    state, reason = cron.state()
    assert state is State.FAILED
    assert reason.endswith(": rsync: connection refused")
    # Failed again, and begun again: the same problem.
    cron.ping("/3")
    assert cron.state()[1].endswith(": exit code 3")
    cron.ping("/3", content="copied\n" * 60 + "disk full\n")
    cron.ping("/start")
    assert cron.state()[1].endswith(": ..." + ("copied " * 60 + "disk full (exit code 3)")[-120:])
    cron.ping("/0?rid=7c2e")
    assert cron.state()[0] is State.FRESH
    assert cron.state(HOUR)[0] is State.FRESH
    # Late became failed without an end between: one problem.
    assert cron.problems() == [("silent", True), ("failed", True)]
    with cron.store.reading() as session:
        told = session.scalars(select(AlertMessage).order_by(AlertMessage.id)).all()
        assert [(message.place, message.kind) for message in told] == [("job:copy", "start"), ("job:copy", "over")] * 2
        assert set(session.scalars(select(AlertDelivery.channel))) == {"ops"}


def test_whatever_is_sent_is_stored_short_and_safe(cron: Cron) -> None:
    cron.ping("/fail", content=b"x" * 3_000_000 + b"\x1b[2J\0 \xff the end\n", headers={"Content-Encoding": "gzip"})
    with cron.store.reading() as session:
        message = session.scalars(select(JobReport.message)).one()
    assert len(message) == LONGEST_MESSAGE
    assert message.endswith("x\ufffd[2J\ufffd \ufffd the end")
    # As curl sends it with `-u`, from ~/.netrc, or from an address with a name in it.
    address = f"{cron.server.url}/ping/copy".replace("://", f"://cron:{cron.token}@")
    assert httpx.get(address).json() == {"job": "copy", "report": "success"}
    assert cron.state()[0] is State.FRESH
    for path, status in (
        ("/ping/copi", 404),
        ("/ping/" + "c" * 101, 422),
        ("/ping/copy/256", 422),
        ("/ping/copy/-1", 422),
        ("/ping/copy/done", 422),
        ("/ping/copy/start/1", 404),
        ("/ping/", 404),
        ("/v1/fleets", 403),
        ("/v1/tokens", 403),
    ):
        response = cron.client.get(path)
        assert response.status_code == status, path
    hint = cron.client.get("/ping/copi").json()["hint"]
    assert "when it started" in hint


def test_a_clock_that_was_set_back_hides_no_silence(cron: Cron) -> None:
    cron.ping()
    ahead = utc_now() + timedelta(days=300)
    with cron.store.transaction() as session:
        session.get_one(JobReport, "copy").succeeded_at = ahead
    with cron.store.transaction() as session:
        enroll_jobs(session, cron.config, utc_now())
    assert cron.state()[0] is State.FRESH
    assert cron.state(2 * HOUR)[0] is State.SILENT
    # One that is no longer configured is forgotten, and its problem is over.
    cron.config.jobs.clear()
    with cron.store.transaction() as session:
        enroll_jobs(session, cron.config, utc_now())
    assert cron.client.get("/ping/copy").status_code == 404
    assert cron.book.settle({}, utc_now()) == 1
    assert cron.problems() == [("silent", True)]
