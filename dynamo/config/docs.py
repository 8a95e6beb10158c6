"""The manual page and the commented example of `dynamo.toml`, made from the models in `dynamo.config.file`."""

from __future__ import annotations

import copy
import types
from typing import Any, Literal, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dynamo.config.alerts import AlertsSection, ChannelSection
from dynamo.config.autoscale import AutoscaleSection
from dynamo.config.file import (
    ConditionSection,
    EngineSection,
    FeedSection,
    FoldersSection,
    GatherSection,
    PrecursorSection,
    RunsSection,
    StoreSection,
    TriggerSection,
    WatchSection,
)
from dynamo.doors import CHANNELS

#: Header in the file, the model, whether it may be repeated.
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[store]", StoreSection),
    ("[folders]", FoldersSection),
    ("[runs]", RunsSection),
    ("[watch]", WatchSection),
    ("[engines.NAME]", EngineSection),
    ("[[feeds]]", FeedSection),
    ("[[triggers]]", TriggerSection),
    ("condition = { ... }", ConditionSection),
    ("precursor = { ... }", PrecursorSection),
    ("gather = { ... }", GatherSection),
    ("[alerts]", AlertsSection),
    ("[[alerts.channels]]", ChannelSection),
    ("[autoscale]", AutoscaleSection),
)

#: Values of the example where the default says too little; the others appear commented out, at their default.
_GIVEN: dict[str, dict[str, Any]] = {
    "[engines.NAME]": {"options": {"workers": 2}},
    "[[feeds]]": {"name": "nowcasts", "path": "incoming", "patterns": ["MERGE_DARTS_*.nc"]},
    "[[triggers]]": {
        "name": "storms",
        "feed": "nowcasts",
        "workflow": "nowcast",
        "parameters": {"levels": [35, 40, 45, 50, 55]},
        "condition": {"area_km2": 10, "level_dbz": 45, "leads": "any"},
    },
    "[[alerts.channels]]": {"name": "record", "kind": "file", "path": "alerts.jsonl"},
}
_NO_DEFAULT: dict[str, Any] = {
    "url": "postgresql://dynamo@localhost/dynamo",
    "runs": ".dynamo/runs",
    "quarantine": ".dynamo/quarantine",
    "[[alerts.channels]] url": "https://example.org/alerts",
    "slots": 2,
    "workflow": "hail",
    "places": "places.geojson",
    "fleet": "dallas",
    "url_env": "DYNAMO_ALERT_URLS",
    "url_file": "alert-urls.txt",
    "batch": 100,
    "spool": ".dynamo/spool/nowcasts",
    "job_overhead_s": 0.005,
    "single_threshold_s": 0.03,
    "every_min": 5,
    "at_minutes": [0, 30],
    "input": "nowcast",
    "engine": "condor",
    "priority": 10,
    "deadline_s": 60,
    "precursor": {"level_dbz": 45, "area_km2": 2, "sounding": "sounding.txt"},
    "gather": {"radars": ["addison.tx", "midlothian.tx"], "deadline_s": 30},
}
_WIDTH = 96
#: Tables inside a trigger; the example shows them in one line.
_NESTED: tuple[type[BaseModel], ...] = (ConditionSection, PrecursorSection, GatherSection)


def markdown() -> str:
    """Return the manual page."""
    lines = [
        "# The configuration file",
        "",
        "`dynamo.toml` is read by `dynamo watch`, `submit`, `runs` and `store`: the file named with `-c`, else the one",
        "in `$DYNAMO_CONFIG`, else `./dynamo.toml`, else the defaults below. Relative paths are relative to the folder",
        "of the file. An unknown option is an error that names the nearest one. `dynamo config show` prints what is in",
        "force, `dynamo config example` a commented file ([dynamo.toml](dynamo.toml)), `dynamo watch --check` checks a",
        "file with its workflows. This page is printed by `dynamo config docs`.",
        "",
    ]
    for header, model in SECTIONS:
        lines += [f"## `{header}`", "", _text(model), "", "| option | type | default | meaning |", "|---|---|---|---|"]
        for name, info in _fields(model).items():
            default = (
                "required" if info.is_required() else f"`{toml(_default(info))}`" if _default(info) is not None else ""
            )
            meaning = (info.description or "").replace("|", "\\|")
            lines.append(f"| `{name}` | {_kind(info.annotation)} | {default} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def example() -> str:
    """Return a commented file with every option; what has a default is commented out."""
    lines = ["# DyNamo: example of a configuration with every option. `dynamo watch -c dynamo.toml` reads it.", ""]
    for header, model in SECTIONS:
        if model in _NESTED:
            continue
        given = _GIVEN.get(header, {})
        lines += [*_comment(_text(model)), header.replace("NAME", "local")]
        for name, info in _fields(model).items():
            if name == "channels":
                continue  # tables of their own, below
            lines += _comment(info.description or "")
            if name in given:
                lines.append(f"{name} = {toml(given[name])}")
            else:
                default = _default(info)
                value = (
                    _NO_DEFAULT.get(f"{header} {name}", _NO_DEFAULT.get(name))
                    if default is None or default == []
                    else default
                )
                lines.append(f"# {name} = {toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the options of a section; for channels also those that only some kinds have."""
    fields = dict(model.model_fields)
    if model is not ChannelSection:
        return fields
    having: dict[str, list[str]] = {}
    for kind, part in CHANNELS.usable().items():
        for name, info in part.options.model_fields.items():
            if name not in model.model_fields:
                having.setdefault(name, []).append(kind)
                told = copy.copy(fields.get(name, info))
                told.description = f"{info.description} (Kind {' and '.join(having[name])}.)"
                fields[name] = told
    return fields


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return orjson.dumps(value).decode()


def _default(info: FieldInfo) -> Any:
    if info.is_required():
        return None
    return info.default_factory() if info.default_factory is not None else info.default  # type: ignore[call-arg]


def _text(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.replace("`", "'").split():
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line] if text else []


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation) if part is not type(None))
    if origin is Literal:
        return " or ".join(f"`{toml(choice)}`" for choice in get_args(annotation))
    if origin is list:
        return f"list of {_kind(get_args(annotation)[0])}"
    if origin is dict:
        return "table"
    if origin is not None:
        return _kind(get_args(annotation)[0])
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"} | dict.fromkeys(_NESTED, "table")
    return names.get(annotation, "text")
