"""The commands about fleets without any daemon: words, exit codes, times; orders and retention."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from dynamo.cli.fleet.main import register_all
from dynamo.cli.options import duration, past
from dynamo.errors import BusyError, DynamoError, InputError, NotFoundError, UsageError
from dynamo.provision import ledger
from dynamo.provision.fleets import scale, set_fleet_state
from dynamo.provision.keeping.attending import attend
from dynamo.provision.notes import FleetNote
from dynamo.provision.orders import (
    drain,
    end_fleet,
    extend_leases,
    refuse_ended_leases,
    refuse_other_number,
    refuse_superseded,
)
from dynamo.provision.retention import prune
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.states import ENDED
from dynamo.provision.status import fleet_names, fleet_status
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Fleet, FleetEvent, Worker
from dynamo.times import parse_time, utc_now
from tests.unit.provision.quick_fleets import put, run_until_settled, spec_of

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "state" / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    (tmp_path / "dynamo.toml").write_text('[folders]\nstate = "state"\n')
    monkeypatch.setenv("DYNAMO_CONFIG", str(tmp_path / "dynamo.toml"))
    monkeypatch.chdir(tmp_path)
    app = register_all()

    def call(*words: str, text: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=text)

    return call


def failure(result: Result) -> DynamoError:
    assert isinstance(result.exception, DynamoError), result.output
    return result.exception


class TestCommands:
    def test_each_has_help_with_words(self, run: Callable[..., Result]) -> None:
        names = "validate plan apply destroy status events cost scale drain reconcile daemon spec lease token pool"
        for name in names.split():
            result = run(name, "--help")
            assert result.exit_code == 0
            assert "Usage" in result.output

    def test_destroy_is_told_a_fleet_not_a_spec(self, run: Callable[..., Result]) -> None:
        error = failure(run("destroy", "local.json"))
        assert isinstance(error, UsageError)
        assert "--fleet NAME" in str(error)

    def test_validate_tells_every_error_with_its_place(self, run: Callable[..., Result], tmp_path: Path) -> None:
        bad = tmp_path / "bad.json"
        bad.write_text('{"compute": [{"site": "Nowhere", "count": -1, "colour": "red"}]}')
        good = tmp_path / "good.json"
        good.write_text(json.dumps(spec_of("good")))
        result = run("validate", str(bad), str(good))
        assert result.exit_code == 3
        lines = result.stderr.splitlines()
        assert len(lines) >= 3
        assert all(line.startswith(f"{bad}: compute[0].") for line in lines)
        assert f"{good}: OK" in result.stdout
        data = json.loads(run("validate", "--json", str(bad), str(good)).stdout)
        assert [item["valid"] for item in data] == [False, True]
        assert {problem["path"] for problem in data[0]["errors"]} >= {"compute[0].count", "compute[0].colour"}

    def test_validate_passes_over_schemas_beside_specs(self, run: Callable[..., Result], tmp_path: Path) -> None:
        good, schema = tmp_path / "good.json", tmp_path / "schema.json"
        good.write_text(json.dumps(spec_of("good")))
        schema.write_text(run("spec", "schema").stdout)
        result = run("validate", str(good), str(schema))
        assert result.exit_code == 0
        assert "skipped" in result.stderr
        assert "1 group," in result.stdout
        assert run("validate", str(schema)).exit_code == 3

    def test_validate_of_a_file_that_is_not_there(self, run: Callable[..., Result]) -> None:
        assert run("validate", "nothing.json").exit_code == 4

    def test_plan_and_apply_refuse_leases_that_ended(self, run: Callable[..., Result], tmp_path: Path) -> None:
        path = tmp_path / "old.json"
        path.write_text(json.dumps(spec_of("old", leaseEnd="2020-01-01T00:00:00Z")))
        for command in ("plan", "apply"):
            error = failure(run(command, str(path)))
            assert isinstance(error, InputError)
            assert "a at 2020-01-01T00:00:00Z" in str(error)

    def test_plan_and_apply_refuse_what_the_site_does_not_have(
        self, run: Callable[..., Result], store: Store, tmp_path: Path
    ) -> None:
        path = tmp_path / "wrong.json"
        path.write_text(json.dumps(spec_of("wrong", flavor="smal")))
        for command in ("plan", "apply"):
            result = run(command, str(path))
            assert result.exit_code == 8, result.output
            assert "a: Sim:A: flavor 'smal' not found" in result.stderr
            assert "did you mean 'small'?" in result.stderr
        told = json.loads(run("apply", "--json", "--no-wait", str(path)).stdout)
        assert (told["changed"], len(told["problems"])) == (False, 1)
        with store.reading() as session:
            assert fleet_names(session) == []

    def test_plan_knows_every_cap_of_the_budget(self, run: Callable[..., Result], tmp_path: Path) -> None:
        path = tmp_path / "dear.json"
        for budget, code, words in (
            ({"per_hour": 2}, 0, ""),
            ({"per_hour": 1.9}, 8, "the cap of 1.9 USD per hour would be exceeded"),
            ({"per_day": 0.5}, 8, "the cap of 0.5 USD per day would be exceeded"),
            ({"total": 1.5}, 8, "the cap of 1.5 USD in total would be exceeded"),
        ):
            path.write_text(json.dumps({**spec_of("dear", 2, costPerHour=1), "budget": budget}))
            result = run("plan", str(path))
            assert result.exit_code == code, result.output
            assert words in result.stderr

    def test_a_mobius_request_is_a_spec(self, run: Callable[..., Result], tmp_path: Path) -> None:
        path = tmp_path / "request.json"
        path.write_text('{"site": "Simulated:A", "cpus": "2", "gpus": "0", "coallocate": "false"}')
        plan = json.loads(run("plan", "--json", str(path)).stdout)
        assert plan["create"] >= 1

    def test_without_a_fleet(self, run: Callable[..., Result]) -> None:
        for words in (("status",), ("scale", "a", "1"), ("drain", "a"), ("destroy",), ("events",), ("cost",)):
            assert isinstance(failure(run(*words)), NotFoundError)

    def test_apply_without_waiting_says_that_nothing_happens(self, run: Callable[..., Result], tmp_path: Path) -> None:
        path = tmp_path / "one.json"
        path.write_text(json.dumps(spec_of("one")))
        result = run("apply", "--no-wait", str(path))
        assert result.exit_code == 0
        assert "run `dynamo-provision daemon`" in result.stderr
        assert "one: no changes" in run("apply", "--no-wait", str(path)).stdout
        assert isinstance(failure(run("scale", "a", "99", "--no-wait")), UsageError)
        assert "4 workers requested" in run("scale", "Sim:A", "4", "--no-wait").stdout
        lines = [event["action"] for event in json.loads(run("events", "--json").stdout)]
        assert lines == ["apply", "scale"]
        status = json.loads(run("status", "--json").stdout)
        assert (status["groups"][0]["wanted"], status["groups"][0]["source"]) == (4, "operator")
        assert json.loads(run("cost", "--json", "--by", "day").stdout)["rows"] == []
        assert isinstance(failure(run("cost", "--by", "colour")), UsageError)
        assert "nothing changed" in run("destroy", text="no\n").stderr
        assert run("destroy", "--no-wait", "--yes").exit_code == 0
        assert json.loads(run("status", "--json").stdout)["state"] == "ending"
        assert isinstance(failure(run("apply", str(path))), BusyError)

    def test_leases_need_an_end_and_a_site_that_has_them(
        self, run: Callable[..., Result], tmp_path: Path, store: Store
    ) -> None:
        put(store, tmp_path, spec_of("one"))
        assert isinstance(failure(run("lease", "extend", "a")), UsageError)
        assert isinstance(failure(run("lease", "extend", "a", "--for", "2x")), UsageError)
        assert "no lease" in str(failure(run("lease", "extend", "a", "--for", "2h")))
        assert isinstance(failure(run("lease", "extend", "b", "--for", "2h")), NotFoundError)

    def test_spec_docs_and_schema(self, run: Callable[..., Result]) -> None:
        assert run("spec", "docs").stdout.startswith("# The fleet spec")
        assert json.loads(run("spec", "schema").stdout)["title"] == "DyNamo fleet spec"

    def test_tokens(self, run: Callable[..., Result]) -> None:
        made = run("token", "create", "dashboard", "--scope", "read", "--scope", "write", "--days", "2")
        token = made.stdout.strip()
        assert token.startswith("dyn_")
        assert token not in made.stderr
        [listed] = json.loads(run("token", "list", "--json").stdout)
        assert (listed["name"], listed["scopes"]) == ("dashboard", ["read", "write"])
        assert parse_time(listed["expires_at"]) - utc_now() < timedelta(days=2)
        assert token not in run("token", "list").stdout
        assert run("token", "revoke", "dashboard").exit_code == 0
        assert isinstance(failure(run("token", "revoke", "dashboard")), NotFoundError)

    @pytest.mark.parametrize(
        ("words", "names"),
        [("scale ", {"a", "Sim:A"}), ("drain S", {"Sim:A"}), ("status --fleet o", {"one"}), ("daemon ", {"one"})],
    )
    @pytest.mark.usefixtures("run")
    def test_completion(self, words: str, names: set[str], tmp_path: Path, store: Store) -> None:
        put(store, tmp_path, spec_of("one"))
        assert set(complete(words)) == names

    @pytest.mark.usefixtures("run")
    def test_completion_never_fails_and_makes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert complete("scale ") == []
        assert not (tmp_path / "state").exists()
        (tmp_path / "dynamo.toml").write_text("[broken")
        assert complete("scale ") == []
        monkeypatch.setenv("DYNAMO_CONFIG", str(tmp_path / "none.toml"))
        assert complete("drain ") == []


def complete(words: str) -> list[str]:
    parts = words.split()
    count = len(parts) + (1 if words.endswith(" ") else 0)
    environment = {
        "_DYNAMO_PROVISION_COMPLETE": "complete_bash",
        "COMP_WORDS": f"dynamo-provision {words}",
        "COMP_CWORD": str(count),
    }
    result = CliRunner().invoke(register_all(), [], prog_name="dynamo-provision", env=environment)
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout.split()


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("90", 90), ("90s", 90), ("45m", 2700), ("+2h", 7200), ("1d12h", 129_600)]
    )
    def test_durations(self, text: str, seconds: float) -> None:
        assert duration(text, where="--for") == timedelta(seconds=seconds)

    @pytest.mark.parametrize("text", ["", "0", "h", "-2h", "2 hours", "1e3", "99999999d", "2026-01-01"])
    def test_no_durations(self, text: str) -> None:
        with pytest.raises(UsageError, match="--for"):
            duration(text, where="--for")

    def test_past(self) -> None:
        assert past("2h", NOW, where="--since") == NOW - timedelta(hours=2)
        assert past("2026-06-09T00:00:00Z", NOW, where="--since") == NOW - timedelta(hours=36)
        with pytest.raises(UsageError):
            past("yesterday", NOW, where="--since")


class TestOrders:
    def test_leases_that_begin_later_may(self) -> None:
        spec = load_spec(spec_of("x", leaseStart="+1h", leaseEnd="+2h"))
        refuse_ended_leases(spec, NOW)

    def test_a_site_is_drained_with_its_groups(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one", 2))
        run_until_settled(store)
        with store.transaction() as session:
            done = drain(session, "one", "Sim:A", utc_now(), deadline_s=60)
        assert (done.site, done.groups, set(done.workers.values())) == (True, ("a",), {"draining"})
        status = fleet_status(store, "one")
        assert status.groups[0].wanted == 0
        assert all(worker.drain_deadline for worker in status.workers)

    def test_another_spec_meanwhile_is_told(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        refuse_superseded(store, load_spec(spec_of("one")))
        put(store, tmp_path, spec_of("one", 2))
        with pytest.raises(BusyError, match="another spec"):
            refuse_superseded(store, load_spec(spec_of("one")))

    def test_another_number_meanwhile_is_told(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        for wanted in (3, 2):
            with store.transaction() as session:
                scale(session, "one", "a", wanted, utc_now())
            refuse_other_number(store, "one", "a", wanted)
        with pytest.raises(BusyError, match="2 workers were ordered in the meantime"):
            refuse_other_number(store, "one", "a", 3)
        put(store, tmp_path, spec_of("one"))
        with pytest.raises(BusyError, match="undone in the meantime"):
            refuse_other_number(store, "one", "a", 2)

    def test_an_end_can_be_hurried_not_slowed(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        states = []
        for at_once in (False, True, False):
            with store.transaction() as session:
                states.append(end_fleet(session, "one", utc_now(), at_once=at_once).state)
        assert states == ["ending", "ending-now", "ending-now"]

    def test_the_end_of_a_lease_moves_in_the_spec(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one", leaseEnd="+1h"))
        until = utc_now().replace(microsecond=0) + timedelta(days=1)
        [order] = extend_leases(store, "one", "a", until=until)
        assert (order.group, order.worker, order.error) == ("a", "", "")
        with store.reading() as session:
            fleet = session.get(Fleet, "one")
            assert fleet is not None
            assert parse_time(fleet.spec["compute"][0]["leaseEnd"]) == until
            assert ledger.events(session, "one")[-1].action == "extend"
        [order] = extend_leases(store, "one", "Sim:A", by=timedelta(hours=2))
        assert order.until is not None
        assert parse_time(order.until) == until + timedelta(hours=2)
        # The same document again is no reason to go back.
        put(store, tmp_path, spec_of("one", leaseEnd="+1h"))
        with store.reading() as session:
            assert parse_time(ledger.fleet_named(session, "one").spec["compute"][0]["leaseEnd"]) > until


class TestStatus:
    def test_what_the_loop_would_not_want_is_not_missing(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("later", leaseStart="+1h", leaseEnd="+2h"))
        status = fleet_status(store, "later")
        assert status.groups[0].wanted == 0
        assert status.settled

    def test_processors_are_missing_until_workers_have_them(self, store: Store, tmp_path: Path) -> None:
        spec = spec_of("some")
        spec["compute"] = [{"name": "a", "site": "Sim:A", "cpus": 4}]
        put(store, tmp_path, spec)
        status = fleet_status(store, "some")
        assert status.groups[0].wanted is None
        assert not status.settled
        run_until_settled(store, "some")
        assert fleet_status(store, "some").settled


class TestRetention:
    def test_what_is_old_goes(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        now = utc_now()
        with store.transaction() as session:
            ledger.note(session, "one", [FleetNote("grow", "old")], now - timedelta(days=31))
            ledger.note(session, "one", [FleetNote("grow", "new")], now - timedelta(days=29))
            rows = [("old", 31, "released", True), ("open", 31, "released", False), ("young", 29, "lost", True)]
            rows.append(("alive", 31, "ready", False))
            common = {"site": "Sim:A", "group": "a", "reason": "", "flavor": "f", "cpus": 1, "ram_mb": 1}
            ledger.add_workers(
                session,
                "one",
                [
                    {
                        **common,
                        "cost_per_hour": 0.0,
                        "name": name,
                        "state": state,
                        "revoked": revoked,
                        "ended_at": None if state == "ready" else now - timedelta(days=days),
                    }
                    for name, days, state, revoked in rows
                ],
            )
        assert prune(store, now) == (1, 1)
        assert prune(store, now) == (0, 0)
        with store.reading() as session:
            assert set(session.scalars(select(Worker.name))) == {"open", "young", "alive"}
            assert [event.reason for event in session.scalars(select(FleetEvent))] == ["new fleet", "new"]
        with pytest.raises(UsageError):
            prune(store, now, keep_days=0)

    def test_a_fleet_that_ended_keeps_no_unrevoked_workers(self, store: Store, tmp_path: Path) -> None:
        put(store, tmp_path, spec_of("one"))
        run_until_settled(store)
        with store.transaction() as session:
            end_fleet(session, "one", utc_now())
        attend(store, "one", lambda glance: glance.ended, timeout_s=20)
        events, workers = prune(store, utc_now() + timedelta(days=31))
        assert events > 3
        assert workers == 1

    def test_reconcile_looks_after_fleets_that_ended(
        self, run: Callable[..., Result], store: Store, tmp_path: Path
    ) -> None:
        assert isinstance(failure(run("reconcile")), NotFoundError)
        put(store, tmp_path, spec_of("one"))
        with store.transaction() as session:
            set_fleet_state(session, "one", ENDED, utc_now())
        for words in (("reconcile",), ("reconcile", "--fleet", "one")):
            result = run(*words)
            assert (result.exit_code, result.stdout.strip()) == (0, "nothing to do"), result.output
        told = json.loads(run("reconcile", "--json").stdout)
        assert (told["settled"], told["leftovers"], told["problems"]) == (True, [], [])
        assert isinstance(failure(run("reconcile", "--fleet", "two")), NotFoundError)
