from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, WithJsonSchema

from dynamo.documents.manual import Table, markdown, option_table, tables
from dynamo.documents.notation import JSON, TOML
from dynamo.documents.section import ByKind, Section
from dynamo.documents.toml_example import Values, toml_example
from dynamo.plugins import Door


class Paint(BaseModel):
    """What it is painted with."""

    coats: int = Field(2, ge=1, le=1000, description="Coats.")
    secret: int = 0


class Shape(Section):
    """A shape."""

    name: str = Field(description="Name.")
    kind: str = Field(description="Kind.")


class Round(Shape):
    """A round one."""

    radius_m: float = Field(1.0, gt=0, lt=5, description="Radius.")
    paint: Paint | None = Field(None, description="Paint.", examples=[{"coats": 3}])


class Square(Shape):
    """A square one."""

    paint: Paint | None = Field(None, description="Paint.")


@dataclass(frozen=True)
class Kind:
    options: type[Shape]


ROUND, SQUARE = Kind(Round), Kind(Square)
SHAPES: Door[Any] = Door(
    "tests.shapes", "shape", {"round": f"{__name__}:ROUND", "square": f"{__name__}:SQUARE"}, lambda _name, _part: ""
)


class Plan(BaseModel):
    """A plan."""

    ALSO: ClassVar[dict[str, str]] = {"wait": "waitS"}
    wait_s: float | None = Field(None, alias="waitS", ge=0, description="Pause | rest.")
    paint: Paint | list[Round] = Field(Paint(), description="The paint, or round things.")
    rooms: dict[str, Paint] = Field(default_factory=dict, description="By name.")


class Drawing(BaseModel):
    """A drawing."""

    shapes: list[Annotated[Shape, ByKind(SHAPES, "round")]] = Field(default_factory=list)


class Types(BaseModel):
    choice: Literal["a", "b", "c"] | None = Field("b", description=".")
    both: bool | list[Literal[1, 2]] = Field(description=".")
    part: Annotated[str, WithJsonSchema({"title": "time", "anyOf": [{"type": "string"}, {"type": "integer"}]})] = Field(
        "now", description="."
    )
    sizes: tuple[int, ...] = Field((1, 2), description=".")
    empty_mb: int = Field(0, lt=10, description=".")
    paint: Paint = Field(Paint(), description=".")
    paints: list[Paint] = Field([Paint()], description=".")
    min: Annotated[int, Field(ge=0)] | None = Field(None, description=".")
    mixed_s: Annotated[Any, WithJsonSchema({"type": ["number", "string"]})] = Field(Path("x"), description=".")
    again: list[Types] = Field(default_factory=list, description=".")
    any: dict[str, Any] = Field(default_factory=dict, description=".")


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("choice", '`"a"`, `"b"` or `"c"`', '`"b"`'),
        ("both", "true or false or list of `1` or `2`", "required"),
        ("part", "time", '`"now"`'),
        ("sizes", "list of whole numbers", "`[1, 2]`"),
        ("empty_mb", "whole number of MB, less than 10", "`0`"),
        ("paint", "object", ""),
        ("paints", "list of objects", ""),
        ("min", "whole number, 0 or more", ""),
        ("any", "object", ""),
        ("mixed_s", "number of seconds or text", '`"x"`'),
        ("again", "list of objects", ""),
    ],
)
def test_types_limits_units_and_defaults_in_words(name: str, kind: str, default: str) -> None:
    assert f"| `{name}` | {kind} | {default} | . |" in option_table(Table("", Types), JSON)


def test_a_json_document_with_alternatives_names_and_other_spellings() -> None:
    assert [(table.title, table.model) for table in tables(Plan, JSON)] == [
        ("The document", Plan),
        ("`paint` with `coats`", Paint),
        ("`paint: [ ... ]` with `name`", Round),
    ]
    page = markdown(tables(Plan, JSON), JSON)
    assert "| `waitS` | number of seconds, 0 or more |  | Pause \\| rest. Also `wait`. |" in page
    assert "| `rooms` | object |  | By name. |" in page
    assert "secret" not in page


def test_a_toml_document_with_kinds_and_tables_inside() -> None:
    found = tables(Drawing, TOML)
    assert [table.title for table in found[1:]] == [
        "`[[shapes]]`",
        '`[[shapes]]` with `kind = "round"`',
        '`[[shapes]]` with `kind = "square"`',
        "`paint = { ... }`",
    ]
    page = markdown(found, TOML)
    assert '| `kind` | text | `"round"` | Kind. |' in page
    assert "| `radius_m` | number of m, more than 0, less than 5 | `1.0` | Radius. |" in page
    assert page.count("| `coats` |") == 1
    assert page.count("| `name` |") == 1


def test_the_example_is_toml_that_the_models_take() -> None:
    text = toml_example(tables(Drawing, TOML), Values({"[[shapes]]": {"name": "disc"}}, {"paint": {"coats": 9}}))
    assert tomllib.loads(text) == {"shapes": [{"name": "disc"}]}
    assert "# Kind round: a round one." in text
    full = "\n".join(line.removeprefix("# ") if " = " in line or "[[" in line else line for line in text.splitlines())
    drawing = Drawing.model_validate(tomllib.loads(full))
    assert [(shape.name, shape.kind) for shape in drawing.shapes] == [("disc", "round"), ("square", "square")]
    assert [shape.paint.coats for shape in drawing.shapes if isinstance(shape, Round | Square) and shape.paint] == [
        3,
        9,
    ]
