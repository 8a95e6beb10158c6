"""`dynamo alerts`: find the places a product affects, alert them, and list what was sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_channels
from dynamo.cli.console import err, out, print_json
from dynamo.cli.options import Chosen, SinceOption, WideOption, choose, state_option
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import named, print_table, when, worded
from dynamo.cli.watch import ConfigOption
from dynamo.texts import counted

if TYPE_CHECKING:
    from dynamo.alerts.hazards import HazardProduct
    from dynamo.alerts.matching import Finding
    from dynamo.alerts.places import Places
    from dynamo.config.alerts import AlertsSection
    from dynamo.config.file import Config

#: Of one delivery of a message.
DELIVERY_STATES = ("waiting", "sending", "sent", "superseded", "expired")
PlacesOption = typer.Option(
    None, "--places", "-p", help="GeoJSON file of places. Default: from the configuration.", show_default=False
)
DistanceOption = typer.Option(None, "--distance", min=0, max=200, help="Distance in km, unless the place sets its own.")
LevelOption = typer.Option(None, "--level", min=-30, max=100, help="Minimum dBZ, unless the place sets its own.")
HailOption = typer.Option(
    None, "--hail", min=0, max=300, help="Minimum hail size in mm, unless the place sets its own."
)
LeadOption = typer.Option(None, "--lead", min=0, max=1440, help="Lead time in minutes, unless the place sets its own.")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Alert places to storms and hail; list places and messages.")
    group.command("check")(check)
    group.command("run")(run)
    group.command("places")(places)
    group.command("list")(list_)
    group.command("test")(try_channel)
    app.add_typer(group, name="alerts")


def check(
    products: list[Path] = typer.Argument(help="Product folders or GeoJSON files."),
    places: Path | None = PlacesOption,
    distance: float | None = DistanceOption,
    level: float | None = LevelOption,
    hail: float | None = HailOption,
    lead: int | None = LeadOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Show which places products affect; send and store nothing."""
    from dynamo.alerts.hazards import read_products
    from dynamo.alerts.matching import match

    _, _, told = _settings(config, places, distance, level, hail, lead)
    read = read_products(products)
    found = [(product, match(told, product)) for product in read]
    if as_json:
        print_json([_product_json(told, product, findings) for product, findings in found])
        return
    for product, findings in found:
        for finding in findings:
            out.print(_line(told, product, finding), markup=False)
        left = f", {counted(product.left_out, 'feature')} skipped" if product.left_out else ""
        err.print(
            f"{product.hazard} {product.issued:%Y-%m-%d %H:%M:%S} UTC:"
            f" {len(findings)} of {counted(len(told), 'place')} affected,"
            f" {counted(len(product.polygons), 'polygon')}{left}",
            markup=False,
        )
    if not read:
        err.print("no storm or hail products found")


