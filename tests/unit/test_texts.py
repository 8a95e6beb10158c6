from __future__ import annotations

import io
import json
import os
import unicodedata
from pathlib import Path

import pytest

from dynamo.cli.console import VisibleConsole, print_json
from dynamo.cli.tables import print_table
from dynamo.errors import InputError
from dynamo.feeds.quarantine import move_aside
from dynamo.files import LONGEST_NAME, beside, fitting, write_bytes
from dynamo.inspection.facts import InputFacts
from dynamo.texts import counted, escaped, one_line, visible, visible_in
from dynamo.times import utc_now

#: Clears the screen, writes over a line, forges one, turns the reading direction, and is no UTF-8.
EVIL = "KFWS\x1b[2J\r\x9b1A\u202egpj\udce9\x07\u2028"


def is_harmless(text: str) -> bool:
    return not any(
        (unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") and each not in "\n\t")
        or unicodedata.bidirectional(each) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for each in text
    )


def test_no_control_character_is_left() -> None:
    assert not is_harmless(EVIL)
    assert is_harmless(visible(EVIL))
    assert visible("Höhe 5\n\tåé 雨 😀") == "Höhe 5\n\tåé 雨 😀"
    assert one_line(" a\nb\r\x1bc ") == "a b \ufffdc"
    assert is_harmless(str(visible_in({"a": [EVIL, {"b": EVIL}], "c": 5})))
    # Of all characters that there are.
    assert is_harmless(visible("".join(map(chr, range(0x3000)))))


def test_errors_tables_and_lines_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    assert is_harmless(str(InputError(EVIL, where=EVIL, expected=EVIL, hint=EVIL)))
    print_table(EVIL, ["name"], [[EVIL]])
    assert is_harmless(capsys.readouterr().out)
    stream = io.StringIO()
    VisibleConsole(file=stream, width=100).print(EVIL, markup=False)
    assert is_harmless(stream.getvalue())


def test_json_for_programs_has_the_same_data(capsys: pytest.CaptureFixture[str]) -> None:
    name = EVIL.replace("\udce9", "")
    print_json({"name": name})
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert json.loads(printed) == {"name": name}
    assert escaped('"plain"') == '"plain"'


def test_the_radar_of_a_file_is_one_short_line() -> None:
    facts = InputFacts("radar-sweep", utc_now(), (0,), (10, 10), radar=EVIL + "x" * 500, flags=(EVIL,))
    assert is_harmless(facts.radar)
    assert len(facts.radar) <= 100
    assert all(map(is_harmless, facts.flags))


@pytest.mark.parametrize("name", ["n" * 253, "n" * 255, "å" * 127, "n" * 251 + ".nc"])
def test_names_as_long_as_can_be_work(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_bytes(path, b"x")
    assert len(os.fsencode(beside(path).name)) <= LONGEST_NAME
    (tmp_path / "aside").mkdir()
    moved = []
    for _ in range(2):
        write_bytes(path, b"x")
        moved.append(move_aside(path, tmp_path / "aside", "broken"))
    assert len(set(moved)) == 2
    for goal in moved:
        assert goal is not None
        assert goal.read_bytes() == b"x"
        assert goal.with_name(f"{goal.name}.reason").read_text() == "broken\n"
    assert fitting(name) == name
    assert fitting(name, 20) != fitting(name[:-1] + "m", 20)


def test_one_is_singular() -> None:
    assert [counted(number, "feed") for number in (0, 1, 2)] == ["0 feeds", "1 feed", "2 feeds"]
    assert counted(2, "match", "matches") == "2 matches"
