from __future__ import annotations

import errno

import pytest
import typer

from dynamo.cli.main import run
from dynamo.cli.tables import print_table


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/out"), "error: /data/out: No space left on device"),
        (OSError("something else"), "error: something else"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    error: OSError, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DYNAMO_DEBUG", raising=False)
    monkeypatch.setattr("sys.argv", ["dynamo"])
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run(app)
    assert caught.value.code == 5
    assert capsys.readouterr().err.strip() == line


def test_tables_show_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    # Rich would take [/b] for markup and fail, and :a: for a picture.
    print_table("of [/x]", ["name"], [["Cloud:a: m1[/b] [red]"], [None]])
    printed = capsys.readouterr().out
    assert "of [/x]" in printed
    assert "Cloud:a: m1[/b] [red]" in printed