def run(
    products: list[Path] | None = typer.Argument(
        None, help="Product folders or files to process, then exit. Default: follow the daemon's store."
    ),
    places: Path | None = PlacesOption,
    file: Path | None = typer.Option(None, "--file", help="Also append messages to this JSON Lines file."),
    once: bool = typer.Option(False, "--once", help="Process what the daemon published recently, then exit."),
    wait: float = typer.Option(30.0, "--wait", min=0, help="Seconds to wait for channels before exiting."),
    poll: float = typer.Option(1.0, "--poll", min=0.1, help="Polling interval for new products, in seconds."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Alert the configured places to storms and hail.

    Products named here are processed in time order, regardless of age. Exit codes: 0 done, 5 if a channel did not
    accept everything within --wait, 7 if another process is alerting from this store.
    """
    from dynamo.alerts.book import waiting
    from dynamo.alerts.service import AlertService
    from dynamo.errors import RetryableError
    from dynamo.store.engine import open_store
    from dynamo.watch.logs import set_up_logging

    settings, section, _ = _settings(config, places, None, None, None, None, file=file)
    follow = not products and not once
    level = settings.watch.log_level if follow else "warning"
    set_up_logging("json" if as_json else settings.watch.log_format, level)
    store = open_store(settings.store_url)
    try:
        service = AlertService(store, section, base=settings.base, poll_s=poll)
        messages: list[str] = []
        skipped: list[str] = []
        try:
            for item in service.judge(products, timely=False) if products else ():
                messages += item.messages
                skipped += [f"{item.product.stream}: {item.skipped}"] if item.skipped else []
            service.start()
            if follow:
                _until_told(service)
                return
            service.wait_idle(max(wait, 0.1))
        finally:
            service.stop()
        left = waiting(store)
    finally:
        store.close()
    if as_json:
        print_json({"messages": messages, "skipped": skipped, "waiting": left})
    else:
        for text in messages:
            out.print(text, markup=False)
        for text in skipped:
            err.print(f"skipped: {text}", markup=False)
    if left:
        raise RetryableError(
            f"{counted(left, 'message')} still waiting for a channel", hint="dynamo alerts list; run again to retry"
        )


def places(
    file: Path | None = typer.Argument(None, help="GeoJSON file. Default: from the configuration."),
    distance: float | None = DistanceOption,
    level: float | None = LevelOption,
    hail: float | None = HailOption,
    lead: int | None = LeadOption,
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Check a file of places and list the alert settings of each."""
    from dataclasses import asdict

    _, _, read = _settings(config, file, distance, level, hail, lead)
    if as_json:
        print_json({"places": [asdict(place) for place in read.places], "warnings": read.warnings})
        return
    print_table(
        counted(len(read), "place"),
        (named("id"), named("locality"), "km", "dBZ", "hail mm", "lead min", worded("products"), worded("channels")),
        [
            (
                place.id,
                place.locality,
                place.distance_km,
                place.level_dbz,
                place.hail_mm,
                place.lead_min,
                ", ".join(place.products),
                "all" if place.channels is None else ", ".join(place.channels),
            )
            for place in read.places
        ],
        whole=wide,
    )
    for warning in read.warnings:
        err.print(f"warning: {warning}", markup=False)


def list_(
    config: Path | None = ConfigOption,
    limit: int = typer.Option(20, "--limit", "-n", min=1, max=100_000, help="Show at most N messages, newest first."),
    since: str | None = SinceOption,
    place: str | None = typer.Option(None, "--place", metavar="NAME", help="Only of this place."),
    state: list[str] = state_option(DELIVERY_STATES, "with a delivery in this state"),
    open_only: bool = typer.Option(False, "--open", help="List open events instead of messages."),
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List messages and their delivery status, newest first."""
    from dynamo.cli.stores import look
    from dynamo.errors import UsageError

    chosen = choose(since=since, states=state, known=DELIVERY_STATES)
    if open_only and state:
        raise UsageError("open events have no deliveries", where="--state", expected="--state without --open")
    store = look(config)
    try:
        data = _open_events(store, limit, chosen, place) if open_only else _messages(store, limit, chosen, place)
    finally:
        store.close()
    if as_json:
        print_json(data)
        return
    such = "such " if place or chosen else ""
    empty = f"no {such}{'open events' if open_only else 'messages'} in {store.url}"
    if open_only:
        print_table(
            "",
            (named("place"), "hazard", "began", "seen", "strongest", "messages"),
            [
                (one["place"], one["hazard"], when(one["began"]), when(one["seen"]), one["strongest"], one["messages"])
                for one in data
            ],
            empty=empty,
            whole=wide,
        )
    else:
        print_table(
            "",
            ("sent", "kind", named("place"), worded("text"), worded("deliveries")),
            [
                (when(one["created_at"]), one["kind"], one["place"], one["text"], _fared(one["deliveries"]))
                for one in data
            ],
            empty=empty,
            whole=wide,
        )


def try_channel(
    channel: str = typer.Argument(help="Name of a configured channel.", autocompletion=complete_channels),
    config: Path | None = ConfigOption,
) -> None:
    """Send a test message over one channel; exit code 5 if the channel does not accept it."""
    import secrets

    from dynamo.alerts.channels.base import Note
    from dynamo.alerts.channels.registry import make_channels
    from dynamo.config.file import find_config
    from dynamo.documents.problems import unknown
    from dynamo.errors import NotFoundError
    from dynamo.times import to_iso, utc_now

    settings = find_config(config)
    sections = [section for section in _section(settings).channels if section.name == channel]
    if not sections:
        known = [section.name for section in _section(settings).channels]
        raise unknown(NotFoundError, "channel", channel, known, where="alerts.channels")
    key, text = secrets.token_hex(16), f"Test of DyNamo's channel {channel}: storm and hail alerts will arrive here"
    payload = {"key": key, "kind": "test", "text": text, "made": to_iso(utc_now())}
    for target in make_channels(sections, settings.base):
        target.send([Note(key, text, payload)])
        out.print(f"{target.name}: accepted", markup=False)


def _section(config: Config) -> AlertsSection:
    from dynamo.config.alerts import AlertsSection

    found = config.alerts
    return found if isinstance(found, AlertsSection) else AlertsSection()


def _settings(
    config: Path | None,
    places: Path | None,
    distance: float | None,
    level: float | None,
    hail: float | None,
    lead: int | None,
    *,
    file: Path | None = None,
) -> tuple[Config, AlertsSection, Places]:
    """Return the configuration, its alerts section with command-line overrides, and the places."""
    from dynamo.alerts.channels.file import FileOptions
    from dynamo.alerts.places import read_places
    from dynamo.config.file import find_config
    from dynamo.errors import UsageError
    from dynamo.files import expanded

    settings = find_config(config)
    section = _section(settings)
    given: dict[str, Any] = {
        "places": None if places is None else str(places.absolute()),
        "distance_km": distance,
        "level_dbz": level,
        "hail_mm": hail,
        "lead_min": lead,
    }
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if file is not None:
        extra = FileOptions(name="file-option", path=str(file.absolute()))
        changed["channels"] = [*section.channels, extra]
    section = section.model_copy(update=changed)
    if section.places is None:
        raise UsageError("no places", where="--places", expected="a GeoJSON file, or alerts.places in dynamo.toml")
    return settings, section, read_places(settings.base / expanded(section.places), section)


def _line(places: Places, product: HazardProduct, finding: Finding) -> str:
    from dynamo.alerts.events import advance
    from dynamo.alerts.texts import line
    from dynamo.config.alerts import AlertsSection

    step = advance(None, finding, product.issued, product.hazard, AlertsSection())
    return "" if step is None else line(places.places[finding.place], product, step, finding)


def _product_json(places: Places, product: HazardProduct, findings: list[Finding]) -> dict[str, Any]:
    from dynamo.alerts.texts import finding_json
    from dynamo.times import to_iso

    return {
        "hazard": product.hazard,
        "issue_time": to_iso(product.issued),
        "leads_min": product.covers_min,
        "polygons": len(product.polygons),
        "left_out": product.left_out,
        "findings": [
            {
                "place": places.places[finding.place].id,
                "text": _line(places, product, finding),
                **finding_json(finding),
            }
            for finding in findings
        ],
    }


def _until_told(service: Any) -> None:
    """Run until SIGTERM or Ctrl-C."""
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(0.2) and service.failure is None:
        pass
    if service.failure is not None:
        raise service.failure


def _messages(store: Any, limit: int, chosen: Chosen, place: str | None) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from dynamo.store.alerts import AlertDelivery, AlertMessage
    from dynamo.times import to_iso

    messages = select(AlertMessage).order_by(AlertMessage.id.desc()).limit(limit)
    if chosen.since is not None:
        messages = messages.where(AlertMessage.created_at >= chosen.since)
    if place is not None:
        messages = messages.where(AlertMessage.place == place)
    if chosen.states:
        of_message = select(AlertDelivery.id).where(AlertDelivery.message_id == AlertMessage.id)
        messages = messages.where(of_message.where(AlertDelivery.state.in_(chosen.states)).exists())
    with store.reading() as session:
        found = session.scalars(messages).all()
        by_message: dict[int, list[dict[str, Any]]] = {message.id: [] for message in found}
        least = min(by_message, default=0)
        query = select(AlertDelivery).where(AlertDelivery.message_id.between(least, max(by_message, default=0)))
        for item in session.scalars(query.order_by(AlertDelivery.id)):
            if item.message_id in by_message:
                entry = {"channel": item.channel, "state": item.state, "attempts": item.attempts, "error": item.error}
                by_message[item.message_id].append(entry)
    return [
        {
            "created_at": to_iso(message.created_at),
            "place": message.place,
            "kind": message.kind,
            "text": message.text,
            "deliveries": by_message[message.id],
            "payload": message.payload,
        }
        for message in found
    ]


def _open_events(store: Any, limit: int, chosen: Chosen, place: str | None) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from dynamo.store.alerts import AlertEvent
    from dynamo.times import to_iso

    query = select(AlertEvent).where(AlertEvent.open).order_by(AlertEvent.seen.desc(), AlertEvent.place).limit(limit)
    if chosen.since is not None:
        query = query.where(AlertEvent.seen >= chosen.since)
    if place is not None:
        query = query.where(AlertEvent.place == place)
    with store.reading() as session:
        found = session.scalars(query).all()
    return [
        {
            "place": event.place,
            "hazard": event.hazard,
            "number": event.number,
            "began": to_iso(event.began),
            "seen": to_iso(event.seen),
            "strongest": event.strongest,
            "messages": event.messages,
        }
        for event in found
    ]


def _fared(deliveries: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{item['channel']} {item['state']}"
        + (f" after {item['attempts']} attempts" if item["attempts"] > 1 else "")
        + (f" ({item['error']})" if item["error"] else "")
        for item in deliveries
    )
