"""A commented TOML file with every option, made from the tables of the manual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic.fields import FieldInfo

from dynamo.documents.manual import Table, default_of, nested
from dynamo.documents.notation import in_toml

_WIDTH = 96


@dataclass(frozen=True)
class Values:
    """The values of an example where the models say too little.

    Attributes
    ----------
    given
        By header, options that are not commented out.
    shown
        Values of options that have neither a default nor ``examples``, by name or by header and name.
    needed
        Options without which no kind of a section is read, beside its name.
    idle
        Headers of sections that would act where the file is copied: commented out as a whole.
    name
        What stands for a name that one chooses.
    """

    given: Mapping[str, Mapping[str, Any]]
    shown: Mapping[str, Any] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    name: str = "local"
    #: The same by the table, where not any name will do.
    names: Mapping[str, str] = field(default_factory=dict)


def toml_example(found: Iterable[Table], values: Values) -> str:
    """Return the file; what has a default is commented out, at its default."""
    lines: list[str] = []
    default_kind = ""
    found = list(found)
    headers = {table.header for table in found if not table.inside}
    for table in found:
        if table.inside or not table.header:
            continue
        given = values.given.get(table.header, {})
        idle = "# " if table.header in values.idle else ""
        own = table.kind not in ("", default_kind)
        several = table.header.startswith("[[")
        # Where a file has only one such table, one of another kind stands in place of that above.
        mark = "#   " if own and not several else "# "
        if not table.kind:
            default_kind = table.default_kind or given.get("kind", "")
            name = values.names.get(table.header, values.name)
            lines += [*_comment(table.text), f"{idle}{table.header.replace('NAME', name)}"]
        else:
            if not own:
                lines.pop()  # it is the same table as the one above
            lines += _comment(f"Kind {table.kind}: {_inner(table.text)}")
        if own:
            # A table of its own, with what it needs to be read.
            needed = {name: given[name] for name in values.needed if name in given}
            header = {**({"name": table.kind} if several else {}), "kind": table.kind, **needed}
            lines += [f"{mark}{table.header}", *(f"{mark}{name} = {in_toml(value)}" for name, value in header.items())]
            given = {}
        for name, info in table.options.items():
            listed = any(form == "list" or kinds for form, _, kinds in nested(info.annotation))
            if listed or f"{table.header[:-1]}.{name}]" in headers:
                continue  # tables of their own
            lines += _comment(info.description or "")
            value = given[name] if name in given else _value(table, name, info, values)
            lines.append(f"{idle if name in given else mark}{name} = {in_toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _value(table: Table, name: str, info: FieldInfo, values: Values) -> Any:
    if name == "kind" and table.default_kind:
        return table.default_kind
    default = default_of(info)
    if default not in (None, []):
        return default
    if info.examples:
        return info.examples[0]
    return values.shown.get(f"{table.header} {name}", values.shown.get(name))


def _inner(text: str) -> str:
    """Return a sentence as it goes on after a colon."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.replace("`", "'").split():
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line] if text else []
