"""The options that lists share: the same words mean the same everywhere, and a name that is wrong is told."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dynamo.cli.fleet.main import register_all as register_provision
from dynamo.cli.main import register_all
from dynamo.cli.options import past
from dynamo.errors import NotFoundError, UsageError
from dynamo.runs.ledger import decide
from dynamo.store.alerts import AlertDelivery, AlertMessage
from dynamo.store.checks import CheckResult, CheckReview
from dynamo.store.engine import open_store
from dynamo.store.models import Arrival, Product, Run, Series, StoredDocument
from dynamo.store.problems import ProblemRecord
from dynamo.times import utc_now

CONFIG = """
[[feeds]]
name = "nowcasts"
path = "incoming"
[[feeds]]
name = "sweeps"
path = "sweeps"
expect = ["KFWS"]
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
[[triggers]]
name = "each"
feed = "sweeps"
workflow = "hail"
"""
COUNTED: dict[str, Any] = {"slots": 1, "made": 1, "bytes": 1, "oldest_at": utc_now(), "newest_at": utc_now()}


@pytest.fixture(autouse=True)
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with an arrival, run, product, decision and problem of each of two feeds: one of today, one older."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    store = open_store(tmp_path / ".dynamo" / "store.sqlite")
    lines = (("nowcasts", "storms", "nowcast", "", "succeeded", 0), ("sweeps", "each", "hail", "KFWS", "failed", 50))
    with store.transaction() as session:
        for name in ("nowcast", "hail"):
            session.add(StoredDocument(sha256=name, name=name, version="1", body={}, recorded_at=utc_now()))
        session.flush()
        for feed, trigger, workflow, radar, state, hours in lines:
            at = utc_now() - timedelta(hours=hours)
            times: dict[str, Any] = dict.fromkeys(("valid_at", "closed_at", "detected_at", "recorded_at"), at)
            arrival = Arrival(feed=feed, path=f"{feed}.nc", size=1, mtime_ns=1, state="accepted", radar=radar, **times)
            session.add(arrival)
            session.flush()
            rest: dict[str, Any] = {"inputs": [], "parameters": {}, "run_dir": "", "software": "", "engine": "local"}
            times = dict.fromkeys(("created_at", "updated_at", "published_at", "valid_at"), at)
            words = {"workflow": workflow, "document": workflow, "trigger": trigger, "radar": radar, "state": state}
            made = Run(id=trigger, key=trigger, version="1", product_dir="x", **words, **times, **rest)
            made.arrival_id = arrival.id
            session.add(made)
            session.flush()
            session.add(Product(run_id=trigger, lfn=f"{trigger}.png", path="x", sha256="x", bytes=1))
            decide(session, arrival.path, "start", "new", trigger=trigger, feed=feed)
            decide(session, trigger, "remark", "about its run")
            subject = f"feed:{feed}/{radar}" if radar else f"workflow:{workflow}/{trigger}"
            facts = {"subject": subject, "kind": "late" if radar else "silent", "reason": "", "ending": ""}
            session.add(ProblemRecord(opened_at=at, told=False, **facts))
            finding: dict[str, Any] = {
                "file": "x",
                "check": "range",
                "severity": "warning",
                "place": "",
                "time": utc_now(),
            }
            session.add(CheckResult(run_id=trigger, series=feed, flag=4 if radar else 3, **finding))
            series = Series(kind="workflow", name=workflow, trigger=trigger, radar=radar, variant="", **COUNTED)
            session.add(series)
            session.add(
                CheckReview(run_id=trigger, state="waiting", check="range", reason="bad", opened_at=at, note="")
            )
            message = AlertMessage(key=trigger, place=trigger, hazard="storm", event=1, kind="new", text="", payload={})
            message.created_at = message.expires_at = at
            session.add(message)
            session.flush()
            delivery = AlertDelivery(message_id=message.id, channel="mail", attempts=1, error="", next_at=at)
            delivery.updated_at, delivery.state = at, "sent" if radar else "expired"
            session.add(delivery)
        decide(session, "alerts storm nowcast", "tell", "of no trigger and feed")
    store.close()


@functools.cache
def commands() -> Any:
    """The tree of commands: Typer takes longer to build it than most of them need."""
    return get_command(register_all())


def run(*words: str) -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer.testing._get_command", lambda _app: commands())
        return CliRunner().invoke(register_all(), words)


def ask(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exception is None, result.exception
    return orjson.loads(result.stdout)


def test_lists_can_be_narrowed() -> None:
    for words, key in ((("runs", "list"), "trigger"), (("products", "list"), "run")):
        assert [item[key] for item in ask(*words)] == ["storms", "each"]
        for option in (("--since", "2d"), ("--feed", "nowcasts"), ("--trigger", "storms"), ("--workflow", "nowcast")):
            assert [item[key] for item in ask(*words, *option)] == ["storms"], option
        assert [item[key] for item in ask(*words, "--radar", "kfws", "--feed", "sweeps")] == ["each"]
        assert ask(*words, "--radar", "KFWS", "--since", "2d") == []
    assert [item["id"] for item in ask("runs", "list", "-s", "failed", "-s", "held")] == ["each"]
    assert [item["feed"] for item in ask("store", "arrivals", "--since", "90min")] == ["nowcasts"]
    assert [item["feed"] for item in ask("store", "arrivals", "--feed", "sweeps", "--radar", "kfws")] == ["sweeps"]
    assert ask("store", "arrivals", "--state", "quarantined") == []
    for option in (("--feed", "sweeps"), ("--trigger", "each")):
        found = ask("store", "decisions", *option)
        assert [item["subject"] for item in found] == ["each", "sweeps.nc"], option
    assert len(ask("store", "decisions", "--since", "1h")) == 5
    assert ask("store", "decisions", "--since", "2099-01-01") == []


def test_reviews_and_messages_can_be_narrowed() -> None:
    def reviewed(*options: str) -> list[str]:
        return [item["id"] for item in ask("quarantine", "list", *options)]

    assert reviewed() == ["storms", "each"]
    for option in (("--trigger", "each"), ("--feed", "sweeps")):
        assert reviewed(*option) == ["each"], option

    def places(*options: str) -> list[str]:
        return [item["place"] for item in ask("alerts", "list", *options)]

    assert sorted(places()) == ["each", "storms"]
    assert places("--place", "each") == places("--state", "sent") == ["each"]
    assert places("--since", "2d") == places("--state", "expired", "--state", "waiting") == ["storms"]
    assert places("--state", "sending") == []


def test_results_of_checks_and_assets_can_be_narrowed() -> None:
    def runs(*options: str) -> list[str]:
        return [item["run_id"] for item in ask("checks", "results", *options)["results"]]

    assert runs() == ["each", "storms"]
    for option in (("--feed", "sweeps"), ("--trigger", "each"), ("--state", "bad")):
        assert runs(*option) == ["each"], option
    assert runs("--state", "bad", "--state", "suspect") == ["each", "storms"]
    assert runs("--state", "missing") == []

    def kinds(*options: str) -> set[str]:
        return {item["name"].partition("/")[0] for item in ask("assets", "list", *options)}

    assert kinds() == {"nowcasts", "sweeps", "nowcast", "hail"}
    assert kinds("--feed", "sweeps") == {"sweeps", "hail"}
    assert kinds("--trigger", "storms") == {"nowcast"}
    assert kinds("--feed", "sweeps", "--trigger", "storms") == set()


def test_problems_and_freshness_can_be_narrowed() -> None:
    for option in (("--feed", "sweeps"), ("--radar", "KFWS"), ("--state", "late")):
        assert [item["subject"] for item in ask("problems", "list", *option)] == ["feed:sweeps/KFWS"], option
    assert [item["subject"] for item in ask("problems", "list", "--trigger", "storms")] == ["workflow:nowcast/storms"]
    every = {item["subject"] for item in ask("freshness")}
    assert {"feed:nowcasts", "feed:sweeps/KFWS", "workflow:hail/each/KFWS"} <= every
    of_feed = {item["subject"] for item in ask("freshness", "--feed", "sweeps")}
    assert of_feed == {name for name in every if "sweeps" in name or "/each" in name}
    assert {item["trigger"] for item in ask("freshness", "--trigger", "each")} == {"each"}
    for state in {item["state"] for item in ask("freshness")}:
        assert {item["state"] for item in ask("freshness", "--state", state)} == {state}
    assert [item["name"] for item in ask("triggers", "list", "--feed", "sweeps", "--state", "active")] == ["each"]
    assert ask("triggers", "list", "--state", "paused") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("runs list --feed nowcast", "no such runs in {store}; did you mean --feed nowcasts?"),
        ("runs list -t storm -r KFW", "no such runs in {store}; did you mean --trigger storms --radar KFWS?"),
        ("products list --workflow nowcasts", "no such products in {store}; did you mean --workflow nowcast?"),
        # The name is right: nothing was meant instead.
        ("store arrivals --feed sweeps --state dropped", "no such arrivals in {store}"),
        ("backfill list", "no backfills in {store}"),
    ],
)
def test_an_empty_list_says_what_may_have_been_meant(words: str, told: str, tmp_path: Path) -> None:
    result = run(*words.split())
    assert result.output == told.format(store=f"sqlite:///{tmp_path}/.dynamo/store.sqlite") + "\n"


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        ("runs list --state faild", "unknown state 'faild'", "did you mean failed?"),
        ("store arrivals --state quarantine", "unknown state 'quarantine'", "did you mean quarantined?"),
        ("quarantine list --state droped", "unknown state 'droped'", "did you mean dropped?"),
        ("freshness --state frsh", "unknown state 'frsh'", "did you mean fresh?"),
        ("backfill list --state pause", "unknown state 'pause'", "did you mean paused?"),
        ("products list --tier wram", "unknown tier 'wram'", "did you mean warm?"),
        ("triggers pause storm", "unknown trigger 'storm'", "did you mean storms?"),
        ("workflow validate nowcasst", "nowcasst", "did you mean nowcast?"),
        ("submit nowcast --engine condr", "unknown engine 'condr'", "did you mean condor?"),
        ("runs list --since yesterday", "not a time", "90min, 2h, 7d"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(words: str, what: str, hint: str) -> None:
    error = run(*words.split()).exception
    assert isinstance(error, UsageError | NotFoundError)
    assert what in str(error)
    assert hint in str(error)


def test_commands_and_options_that_are_misspelled_are_told_with_the_nearest() -> None:
    for words, nearest in (("rums", "runs"), ("runs lst", "list"), ("runs list --sinc 1h", "--since")):
        result = run(*words.split())
        assert result.exit_code == 2
        assert nearest in result.output, result.output


def test_ages_and_times() -> None:
    now = datetime(2026, 6, 10, 12, tzinfo=UTC)
    for text, hours in (("90min", 1.5), ("1h", 1), ("2d", 48), ("1d12h", 36), ("2026-06-10T10:00Z", 2)):
        assert past(text, now, where="x") == now - timedelta(hours=hours)


def test_each_list_has_the_shared_options() -> None:
    """A list that is added has `--wide`, and options of one name have one meaning."""
    meanings: dict[str, set[str]] = {}
    for app in (register_all(), register_provision()):
        for path, command in leaves(get_command(app)):
            options = {option: param for param in command.params for option in param.opts}
            if path[-1] in ("list", "arrivals", "decisions", "events", "cost", "days", "freshness"):
                assert "--wide" in options or path[0] in ("module", "workflow"), path
                for name in ("--feed", "--trigger", "--radar"):
                    if name in options:
                        meanings.setdefault(name, set()).add(str(getattr(options[name], "help", "")))
    assert {name: len(texts) for name, texts in meanings.items()} == {"--feed": 1, "--trigger": 1, "--radar": 1}


def leaves(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return all commands by their words."""
    below = getattr(command, "commands", None)
    if below is None:
        return [(path, command)]
    return [leaf for name, one in below.items() for leaf in leaves(one, (*path, name))]
