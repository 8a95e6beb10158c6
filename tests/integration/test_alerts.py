"""Alerts on a real store (SQLite and PostgreSQL), real HTTP servers and a real daemon."""

from __future__ import annotations

import http.server
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import typer
from sqlalchemy import select, update
from typer.testing import CliRunner

from dynamo.alerts.book import AlertBook, waiting
from dynamo.alerts.channels.apprise import AppriseOptions
from dynamo.alerts.channels.base import Channel, Note
from dynamo.alerts.channels.file import FileOptions
from dynamo.alerts.channels.registry import make_channels
from dynamo.alerts.channels.webhook import WebhookOptions
from dynamo.alerts.courier import Courier
from dynamo.alerts.hazards import HazardProduct, read_products
from dynamo.alerts.places import Places, parse_places
from dynamo.alerts.service import AlertService
from dynamo.cli.alerts import register
from dynamo.config.alerts import AlertsSection, ChannelSection
from dynamo.config.file import parse_config
from dynamo.errors import BusyError, InputError, NotFoundError, RetryableError, UsageError
from dynamo.formats.nowcast import NowcastHeader, nowcast_name, write_nowcast
from dynamo.radar.grid import LatLonGrid
from dynamo.store.alerts import AlertDelivery, AlertEvent, AlertMessage, AlertStream
from dynamo.store.engine import Store, open_store
from dynamo.store.lease import machine
from dynamo.store.models import ProcessLease, RunDecision
from dynamo.times import to_iso, utc_now
from dynamo.watch.watcher import Watcher
from tests.integration.test_store import store, url  # noqa: F401 - fixtures
from tests.waiting import wait_for

START = datetime(2019, 6, 10, 18, 0, tzinfo=UTC)
PLACES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": name, "distance_km": 5},
            "geometry": {"type": "Point", "coordinates": [lon, 33.0]},
        }
        for name, lon in (("Alpha", -97.0), ("Beta", -96.5))
    ],
}


def places(settings: AlertsSection) -> Places:
    return parse_places(PLACES, settings)


def write_hail(folder: Path, minute: float, *sizes: float | None, lons: Sequence[float] = (-97.0, -96.5)) -> Path:
    """Write a hail product; sizes in mm for each place, None for none."""
    valid = START + timedelta(minutes=minute)
    features = [
        {
            "type": "Feature",
            "properties": {"hazardType": "HAIL_CASA", "size_mm": size, "radars": ["KFWS"]},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[lon, 33], [lon + 0.02, 33], [lon + 0.02, 33.02], [lon, 33]]],
            },
        }
        for size, lon in zip(sizes, lons, strict=False)
        if size is not None
    ]
    path = folder / f"hmt_HAIL_CASA_KFWS_{valid:%Y%m%d-%H%M%S}.geojson"
    path.write_bytes(orjson.dumps({"type": "FeatureCollection", "valid_time": to_iso(valid), "features": features}))
    return path


def hail(folder: Path, minute: float, *sizes: float | None) -> HazardProduct:
    (product,) = read_products([write_hail(folder, minute, *sizes)])
    return product


def rows(store: Store, table: type[Any]) -> list[Any]:  # noqa: F811
    with store.reading() as session:
        return list(session.scalars(select(table).order_by(*table.__table__.primary_key)))


# -- the book


def test_a_place_is_told_once_again_when_worse_and_when_over(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["a", "b"])
    told = [
        book.judge(hail(tmp_path, minute, *sizes)).messages
        for minute, sizes in ((0, (20, None)), (1, (25,)), (2, (32, 10)), (3, ()), (17, ()), (18, ()))
    ]
    assert [len(some) for some in told] == [1, 0, 2, 0, 2, 0]
    assert told[0][0].startswith("Alpha: 20 mm hail overhead now (18:00 UTC)")
    assert "stronger: 32 mm hail" in told[2][0]
    assert told[4][0] == "Alpha: hail over; none within 5 km since 18:02 UTC (as of 18:17 UTC)"
    assert len(rows(store, AlertDelivery)) == 10
    assert [(event.place, event.open, event.messages) for event in rows(store, AlertEvent)] == [
        ("Alpha", False, 3),
        ("Beta", False, 2),
    ]
    assert len({message.key for message in rows(store, AlertMessage)}) == 5


