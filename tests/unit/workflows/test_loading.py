from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from dynamo.documents.loading import MAX_BYTES, parse_json, parse_yaml, read_data
from dynamo.documents.problems import DocumentError
from dynamo.errors import InputError, NotFoundError


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": 1, "a": 2}', "duplicate key"),
        ('{"a": {"b": 1, "b": 2}}', "duplicate key"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "out of range"),
        ('{"a": ' + "1" * 5000 + "}", "digits"),
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ('{"a":' * 50 + "1" + "}" * 50, "nested 50"),
        ("{", "line 1"),
        ("", "not JSON"),
    ],
)
def test_json_that_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        parse_json(text)


def test_brackets_in_texts_do_not_count_as_depth() -> None:
    assert parse_json('{"a": "' + "[" * 100 + '\\"{{{"}') == {"a": "[" * 100 + '"{{{'}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: &x [1]\nb: *x", "alias"),
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("a: !!binary aGk=", "tag"),
        ("a: 1\na: 2", "duplicate key"),
        ("1: a", "not a string"),
        ("? [a]\n: b", "not a string"),
        ("[" * 100, "nested more than"),
        # PyYAML, too, may have a limit: 1000 since 6.0.4.
        ("[" * 5000, "nest(ed|ing)"),
        ("a: [", "not YAML"),
        ("a: \x00", "not YAML"),
        ("---\na: 1\n---\nb: 1\n", "more than one"),
        ("a: '1", "not YAML"),
    ],
)
def test_yaml_that_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        parse_yaml(text)


def test_yaml_gives_plain_values_only() -> None:
    text = "a: 2019-06-10\nb: 1:30\nc: yes\nd: 0x10\ne: 1.5\nf: -3\ng: true\nh: null\ni: 010\nj: 1e5"
    assert parse_yaml(text) == {
        "a": "2019-06-10",
        "b": "1:30",
        "c": "yes",
        "d": "0x10",
        "e": 1.5,
        "f": -3,
        "g": True,
        "h": None,
        "i": "010",
        "j": "1e5",
    }


def test_a_yaml_bomb_takes_no_time(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    path = tmp_path / "bomb.yml"
    path.write_text("\n".join(lines))
    start = time.perf_counter()
    with pytest.raises(DocumentError, match="alias"):
        read_data(path)
    assert time.perf_counter() - start < 1


def test_files_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    path.write_text('{"dynamo": 1, "description": "' + "x" * MAX_BYTES + '"}')
    with pytest.raises(DocumentError, match="1,048"):
        read_data(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DocumentError, match="UTF-8"):
        read_data(path)
    with pytest.raises(NotFoundError):
        read_data(tmp_path / "none.json")


@pytest.mark.parametrize("end", ["", '"', '"}', "\\"])
def test_a_text_without_end_takes_no_time(end: str) -> None:
    began = time.perf_counter()
    for text in ('{"a": "' + '\\"' * 100_000 + end, "[" + '"' * 100_001 + end):
        with contextlib.suppress(InputError):
            parse_json(text)
    assert time.perf_counter() - began < 1.0


def test_a_document_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text("{" * (MAX_BYTES + 1))
    with pytest.raises(DocumentError, match="a document of"):
        read_data(path)
