"""Users over the API: who manages them, what researchers may do with runs, and what the audit has of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from dynamo.api.access import users
from dynamo.api.access.auditing import summary_of
from dynamo.api.access.budgets import bounds
from dynamo.api.app import make_app
from dynamo.api.run import orders
from dynamo.api.settings import ApiSettings
from dynamo.api.tokens import create_token
from dynamo.config.file import parse_config
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.spec.loading import load_spec
from dynamo.store.access import AuditRow, User
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Worker, WorkerHour, WorkerUse
from dynamo.store.models import Run
from dynamo.times import utc_now
from tests.integration.watch.watch_support import write_small
from tests.unit.api.serving import add_runs, run_row

FAST = ApiSettings(requests_per_s=1e6, burst=1e6, failures_per_s=1e6, failures_burst=1e6)
SPEC: dict[str, Any] = {
    "name": "storms",
    "sites": {"Simulated:a": {"driver": "simulated"}},
    "compute": [{"site": "Simulated:a", "name": "one", "count": 1, "costPerHour": 0.5}],
    "budget": {"currency": "SU"},
}
SCOPES = {"rita": "submit", "rob": "submit", "olga": "write", "ada": "admin", "vera": "read"}
ROLES = {"rita": "researcher", "rob": "researcher", "olga": "operator", "ada": "admin", "vera": "viewer"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    with made.transaction() as session:
        for name, role in ROLES.items():
            users.add_user(session, name, role)
    yield made
    made.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(orders, "detach", lambda run, _config: found.append(run.id))
    return found


class Callers:
    """Clients of one application, by the name of the user."""

    def __init__(self, store: Store, client: TestClient) -> None:
        self.client = client
        with store.transaction() as session:
            self._tokens = {
                name: create_token(session, f"of-{name}", [scope], user=name) for name, scope in SCOPES.items()
            }

    def __call__(self, name: str, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._tokens[name]}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)


@pytest.fixture
def ask(store: Store, tmp_path: Path, started: list[str]) -> Iterator[Callers]:
    with TestClient(make_app(store, tmp_path, FAST, parse_config({}, base=tmp_path))) as client:
        yield Callers(store, client)


def submit(ask: Callers, name: str, path: Path, **more: Any) -> Any:
    upload = ask(name, "POST", f"/v1/uploads?name={path.name}", content=path.read_bytes()).json()["upload"]
    body = {"workflow": "nowcast", "inputs": {"nowcast": [{"upload": upload}]}, **more}
    return ask(name, "POST", "/v1/runs", json=body)


def spend(store: Store, folder: Path, run: str, core_hours: float) -> None:
    """Have a run cost 0.5 SU per core-hour."""
    now = utc_now()
    with store.transaction() as session:
        apply_fleet(session, load_spec(SPEC, name="storms"), base=folder, now=now)
        worker = {"fleet": "storms", "worker": "one-1"}
        cost = {"cost_per_hour": 0.5, "seconds": 3600.0, "cost": 0.5, "core_s": 3600.0, "flavor": ""}
        session.add(WorkerHour(**worker, hour=now, site="Simulated:a", group="one", **cost))
        used = {"core_s": core_hours * 3600, "ok": True, "wall_s": 1.0, "workflow": "nowcast"}
        session.add(WorkerUse(**worker, job="1.0", ended_at=now, run=run, **used))


# -- researchers


def test_researchers_change_runs_of_their_own_only(
    ask: Callers, store: Store, tmp_path: Path, started: list[str]
) -> None:
    mine = submit(ask, "rita", write_small(tmp_path, 0)).json()["id"]
    assert ask("vera", "GET", f"/v1/runs/{mine}").json()["owner"] == "rita"
    assert [item["id"] for item in ask("vera", "GET", "/v1/runs?owner=rita").json()["items"]] == [mine]
    assert ask("vera", "GET", "/v1/runs?owner=rob").json()["items"] == []
    live = run_row(7, state="failed", published_at=None, run_dir=str(tmp_path / "live"))
    add_runs(store, live)
    for name, run in (("rob", mine), ("rita", live["id"])):
        for order in ("cancel", "retry"):
            refused = ask(name, "POST", f"/v1/runs/{run}/{order}")
            assert refused.status_code == 403
            assert refused.json()["detail"].startswith("not your run")
    assert ask("rita", "POST", f"/v1/runs/{mine}/cancel").status_code == 202
    assert ask("rita", "POST", f"/v1/runs/{mine}/retry").status_code == 202
    assert ask("olga", "POST", f"/v1/runs/{mine}/cancel").status_code == 202


def test_to_submit_again_takes_up_nobody_elses_failed_run(
    ask: Callers, store: Store, tmp_path: Path, started: list[str]
) -> None:
    path = write_small(tmp_path, 0)
    first = submit(ask, "rita", path).json()["id"]
    # Looking at what goes on is no order; nor is it started a second time.
    again = submit(ask, "rob", path).json()
    assert (again["id"], again["new"]) == (first, False)
    assert started == [first]
    with store.transaction() as session:
        session.execute(update(Run).values(state="failed"))
    assert submit(ask, "rob", path).status_code == 403
    assert submit(ask, "rob", path, force=True).status_code == 403
    assert submit(ask, "rita", path).json()["id"] == first
    with store.reading() as session:
        assert session.scalars(select(Run.owner)).all() == ["rita"]


def test_files_of_the_server_are_for_operators(store: Store, tmp_path: Path, started: list[str]) -> None:
    settings = ApiSettings(**{**vars(FAST), "local_files": True})
    body = {"workflow": "nowcast", "inputs": {"nowcast": [{"path": str(write_small(tmp_path, 0))}]}}
    with TestClient(make_app(store, tmp_path, settings, parse_config({}, base=tmp_path))) as client:
        ask = Callers(store, client)
        assert ask("rita", "POST", "/v1/runs", json=body).status_code == 403
        assert ask("olga", "POST", "/v1/runs", json=body).status_code == 202


def test_a_budget_that_is_used_up_allows_no_more_runs(
    ask: Callers, store: Store, tmp_path: Path, started: list[str]
) -> None:
    assert ask("ada", "PATCH", "/v1/users/rita", json={"budget": 10.0}).json()["budget"]["left"] == 10.0
    mine = submit(ask, "rita", write_small(tmp_path, 0)).json()["id"]
    others = submit(ask, "rob", write_small(tmp_path, 1)).json()["id"]
    spend(store, tmp_path, mine, core_hours=19.0)
    budget = ask("rita", "GET", "/v1/session").json()["budget"]
    assert (budget["limit"], budget["spent"], budget["left"], budget["currency"]) == (10.0, 9.5, 0.5, "SU")
    assert submit(ask, "rita", write_small(tmp_path, 2)).status_code == 202
    with store.transaction() as session:
        session.execute(update(WorkerUse).values(core_s=20 * 3600.0))
    refused = submit(ask, "rita", write_small(tmp_path, 3))
    assert refused.status_code == 403
    told = refused.json()
    assert told["detail"] == "your budget of this month is used up: 10.00 of 10.00 SU"
    assert (told["budget"]["spent"], told["budget"]["left"]) == (10.0, 0.0)
    assert ask("rita", "POST", f"/v1/runs/{mine}/retry").status_code == 403
    # What is not the user's own does not count, nor does what was ordered before this month.
    assert ask("rob", "POST", f"/v1/runs/{others}/cancel").status_code == 202
    with store.transaction() as session:
        session.execute(update(Run).values(created_at=bounds("month", utc_now())[0] - timedelta(seconds=1)))
    assert submit(ask, "rita", write_small(tmp_path, 3)).status_code == 202


def test_runs_under_way_count_with_what_is_expected_of_them(
    ask: Callers, store: Store, tmp_path: Path, started: list[str]
) -> None:
    ask("ada", "PATCH", "/v1/users/rita", json={"budget": 1.0})
    mine = submit(ask, "rita", write_small(tmp_path, 0), engine="condor").json()["id"]
    with store.transaction() as session:
        texts = dict.fromkeys(("reason", "flavor"), "")
        numbers = dict.fromkeys(("ram_mb", "attempts", "busy_cpus", "jobs", "jobs_killed"), 0)
        facts: dict[str, Any] = {"state": "ready", "unsure": False, "revoked": False, "addresses": []}
        place = {
            "fleet": "storms",
            "site": "Simulated:a",
            "group": "one",
            "since": utc_now(),
            "requested_at": utc_now(),
        }
        session.add(Worker(name="one-1", cpus=4, cost_per_hour=2.0, **texts, **numbers, **facts, **place))

    def budget() -> tuple[float, float]:
        told = ask("rita", "GET", "/v1/session").json()["budget"]
        return told["reserved"], told["left"]

    # Nothing is known of such runs.
    assert budget() == (0.0, 1.0)
    add_runs(store, *(run_row(number, cpu_s=cpu_s) for number, cpu_s in ((1, 1800.0), (2, 5400.0))))
    assert budget() == (0.5, 0.5)
    with store.transaction() as session:
        session.execute(update(Run).where(Run.id == mine).values(predicted_s=7200.0))
    assert budget() == (1.0, 0.0)
    refused = submit(ask, "rita", write_small(tmp_path, 1))
    assert (
        refused.json()["detail"] == "your budget of this month is used up: 0.00 of 1.00, 1.00 more for runs under way"
    )
    ask("rita", "POST", f"/v1/runs/{mine}/cancel")
    assert budget() == (0.0, 1.0)


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [("day", "2026-12-31", "2027-01-01"), ("week", "2026-12-28", "2027-01-04"), ("month", "2026-12-01", "2027-01-01")],
)
def test_periods_begin_in_utc(period: Any, begin: str, end: str) -> None:
    from datetime import datetime

    late = datetime.fromisoformat("2026-12-31T23:59:59-00:00")
    assert [f"{time:%Y-%m-%d}" for time in bounds(period, late)] == [begin, end]
    # Still the old year there, but not in UTC.
    assert bounds("month", datetime.fromisoformat("2026-12-31T20:00:00-05:00"))[0].year == 2027


# -- users and tokens


def test_admins_manage_users(ask: Callers, store: Store) -> None:
    made = ask("ada", "POST", "/v1/users", json={"name": "new", "role": "viewer", "password": "rain on the radome"})
    assert (made.status_code, made.json()["has_password"]) == (201, True), made.text
    assert "rain" not in made.text
    for body, status in (
        ({"name": "new", "role": "viewer"}, 409),
        ({"name": "of nobody", "role": "viewer"}, 400),
        ({"name": "x", "role": "root"}, 422),
        ({"name": "x", "role": "viewer", "password": "short"}, 422),
        ({"name": "x", "role": "viewer", "budget": -1}, 422),
        ({"name": "x", "role": "viewer", "extra": 1}, 422),
    ):
        assert ask("ada", "POST", "/v1/users", json=body).status_code == status, body
    changed = ask("ada", "PATCH", "/v1/users/new", json={"role": "operator", "budget": 3.0, "disabled": True}).json()
    assert (changed["role"], changed["budget"]["limit"], changed["disabled"]) == ("operator", 3.0, True)
    assert ask("ada", "PATCH", "/v1/users/new", json={"budget": None}).json()["budget"]["limit"] is None
    assert ask("ada", "DELETE", "/v1/users/new").status_code == 204
    for method in ("PATCH", "DELETE"):
        assert ask("ada", method, "/v1/users/new", json={}).status_code == 404
    listed = {item["name"]: item["role"] for item in ask("ada", "GET", "/v1/users").json()["items"]}
    assert listed == ROLES


def test_nobody_locks_the_own_door(ask: Callers) -> None:
    assert ask("ada", "PATCH", "/v1/users/ada", json={"role": "viewer"}).status_code == 409
    assert ask("ada", "PATCH", "/v1/users/ada", json={"disabled": True}).status_code == 409
    assert ask("ada", "DELETE", "/v1/users/ada").status_code == 409
    assert ask("ada", "PATCH", "/v1/users/ada", json={"budget": 1.0, "role": "admin"}).status_code == 200


def test_a_token_may_what_its_user_may_and_no_more(ask: Callers, store: Store) -> None:
    with store.transaction() as session:
        token = create_token(session, "greedy", ["admin"], user="rita")
    headers = {"Authorization": f"Bearer {token}"}

    def role() -> Any:
        return ask.client.get("/v1/session", headers=headers).json()["role"]

    assert role() == "researcher"
    ask("ada", "PATCH", "/v1/users/rita", json={"role": "operator"})
    assert role() == "operator"
    ask("ada", "PATCH", "/v1/users/rita", json={"disabled": True})
    assert role() is None
    ask("ada", "PATCH", "/v1/users/rita", json={"disabled": False})
    assert role() == "operator"
    ask("ada", "DELETE", "/v1/users/rita")
    assert role() is None


def test_users_see_and_revoke_tokens_of_their_own(ask: Callers, store: Store) -> None:
    assert [token["name"] for token in ask("rita", "GET", "/v1/tokens").json()["tokens"]] == ["of-rita"]
    assert len(ask("ada", "GET", "/v1/tokens").json()["tokens"]) == len(ROLES)
    # Whoever finds a token must not make one of it that outlives it.
    assert ask("rita", "POST", "/v1/tokens", json={"name": "more", "scopes": ["read"]}).status_code == 403
    assert ask("rita", "DELETE", "/v1/tokens/of-rob").status_code == 404
    assert ask("ada", "POST", "/v1/tokens", json={"name": "x", "scopes": ["read"], "user": "rob"}).status_code == 201
    assert ask("ada", "DELETE", "/v1/tokens/x").status_code == 204
    assert ask("rita", "DELETE", "/v1/tokens/of-rita").status_code == 204
    assert ask("rita", "GET", "/v1/runs").status_code == 401


def test_a_user_and_a_token_of_nobody_share_no_name(ask: Callers) -> None:
    assert ask("ada", "POST", "/v1/tokens", json={"name": "rita", "scopes": ["write"]}).status_code == 409
    assert ask("ada", "POST", "/v1/tokens", json={"name": "cron", "scopes": ["write"]}).status_code == 201
    assert ask("ada", "POST", "/v1/users", json={"name": "cron", "role": "researcher"}).status_code == 409


# -- the audit


def test_every_order_is_in_the_audit(ask: Callers, store: Store) -> None:
    made = {"name": "new", "role": "viewer", "password": "rain on the radome"}
    ask("ada", "POST", "/v1/users", json=made)
    ask("vera", "POST", "/v1/runs/abc/cancel?reason=calm")
    ask("ada", "GET", "/v1/users")
    ask.client.post("/v1/uploads?name=a", content=b"x")
    login = ask.client.post("/v1/session", json={"name": "rita", "password": "not the right one"})
    assert login.status_code in (401, 403)
    shown = ask("ada", "GET", "/v1/audit").json()["items"]
    told = [(row["who"], row["role"], row["how"], row["method"], row["route"], row["subject"]) for row in shown]
    assert told == [
        ("rita", "", "", "POST", "/v1/session", ""),
        ("", "", "", "POST", "/v1/uploads", ""),
        ("vera", "viewer", "token of-vera", "POST", "/v1/runs/{name}/cancel", "abc"),
        ("ada", "admin", "token of-ada", "POST", "/v1/users", "users/new"),
    ]
    assert [row["status"] for row in shown] == [login.status_code, 401, 403, 201]
    assert shown[-1]["summary"] == '{"name":"new","role":"viewer","password":"***"}'
    assert shown[-2]["summary"] == '{"reason":"calm"}'
    assert {row["address"] for row in shown} == {"testclient"}
    assert "radome" not in str(shown)


def test_an_order_is_stored_before_it_is_carried_out(
    ask: Callers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def crash(*_args: Any, **_more: Any) -> None:
        with store.reading() as session:
            seen.extend(session.execute(select(AuditRow.who, AuditRow.summary, AuditRow.status)).all())
        raise RuntimeError("the server dies here")

    monkeypatch.setattr(users, "add_user", crash)
    with pytest.raises(RuntimeError):
        ask("ada", "POST", "/v1/users", json={"name": "new", "role": "viewer"})
    assert seen == [("ada", '{"name":"new","role":"viewer"}', None)]
    assert [row["status"] for row in ask("ada", "GET", "/v1/audit").json()["items"]] == [500]


def test_what_the_audit_cannot_have_is_not_done(ask: Callers, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynamo.api.access import auditing
    from dynamo.store.engine import StoreUnavailableError

    def full(*_args: Any, **_more: Any) -> int:
        raise StoreUnavailableError("store unavailable: disk full")

    monkeypatch.setattr(auditing, "note_order", full)
    assert ask("ada", "POST", "/v1/users", json={"name": "new", "role": "viewer"}).status_code == 503
    with store.reading() as session:
        assert session.get(User, "new") is None


def test_the_audit_is_paged_and_searched(ask: Callers, store: Store) -> None:
    for number in range(5):
        ask(("ada", "olga")[number % 2], "POST", f"/v1/runs/r{number}/cancel")
    first = ask("ada", "GET", "/v1/audit?limit=3").json()
    second = ask("ada", "GET", "/v1/audit", params={"limit": 3, "after": first["next"]}).json()
    assert [row["subject"] for row in first["items"] + second["items"]] == ["r4", "r3", "r2", "r1", "r0"]
    assert second["next"] is None
    assert [row["subject"] for row in ask("ada", "GET", "/v1/audit?user=olga").json()["items"]] == ["r3", "r1"]
    assert ask("ada", "GET", "/v1/audit?since=2999-01-01T00:00:00Z").json()["items"] == []
    assert ask("ada", "GET", "/v1/audit?until=2999-01-01T00:00:00Z").json()["items"] != []
    assert ask("ada", "GET", "/v1/audit?after=x").status_code == 422


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"a": {"secret_key": "abc", "b": [1, {"c": {"d": 1}}]}}, '{"a":{"secret_key":"***","b":[1,"{...}"]}}'),
        ({"x": "y" * 500}, '{"x":"' + "y" * 77 + '..."}'),
        ({"x": "\x1b[2J<b>\n"}, '{"x":"\ufffd[2J<b>\\n"}'),
        ([1, 2], '{"body":[1,2]}'),
        (None, ""),
        ({f"k{n}": n for n in range(50)}, "{" + ",".join(f'"k{n}":{n}' for n in range(12)) + "}"),
        ({"url": "https://u:pw123456@h/x", "note": "token=abcdef"}, '{"url":"https://***@h/x","note":"token=***"}'),
    ],
)
def test_a_summary_is_short_and_has_no_secrets(body: Any, told: str) -> None:
    assert summary_of({}, body) == told
