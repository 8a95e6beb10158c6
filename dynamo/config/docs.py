"""The manual page and the commented example of `dynamo.toml`, made from the models in `dynamo.config.file`."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dynamo.config.alerts import AlertsSection
from dynamo.config.autoscale import AutoscaleSection
from dynamo.config.file import (
    Config,
    EngineSection,
    FoldersSection,
    RunsSection,
    StoreSection,
    WatchSection,
)
from dynamo.plugins import BUILT_IN


@dataclass(frozen=True)
class Table:
    """One table of the manual: options under a header.

    Attributes
    ----------
    header
        As in the file; that of the whole section, where ``kind`` is not empty.
    text
        What it is.
    options
        By name.
    kind, default_kind
        The kind whose own options they are; of the options that all kinds have, the kind that needs no name.
    inside
        Whether it is a table inside of another one.
    """

    header: str
    text: str
    options: Mapping[str, FieldInfo]
    kind: str = ""
    default_kind: str = ""
    inside: bool = False


def tables() -> list[Table]:
    """Return all tables, with those of the kinds that other packages add."""
    return [
        _plain("[store]", StoreSection),
        _plain("[folders]", FoldersSection),
        _plain("[runs]", RunsSection),
        _plain("[watch]", WatchSection),
        _plain("[engines.NAME]", EngineSection),
        *_by_kind("feeds", Config, "feeds"),
        *_by_kind("triggers", Config, "triggers"),
        _plain("[alerts]", AlertsSection),
        *_by_kind("alerts.channels", AlertsSection, "channels"),
        _plain("[autoscale]", AutoscaleSection),
    ]


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
    "places": "places.geojson",
    "fleet": "dallas",
    "url_env": "DYNAMO_ALERT_URLS",
    "url_file": "alert-urls.txt",
    "batch": 100,
    "job_overhead_s": 0.005,
    "single_threshold_s": 0.03,
}
#: Options without which no kind of a section is read, beside its name.
_NEEDED = ("feed", "workflow")
_WIDTH = 96


def markdown() -> str:
    """Return the manual page."""
    lines = [
        "# The configuration file",
        "",
        "`dynamo.toml` is read by `dynamo watch`, `submit`, `runs` and `store`: the file named with `-c`, else the one",
        "in `$DYNAMO_CONFIG`, else `./dynamo.toml`, else the defaults below. Relative paths are relative to the folder",
        "of the file. An unknown option is an error that names the nearest one. `dynamo config show` prints what is in",
        "force, `dynamo config example` a commented file (`docs/dynamo.toml`), `dynamo watch --check` checks a file",
        "with its workflows. This page is printed by `dynamo config docs`.",
        "",
    ]
    for table in tables():
        title = f"`{table.header}` with `kind = {toml(table.kind)}`" if table.kind else f"`{table.header}`"
        level = "###" if table.kind or table.inside else "##"
        lines += [f"{level} {title}", "", table.text, "", "| option | type | default | meaning |", "|---|---|---|---|"]
        for name, info in table.options.items():
            kind, default = _kind(info.annotation), _default(info)
            shown = "required" if info.is_required() else "" if default is None else f"`{toml(default)}`"
            if name == "kind" and table.default_kind:
                kind, shown = "text", f"`{toml(table.default_kind)}`"
            meaning = (info.description or "").replace("|", "\\|")
            lines.append(f"| `{name}` | {kind} | {shown} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def example() -> str:
    """Return a commented file with every option; what has a default is commented out."""
    lines = ["# DyNamo: example of a configuration with every option. `dynamo watch -c dynamo.toml` reads it.", ""]
    default_kind = ""
    for table in tables():
        if table.inside:
            continue
        given = dict(_GIVEN.get(table.header, {}))
        own = table.kind and table.kind != default_kind
        default_kind = table.default_kind or (default_kind if table.kind else given.get("kind", ""))
        if table.kind and not own:
            lines.pop()  # it is the same table as the one above
        lines += _comment(f"Kind {table.kind}: {table.text[:1].lower()}{table.text[1:]}" if table.kind else table.text)
        if own:
            # A table of its own, with what it needs to be read.
            header = {"name": table.kind, "kind": table.kind} | {key: given[key] for key in _NEEDED if key in given}
            lines += [f"# {table.header}", *(f"# {name} = {toml(value)}" for name, value in header.items())]
            given = {}
        elif not table.kind:
            lines.append(table.header.replace("NAME", "local"))
        for name, info in table.options.items():
            if name == "channels":
                continue  # tables of their own, below
            lines += _comment(info.description or "")
            if name in given:
                lines.append(f"{name} = {toml(given[name])}")
            else:
                lines.append(f"# {name} = {toml(_example(table, name, info))}")
        lines.append("")
    return "\n".join(lines)


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return orjson.dumps(value).decode()


def _plain(header: str, model: type[BaseModel], *, inside: bool = False) -> Table:
    return Table(header, _text(model), model.model_fields, inside=inside)


def _by_kind(name: str, parent: type[BaseModel], field: str) -> Iterator[Table]:
    """Give the tables of a section in kinds: what all have, what each adds, and the tables inside."""
    base, by_kind = get_args(get_args(parent.model_fields[field].annotation)[0])
    header = f"[[{name}]]"
    yield Table(header, _text(base), base.model_fields, default_kind=by_kind.default or "")
    inside: dict[str, type[BaseModel]] = {}
    for kind, part in by_kind.door.usable().items():
        model: type[BaseModel] = part.options
        options = {option: info for option, info in model.model_fields.items() if option not in base.model_fields}
        origin = by_kind.door.origin(kind)
        text = _text(model) if origin == BUILT_IN else f"{_text(model)} (Of the package {origin}.)"
        yield Table(header, text, options, kind=kind)
        inside |= {option: section for option, info in options.items() if (section := _section(info.annotation))}
    for option, section in inside.items():
        yield _plain(f"{option} = {{ ... }}", section, inside=True)


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the model of an option that is a table."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _example(table: Table, name: str, info: FieldInfo) -> Any:
    if name == "kind" and table.default_kind:
        return table.default_kind
    default = _default(info)
    if default is not None and default != []:
        return default
    if info.examples:
        return info.examples[0]
    return _NO_DEFAULT.get(f"{table.header} {name}", _NO_DEFAULT.get(name))


def _default(info: FieldInfo) -> Any:
    """Return the default of an option; None where it has none that can be shown."""
    if info.is_required():
        return None
    default = info.default_factory() if info.default_factory is not None else info.default  # type: ignore[call-arg]
    return None if isinstance(default, BaseModel) else default


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
    if _section(annotation):
        return "table"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "text")
