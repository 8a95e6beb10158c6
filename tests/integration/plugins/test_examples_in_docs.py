"""The examples of docs/howto/plugins.md, installed as they stand there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from dynamo.doors import doors
from tests.integration.plugins.packages import CHECKOUT, Packages

_EXAMPLE = re.compile(r"```toml\n(.*?)```\n\n```python\n(.*?)```", re.DOTALL)


def test_every_part_of_the_manual_can_be_used(tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "howto" / "plugins.md").read_text()
    packages = Packages(tmp_path / "site")
    expected = set()
    for index, (points, source) in enumerate(_EXAMPLE.findall(text)):
        package = f"mypkg{index}"
        groups = tomllib.loads(points)["project"]["entry-points"]
        renamed = {
            group: {part: target.replace("mypkg:", f"{package}:") for part, target in parts.items()}
            for group, parts in groups.items()
        }
        packages.install(package, "1.0", source, renamed)
        expected |= {(group, part, f"{package} 1.0", "") for group, parts in groups.items() for part in parts}
    assert len(expected) >= 5
    listed = json.loads(packages.dynamo("plugins", "--json", "--check", cwd=tmp_path).stdout)
    assert expected <= {(part["group"], part["name"], part["origin"], part["problem"]) for part in listed}


def test_the_manual_names_every_group() -> None:
    text = (CHECKOUT / "docs" / "howto" / "plugins.md").read_text()
    missing = [door.group for door in doors() if f"| `{door.group}` |" not in text]
    assert missing == []