def test_a_restart_neither_repeats_nor_loses(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    product = hail(tmp_path, 0, 20, 20)

    class Killed(Exception):
        pass

    class Dying(AlertBook):
        """Killed between the places and the note that the product is done."""

        def _write(self, *arguments: Any) -> list[str]:
            super()._write(*arguments)
            raise Killed

    with pytest.raises(Killed):
        Dying(store, places(settings), settings, ["a"]).judge(product)
    assert rows(store, AlertStream) == []
    assert len(rows(store, AlertMessage)) == 2
    again = AlertBook(store, places(settings), settings, ["a"])
    assert again.judge(product).messages == ()
    assert again.judge(product).skipped == "already judged"
    assert again.judge(hail(tmp_path, 1, 40)).concerned == 1
    assert len(rows(store, AlertMessage)) == len(rows(store, AlertDelivery)) == 3


def test_a_half_written_state_is_not_there(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()

    class Dying(AlertBook):
        def _address(self, *_: Any) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Dying(store, places(settings), settings, ["a"]).judge(hail(tmp_path, 0, 20))
    assert rows(store, AlertEvent) == rows(store, AlertMessage) == []


def test_late_and_future_products_change_nothing(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["a"])
    book.judge(hail(tmp_path, 0, 20))
    book.judge(hail(tmp_path, 20))
    assert "older than the newest" in book.judge(hail(tmp_path, 10, 60)).skipped
    now = START + timedelta(minutes=70)
    assert "more than 30 min ago" in book.judge(hail(tmp_path, 30, 60), now=now).skipped
    assert "clock" in book.judge(hail(tmp_path, 90, 60), now=now).skipped
    assert [message.kind for message in rows(store, AlertMessage)] == ["start", "over"]
    reasons = [decision.action for decision in rows(store, RunDecision)]
    assert reasons.count("skip") == 3
    assert reasons.count("tell") == 2


def test_another_radar_that_is_late_does_not_bring_back_what_is_over(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["a"])
    book.judge(hail(tmp_path, 0, 20))
    book.judge(hail(tmp_path, 20))
    (other,) = read_products([write_hail(tmp_path, 15, 60)], stream="other")
    assert book.judge(other).messages == ()


def seen_by(
    folder: Path, name: str, minute: float, radars: Sequence[str], *looked: str, size: float = 20
) -> HazardProduct:
    """Return the hail over Alpha that ``radars`` of those that looked have seen; none where there are none."""
    valid = to_iso(START + timedelta(minutes=minute))
    ring = [[-97, 33], [-96.98, 33], [-96.98, 33.02], [-97, 33]]
    feature = {
        "type": "Feature",
        "properties": {"hazardType": "HAIL_CASA", "size_mm": size, "radars": radars},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    features = [feature] if radars else []
    path = folder / f"hmt_HAIL_CASA_{name}_{START + timedelta(minutes=minute):%Y%m%d-%H%M%S}.geojson"
    data = {"type": "FeatureCollection", "valid_time": valid, "radars": looked, "features": features}
    path.write_bytes(orjson.dumps(data))
    (product,) = read_products([path], stream="hail")
    return product


def test_a_radar_that_dies_is_not_an_all_clear(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["a"])

    def judge(*arguments: Any, size: float = 20) -> tuple[str, ...]:
        return book.judge(seen_by(tmp_path, *arguments, size=size)).messages

    assert len(judge("A", 0, ["A"], "A")) == 1
    # A dies; B does not cover the place, and the composite is without A.
    for minute in range(1, 40, 4):
        assert judge("B", minute, [], "B") == ()
        assert judge("COMPOSITE", minute, [], "B", "C") == ()
    assert [event.open for event in rows(store, AlertEvent)] == [True]
    # A is back, or a composite with it.
    (over,) = judge("COMPOSITE", 40, [], "A", "B", "C")
    assert "over" in over


def test_who_saw_it_last_ends_it(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["a"])

    def judge(*arguments: Any, size: float = 20) -> tuple[str, ...]:
        return book.judge(seen_by(tmp_path, *arguments, size=size)).messages

    assert len(judge("A", 0, ["A"], "A")) == 1
    assert judge("COMPOSITE", 1, ["B"], "A", "B") == ()
    assert [event.eyes for event in rows(store, AlertEvent)] == ["B"]
    # An older sweep counts, but not for who saw it last.
    assert judge("C", 0.5, ["C"], "C") == ()
    assert [event.eyes for event in rows(store, AlertEvent)] == ["B"]
    assert judge("A", 30, [], "A") == ()
    assert len(judge("B", 31, [], "B")) == 1
    # Where nobody knows who kept it up, as in stores from before, anyone ends it.
    assert len(judge("A", 60, ["A"], "A")) == 1
    with store.transaction() as session:
        session.execute(update(AlertEvent).values(eyes=""))
    assert len(judge("B", 80, [], "B")) == 1


def test_places_choose_their_channels(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection(channels=[FileOptions(name=name, path=name) for name in "ab"])
    data = orjson.loads(orjson.dumps(PLACES))
    data["features"][0]["properties"]["channels"] = ["b"]
    book = AlertBook(store, parse_places(data, settings), settings, ["a", "b", "b#2"])
    book.judge(hail(tmp_path, 0, 20))
    assert [delivery.channel for delivery in rows(store, AlertDelivery)] == ["b", "b#2"]


def test_old_messages_are_removed(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["a"])
    book.judge(hail(tmp_path, 0, 20), now=START)
    book.tidy(START + timedelta(days=29))
    assert len(rows(store, AlertMessage)) == 1
    book.tidy(START + timedelta(days=31))
    assert rows(store, AlertMessage) == rows(store, AlertDelivery) == []
    assert len(rows(store, AlertEvent)) == 1
    book.judge(hail(tmp_path, 31 * 24 * 60))
    book.tidy(START + timedelta(days=31))
    assert rows(store, AlertEvent) == []


# -- channels


class Receiver:
    """A real HTTP server that answers as it is told: a status, ``slow`` (never), or ``drip`` (a byte at a time)."""

    def __init__(self, *answers: int | str) -> None:
        self.answers: list[int | str] = list(answers)
        self.bodies: list[Any] = []
        self.keys: list[str | None] = []
        self.end = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if isinstance(answer, int):
                    receiver.keys.append(self.headers["Idempotency-Key"])
                    receiver.bodies.append((answer, orjson.loads(body)))
                    self.send_response(answer)
                    if answer == 302:
                        self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    return
                while not receiver.end.wait(0.05):
                    if answer == "drip":
                        try:
                            self.wfile.write(b"H")
                        except OSError:
                            return

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the interface
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook?token=very-secret"

    def taken(self) -> list[dict[str, Any]]:
        return [message for answer, body in self.bodies if answer == 200 for message in body["messages"]]

    def close(self) -> None:
        self.end.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*answers: int | str) -> Receiver:
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


def webhook(address: str, name: str = "hook", **values: Any) -> WebhookOptions:
    return WebhookOptions.model_validate(
        {"name": name, "kind": "webhook", "url": address, "timeout_s": 0.4, "retry_s": 0.05, **values}
    )


def dead_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/very-secret"


NOTE = Note("k1", "text", {"key": "k1", "text": "text", "kind": "start"})


def channel(section: ChannelSection, base: Path) -> Channel:
    (made,) = make_channels([section], base)
    return made


def test_a_webhook_gets_the_message_and_its_key(receive: Callable[..., Receiver], tmp_path: Path) -> None:
    receiver = receive()
    channel(webhook(receiver.address), tmp_path).send([NOTE])
    assert receiver.taken() == [NOTE.payload]
    assert receiver.keys == ["k1"]


@pytest.mark.parametrize(
    ("answer", "message"), [(500, "500"), (404, "404"), (302, "302"), ("slow", "timed out"), ("drip", "timed out")]
)
def test_what_a_webhook_says_when_it_fails(
    answer: int | str, message: str, receive: Callable[..., Receiver], tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(RetryableError, match=message) as caught:
        channel(webhook(receive(answer).address), tmp_path).send([NOTE])
    assert time.monotonic() - started < 30
    assert "very-secret" not in str(caught.value)


def test_a_dead_server_says_so_without_its_address(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="refused") as caught:
        channel(webhook(dead_address()), tmp_path).send([NOTE])
    assert "very-secret" not in str(caught.value)


def test_a_certificate_that_nobody_signed_is_refused(receive: Callable[..., Receiver], tmp_path: Path) -> None:
    address = receive().address.replace("http:", "https:")
    with pytest.raises(RetryableError):
        channel(webhook(address), tmp_path).send([NOTE])


def test_apprise_sends_to_its_own_json_service(receive: Callable[..., Receiver], tmp_path: Path) -> None:
    first, second = receive(200, 500), receive()
    secrets = tmp_path / "secrets"
    port = first.server.server_address[1], second.server.server_address[1]
    secrets.write_text(f"# two services\njson://127.0.0.1:{port[0]}/a\n\njson://127.0.0.1:{port[1]}/b\n")
    section = AppriseOptions(name="chat", url_file="secrets")
    channels = make_channels([section], tmp_path)
    assert [made.name for made in channels] == ["chat", "chat#2"]
    for made in channels:
        made.send([NOTE, Note("k2", "more", {"kind": "over"})])
    assert first.bodies[0][1]["message"] == second.bodies[0][1]["message"] == "text\nmore"
    with pytest.raises(RetryableError, match="did not accept"):
        channels[0].send([NOTE])


@pytest.mark.parametrize("address", ["nothing", "ftp://host/very-secret", "http://user:very-secret@host/", "http:///x"])
def test_addresses_that_are_none_are_not_shown(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URL", address)
    with pytest.raises(InputError) as caught:
        make_channels([WebhookOptions(name="a", url_env="ALERT_URL")], tmp_path)
    assert "very-secret" not in str(caught.value)
    if address.startswith("nothing"):
        with pytest.raises(InputError):
            make_channels([AppriseOptions(name="a", url_env="ALERT_URL")], tmp_path)
    monkeypatch.delenv("ALERT_URL")
    with pytest.raises(NotFoundError, match="ALERT_URL"):
        make_channels([WebhookOptions(name="a", url_env="ALERT_URL")], tmp_path)


def test_a_file_has_each_message_once_and_survives_a_torn_line(tmp_path: Path) -> None:
    made = channel(FileOptions(name="log", path="a/log.jsonl"), tmp_path)
    made.send([NOTE])
    path = tmp_path / "a" / "log.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"torn')
    made.send([Note("k2", "t", {"key": "k2"}), Note("k1", "text", NOTE.payload, again=True)])
    assert path.read_bytes().splitlines() == [orjson.dumps(NOTE.payload), b'{"torn', b'{"key":"k2"}']


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(RetryableError, match="cannot write"):
        channel(FileOptions(name="log", path="log"), tmp_path).send([NOTE])


# -- couriers


def serve(
    store: Store,  # noqa: F811
    folder: Path,
    channels: Sequence[ChannelSection],
    *,
    standby: bool = False,
    **settings: Any,
) -> AlertService:
    (folder / "places.geojson").write_bytes(orjson.dumps(PLACES))
    section = AlertsSection(places="places.geojson", late_min=1e8, channels=list(channels), **settings)
    return AlertService(store, section, base=folder, poll_s=0.1, standby=standby)


def test_one_bad_channel_does_not_hold_up_the_others(
    store: Store,  # noqa: F811
    tmp_path: Path,
    receive: Callable[..., Receiver],
) -> None:
    good, flaky, slow = receive(), receive(500, 503), receive(*["slow"] * 50)
    sections = [
        webhook(slow.address, "slow"),
        webhook(dead_address(), "dead"),
        webhook(flaky.address, "flaky"),
        webhook(good.address, "good"),
        FileOptions(name="log", path="log.jsonl"),
    ]
    service = serve(store, tmp_path, sections)
    service.judge([write_hail(tmp_path, 0, 20, 20)], timely=False)
    started = time.monotonic()
    with service:
        wait_for(lambda: len(good.taken()) == 2 and (tmp_path / "log.jsonl").exists(), 3, "the good channels")
        assert time.monotonic() - started < 10  # 50 times the slow one's 0.4 s are 20
        wait_for(lambda: len(flaky.taken()) == 2, 10, "the third attempt")
    assert {message["key"] for message in good.taken()} == {message["key"] for message in flaky.taken()}
    deliveries = {(item.channel, item.state) for item in rows(store, AlertDelivery)}
    assert {("good", "sent"), ("log", "sent"), ("flaky", "sent")} <= deliveries
    left = [item for item in rows(store, AlertDelivery) if item.channel in ("slow", "dead")]
    assert all(item.state in ("waiting", "sending") and item.attempts >= 1 for item in left)
    assert any("refused" in item.error for item in left)
    assert "very-secret" not in "".join(item.error for item in rows(store, AlertDelivery))


def test_messages_wait_for_a_server_that_comes_back(
    store: Store,  # noqa: F811
    tmp_path: Path,
    receive: Callable[..., Receiver],
) -> None:
    address = dead_address()
    with serve(store, tmp_path, [webhook(address)]) as service:
        service.offer([write_hail(tmp_path, 0, 20)])
        wait_for(lambda: any(item.attempts for item in rows(store, AlertDelivery)), what="an attempt")
    assert waiting(store) == 1
    receiver = receive()
    with serve(store, tmp_path, [webhook(receiver.address)]) as service:
        assert service.wait_idle(300)
    assert [message["place"]["id"] for message in receiver.taken()] == ["Alpha"]


def test_only_the_newest_message_of_an_event_is_sent_late(
    store: Store,  # noqa: F811
    tmp_path: Path,
    receive: Callable[..., Receiver],
) -> None:
    receiver = receive(500)
    courier = Courier(store, channel(webhook(receiver.address, batch=1), tmp_path))
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["hook"])
    book.judge(hail(tmp_path, 0, 20))
    assert courier.deliver() > 0
    book.judge(hail(tmp_path, 1, 40))
    time.sleep(0.1)
    while waiting(store):
        courier.deliver()
    assert [message["kind"] for message in receiver.taken()] == ["worse"]
    assert [item.state for item in rows(store, AlertDelivery)] == ["superseded", "sent"]


def test_what_nobody_was_told_of_is_not_told_to_be_over(
    store: Store,  # noqa: F811
    tmp_path: Path,
    receive: Callable[..., Receiver],
) -> None:
    receiver = receive(500)
    courier = Courier(store, channel(webhook(receiver.address, batch=1), tmp_path))
    settings = AlertsSection()
    book = AlertBook(store, places(settings), settings, ["hook"])
    book.judge(hail(tmp_path, 0, 20))
    courier.deliver()
    book.judge(hail(tmp_path, 30))
    time.sleep(0.1)
    while waiting(store):
        courier.deliver()
    assert receiver.taken() == []
    assert {item.state for item in rows(store, AlertDelivery)} == {"superseded"}


def test_messages_are_given_up_after_their_time(store: Store, tmp_path: Path) -> None:  # noqa: F811
    settings = AlertsSection(expire_min=1)
    book = AlertBook(store, places(settings), settings, ["hook"])
    book.judge(hail(tmp_path, 0, 20), now=START)
    Courier(store, channel(webhook(dead_address()), tmp_path)).deliver()
    assert [item.state for item in rows(store, AlertDelivery)] == ["expired"]


def test_what_was_being_sent_at_a_kill_is_sent_again_with_its_key(
    store: Store,  # noqa: F811
    tmp_path: Path,
    receive: Callable[..., Receiver],
) -> None:
    receiver = receive()
    made = channel(webhook(receiver.address), tmp_path)

    class Killed(Courier):
        def _send(self, parcel: Any) -> str | None:
            super()._send(parcel)
            raise KeyboardInterrupt

    settings = AlertsSection()
    AlertBook(store, places(settings), settings, ["hook"]).judge(hail(tmp_path, 0, 20))
    with pytest.raises(KeyboardInterrupt):
        Killed(store, made).deliver()
    Courier(store, made).deliver()
    first, second = receiver.taken()
    assert first["key"] == second["key"]
    assert [(item.state, item.attempts) for item in rows(store, AlertDelivery)] == [("sent", 2)]


def test_a_store_has_one_alerter(store: Store, tmp_path: Path) -> None:  # noqa: F811
    service = serve(store, tmp_path, [])
    with pytest.raises(BusyError, match=rf"another daemon holds the alerts of this store: process {os.getpid()} on "):
        serve(store, tmp_path, [])
    service.stop()
    serve(store, tmp_path, []).stop()


def test_one_that_stands_by_takes_over_stands_back_and_takes_over_again(
    store: Store,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def reasons() -> str:
        return "\n".join(getattr(record, "reason", "") for record in caplog.records)

    monkeypatch.setattr("dynamo.alerts.service.RENEW_S", 0.0)
    first = serve(store, tmp_path, [])
    with serve(store, tmp_path, [], standby=True) as second:
        second.offer([write_hail(tmp_path, 0, 20)])
        assert second.wait_idle(0.0)
        assert f"another daemon holds the alerts of this store: process {os.getpid()} on " in reasons()
        first.stop()
        wait_for(lambda: alerter(store) == machine(), what="the takeover")
        wait_for(lambda: told_of(store, second, write_hail(tmp_path, 5, 20)), what="a message")
        # This machine slept, and a process on another one has the alerts.
        with store.transaction() as session:
            session.merge(elsewhere(seconds=600))
        wait_for(lambda: "process 1 on elsewhere" in reasons(), what="standing by")
        assert alerter(store) == "elsewhere/1"
        with store.transaction() as session:
            session.merge(elsewhere(seconds=-1))
        wait_for(lambda: alerter(store) == machine(), what="the second takeover")
        assert second.failure is None
    assert alerter(store) == ""


def alerter(store: Store) -> str:  # noqa: F811
    """Return the machine that handles the alerts."""
    return next((lease.host for lease in rows(store, ProcessLease) if lease.name == "alerts"), "")


def elsewhere(*, seconds: float) -> ProcessLease:
    """Return the lease of another machine's process, which ends in some seconds."""
    end = utc_now() + timedelta(seconds=seconds)
    return ProcessLease(name="alerts", token="t", host="elsewhere/1", pid=1, pid_started="1", expires_at=end)


def told_of(store: Store, service: AlertService, product: Path) -> bool:  # noqa: F811
    service.offer([product])
    return service.wait_idle(1.0, delivered=False) and bool(rows(store, AlertMessage))


def test_a_bad_product_is_told_and_the_next_one_is_judged(store: Store, tmp_path: Path) -> None:  # noqa: F811
    bad = tmp_path / "hmt_HAIL_CASA_KFWS_20190610-175900.geojson"
    bad.write_bytes(b'{"features": [')
    with serve(store, tmp_path, []) as service:
        service.offer([bad])
        service.offer([write_hail(tmp_path, 0, 20)])
        assert service.wait_idle(10, delivered=False)
    assert [message.place for message in rows(store, AlertMessage)] == ["Alpha"]
    assert any(item.action == "no-alerts" and "JSON" in item.reason for item in rows(store, RunDecision))


# -- with the daemon and on the command line


def write_storm(folder: Path, issue: datetime) -> None:
    """Write a nowcast whose storm lies over Alpha in two minutes."""
    lat, lon = np.mgrid[32.9:33.1:21j, -97.2:-96.9:31j]
    header = NowcastHeader(LatLonGrid(33.1, -97.2, 0.01, 0.01, 21, 31), issue, 3)
    fields = (55 * np.exp(-(((lon + 97.15 - 0.07 * lead) / 0.05) ** 2) - ((lat - 33) / 0.05) ** 2) for lead in range(3))
    write_nowcast(folder / nowcast_name(issue), header, fields)


def test_the_daemon_publishes_and_the_place_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "places.geojson").write_bytes(orjson.dumps(PLACES))
    config = parse_config(
        {
            "runs": {"min_free_mb": 0},
            "feeds": [{"name": "nowcasts", "path": "incoming", "settle_s": 0.2, "rescan_s": 0.5}],
            "triggers": [
                {"name": "storms", "feed": "nowcasts", "workflow": "nowcast", "parameters": {"min_points": 4}}
            ],
        },
        base=tmp_path,
    )
    section = AlertsSection(
        places="places.geojson", distance_km=1.0, channels=[FileOptions(name="log", path="log.jsonl")]
    )
    with Watcher(config) as watcher:
        with AlertService(watcher.service.store, section, base=tmp_path) as service:
            watcher.events.subscribe(service.on_event)
            write_storm(tmp_path / "incoming", utc_now().replace(second=0, microsecond=0))
            wait_for((tmp_path / "log.jsonl").exists, 60, "the message")
            assert service.wait_idle(300)
        # After a restart there is nothing new in the store, and nothing is read again.
        read: list[Any] = []
        monkeypatch.setattr("dynamo.alerts.service.read_products", lambda paths, **_: read.append(paths))
        with AlertService(watcher.service.store, section, base=tmp_path, poll_s=0.1) as service:
            service.catch_up()
            assert service.wait_idle(300)
        assert read == []
    (message,) = [orjson.loads(text) for text in (tmp_path / "log.jsonl").read_bytes().splitlines()]
    assert message["place"]["id"] == "Alpha"
    assert message["finding"]["lead_min"] in (1, 2)
    assert message["product"]["stream"] == "storm nowcast"


def test_the_daemon_watches_while_another_process_alerts_and_takes_over(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "places.geojson").write_bytes(orjson.dumps(PLACES))
    config = parse_config(
        {"alerts": {"places": "places.geojson"}, "feeds": [{"name": "nowcasts", "path": "incoming"}]}, base=tmp_path
    )
    opened = open_store(config.store_url)
    other = AlertService(opened, config.alerts, base=tmp_path)
    (before,) = [lease.token for lease in rows(opened, ProcessLease)]
    with Watcher(config) as watcher:
        tokens = {lease.name: lease.token for lease in rows(opened, ProcessLease)}
        assert tokens["alerts"] == before
        assert "watch" in tokens
        other.stop()
        wait_for(lambda: alerter(watcher.service.store) == machine(), what="the takeover")
    opened.close()


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    app = typer.Typer()
    register(app)

    def alerts(*arguments: str) -> Any:
        result = CliRunner().invoke(app, ["alerts", *arguments])
        if result.exception is not None:
            raise result.exception
        return orjson.loads(result.stdout)

    (tmp_path / "places.geojson").write_bytes(orjson.dumps(PLACES))
    product = str(write_hail(tmp_path, 0, 20))
    (found,) = alerts("check", product, "-p", "places.geojson", "--json")
    assert [item["place"] for item in found["findings"]] == ["Alpha"]
    listed = alerts("places", "places.geojson", "--hail", "10", "--json")
    assert [item["hail_mm"] for item in listed["places"]] == [10.0, 10.0]
    for count in (1, 0):
        told = alerts("run", product, "-p", "places.geojson", "--file", "log.jsonl", "--json")
        assert (len(told["messages"]), told["waiting"]) == (count, 0)
    assert len((tmp_path / "log.jsonl").read_bytes().splitlines()) == 1
    (message,) = alerts("list", "--json")
    assert message["deliveries"][0]["state"] == "sent"
    (event,) = alerts("list", "--open", "--json")
    assert event["place"] == "Alpha"
    for wrong, arguments in (
        (UsageError, ("check", product)),
        (NotFoundError, ("test", "none")),
        (NotFoundError, ("check", "nothing", "-p", "places.geojson")),
    ):
        with pytest.raises(wrong):
            alerts(*arguments)
