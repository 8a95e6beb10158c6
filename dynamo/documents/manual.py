"""The manual of a document that people write, made from its models: every option with type, limits and default.

`tables` walks from the model of the whole document to all others; `markdown` writes them. What a model cannot say of
itself is said in these ways:

- a type that is not plain in JSON Schema names itself by the ``title`` of its schema, as ``time``;
- ``ALSO`` of a model names further spellings of its fields;
- an option without a description is not for people and is left out.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from dynamo.documents.notation import Notation, in_toml
from dynamo.documents.section import ByKind
from dynamo.documents.words import in_words, unit_of
from dynamo.plugins import BUILT_IN


@dataclass(frozen=True)
class Table:
    """One table of the manual: options under a header.

    Attributes
    ----------
    header
        As in the document; empty for the whole of it.
    model
        What has the options.
    base
        The model whose options are those of all kinds, and are told in an earlier table.
    kind, default_kind
        The kind whose own options they are; of the options that all kinds have, the kind that needs no name.
    origin
        The package that adds the kind.
    key
        The option by which it is known from what else may be in its place.
    inside
        Whether it is in one line of another table.
    """

    header: str
    model: type[BaseModel]
    base: type[BaseModel] = BaseModel
    kind: str = ""
    default_kind: str = ""
    origin: str = BUILT_IN
    key: str = ""
    inside: bool = False

    @property
    def options(self) -> dict[str, FieldInfo]:
        """Its own options by the names of their fields."""
        own = self.model.model_fields.items()
        return {name: info for name, info in own if name not in self.base.model_fields}

    @property
    def text(self) -> str:
        """What it is."""
        text = " ".join((self.model.__doc__ or "").split())
        return text if self.origin == BUILT_IN else f"{text} (Of the package {self.origin}.)"

    @property
    def title(self) -> str:
        """The header with what tells it from others that have the same one."""
        title = f"`{self.header}`" if self.header else "The document"
        key = f"kind = {in_toml(self.kind)}" if self.kind else self.key
        return f"{title} with `{key}`" if key else title


def tables(model: type[BaseModel], notation: Notation) -> list[Table]:
    """Return the tables of a document, with those of the kinds that other packages add.

    Parameters
    ----------
    model
        That of the whole document.
    notation
        How the document is written.
    """
    return [Table("", model), *_below(Table("", model), "", notation, {model})]


def markdown(found: Iterable[Table], notation: Notation) -> str:
    """Return the tables as Markdown, each below its header."""
    lines: list[str] = []
    for table in found:
        if rows := option_table(table, notation):
            level = "###" if table.kind or table.inside else "##"
            lines += [f"{level} {table.title}", "", table.text, "", *rows, ""]
    return "\n".join(lines)


def option_table(table: Table, notation: Notation) -> list[str]:
    """Return the lines of a table, none where it has nothing for people."""
    schema = table.model.model_json_schema(schema_generator=_TypesOnly)
    models = schema.get("$defs", {})
    properties = (schema if "properties" in schema else models.get(table.model.__name__, {})).get("properties", {})
    also: dict[str, list[str]] = {}
    for other, name in getattr(table.model, "ALSO", {}).items():
        also.setdefault(name, []).append(f"`{other}`")
    rows = []
    for name, info in table.options.items():
        shown = info.alias or name
        option = properties.get(shown, {})
        # The schema says more; but it leaves out what the option's own model says in the same words.
        meaning = option.get("description", info.description)
        if not meaning:
            continue
        meaning += f" Also {', '.join(also[shown])}." if shown in also else ""
        kind = in_words(option, models, notation, unit_of(name))
        default = table.default_kind if name == "kind" and table.default_kind else default_of(info)
        value = "" if default in ("", [], (), {}, None) else f"`{notation.write(default)}`"
        value = "required" if info.is_required() and not value else value
        rows.append(" | ".join((f"| `{shown}`", _cell(kind), value, f"{_cell(meaning)} |")))
    return [f"| {notation.option} | type | default | meaning |", "|---|---|---|---|", *rows] if rows else []


def default_of(info: FieldInfo) -> Any:
    """Return the default of an option; None where it has none, or one that is told in a table of its own."""
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    first = default[0] if isinstance(default, list | tuple) and default else default
    return None if isinstance(first, BaseModel) else default


class _TypesOnly(GenerateJsonSchema):
    """Gives titles only to types that have one, and takes what has no schema (a section in kinds) as a table."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "object"}


def _below(table: Table, path: str, notation: Notation, told: set[type[BaseModel]]) -> Iterator[Table]:
    """Give the tables of all models below one, each once."""
    for name, info in table.options.items():
        place = f"{path}.{info.alias or name}".lstrip(".")
        found = list(nested(info.annotation))
        for form, model, kinds in found:
            header = notation.headers[form].format(place)
            if kinds is not None:
                yield from _by_kind(header, model, kinds, notation, told)
            elif model not in told:
                told.add(model)
                key = next(iter(model.model_fields.items())) if len(found) > 1 else None
                below = Table(header, model, key=(key[1].alias or key[0]) if key else "")
                yield below
                yield from _below(below, place + {"list": "[]", "named": ".NAME"}.get(form, ""), notation, told)


def _by_kind(
    header: str, base: type[BaseModel], kinds: ByKind, notation: Notation, told: set[type[BaseModel]]
) -> Iterator[Table]:
    """Give the tables of a section in kinds: what all have, what each adds, and the tables inside."""
    yield Table(header, base, default_kind=kinds.default or "")
    inside: list[Table] = []
    for kind, part in kinds.door.usable().items():
        own = Table(header, part.options, base=base, kind=kind, origin=kinds.door.origin(kind))
        yield own
        for name, info in own.options.items():
            for _, model, _ in nested(info.annotation):
                if model not in told:
                    told.add(model)
                    inside.append(Table(notation.headers["inside"].format(name), model, inside=True))
    yield from inside


def nested(annotation: Any, form: str = "one") -> Iterator[tuple[str, type[BaseModel], ByKind | None]]:
    """Give the models in a type: whether there is one, a list, or named ones; and what tells its kinds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield form, annotation, None
    elif origin is Annotated:
        kinds = next((mark for mark in inner[1:] if isinstance(mark, ByKind)), None)
        yield from ((form, model, kinds or other) for form, model, other in nested(inner[0], form))
    elif origin in (Union, types.UnionType):
        for one in inner:
            yield from nested(one, form)
    elif origin in (list, tuple):
        yield from nested(inner[0], "list")
    elif origin is dict:
        yield from nested(inner[1], "named")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
