from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from dynamo.errors import InputError
from dynamo.store.engine import open_store
from dynamo.store.url import safe_url

SECRET = "s3cr&t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://radar:{SECRET}@db/dynamo", "postgresql://radar:***@db/dynamo"),
        (f"postgresql://db/dynamo?password={SECRET.replace('&', '%26')}&user=a", "hidden"),
        (f"postgresql://radar:{SECRET}@db:port/dynamo", "postgresql://***@db:port/dynamo"),
        ("sqlite:////var/lib/store.sqlite", "sqlite:////var/lib/store.sqlite"),
        (Path("/var/lib/store.sqlite"), "/var/lib/store.sqlite"),
        ("store.sqlite", "store.sqlite"),
    ],
)
def test_the_password_of_a_store_is_not_shown(url: str | Path, shown: str) -> None:
    assert shown in safe_url(url)
    assert SECRET not in safe_url(url)


@pytest.mark.parametrize("url", [f"mysql://radar:{SECRET}@db/dynamo", f"postgresql://radar:{SECRET}@db:port/dynamo"])
def test_a_store_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        open_store(url)
    assert SECRET not in str(caught.value)


def test_config_show_has_no_password(tmp_path: Path) -> None:
    import typer

    from dynamo.cli.watch import register

    app = typer.Typer()
    register(app)
    file = tmp_path / "dynamo.toml"
    file.write_text(f'[store]\nurl = "postgresql://radar:{SECRET}@db/dynamo"\n')
    shown = CliRunner().invoke(app, ["config", "show", "--json", "-c", str(file)])
    assert shown.exit_code == 0, shown.output
    assert SECRET not in shown.output
    data = orjson.loads(shown.stdout)
    assert data["store"]["url"] == data["resolved"]["store"] == "postgresql://radar:***@db/dynamo"
