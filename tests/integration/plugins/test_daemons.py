"""`dynamo-provision daemon` with broken parts of others: a policy, and a driver of one fleet; the rest goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from dynamo.provision.status import fleet_status
from dynamo.store.engine import open_store
from tests.integration.plugins.packages import PROVISION, Packages
from tests.integration.plugins.test_parts import POLICY, SITE, SPEC
from tests.unit.provision.quick_fleets import put, spec_of

_BROKEN = "import a_library_that_nobody_has"
_POINTS = {"dynamo.sites": {"garage": "yard:KIND"}}
_STORE = """
import json
from pathlib import Path
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import open_store
from dynamo.times import utc_now
store = open_store(Path(".dynamo/store.sqlite"))
with store.transaction() as session:
    apply_fleet(session, load_spec(json.loads(Path("spec.json").read_text())), base=Path("yard"), now=utc_now())
store.close()
"""
_CONFIG = """
[autoscale]
enabled = true
fleet = "good"
policy = "tide"
every_s = 0.5
"""


def test_the_daemon_goes_on_without_them(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "site")
    packages.install("yard", "0.3", SITE, _POINTS)
    packages.install("tide", "2", POLICY, {"dynamo.policies": {"tide": "tide:KIND"}})
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    (tmp_path / "dynamo.toml").write_text(_CONFIG)
    packages.run("-c", _STORE, cwd=tmp_path)
    store = open_store(tmp_path / ".dynamo" / "store.sqlite")
    put(store, tmp_path, spec_of("good"))
    packages.install("yard", "0.3", _BROKEN, _POINTS)
    packages.install("tide", "2", _BROKEN, {"dynamo.policies": {"tide": "tide:KIND"}})
    daemon = subprocess.Popen(
        [sys.executable, *PROVISION, "daemon", "--api", "127.0.0.1:0"],
        cwd=tmp_path,
        env=packages.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    try:
        assert daemon.stderr is not None
        driver = "driver garage of yard 0.3: cannot be used: ModuleNotFoundError"
        policy = "autoscaling paused: policy tide of tide 2: cannot be used: ModuleNotFoundError"
        for line in daemon.stderr:
            lines.append(line)
            if all(any(words in one for one in lines) for words in (driver, policy, "http://")):
                break
        text = "".join(lines)
        assert driver in text
        assert policy in text
        _until(lambda: fleet_status(store, "good").settled)
        with urllib.request.urlopen(f"{_address(text)}/openapi.json", timeout=30) as answer:
            assert answer.status == 200
        assert daemon.poll() is None
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, rest = daemon.communicate(timeout=60)
        store.close()
    assert daemon.returncode == 0
    assert "Traceback" not in text + rest
    assert (text + rest).count("autoscaling paused") == 1


def _address(log: str) -> str:
    word = next(word for word in log.replace('"', " ").replace("=", " ").split() if word.startswith("http://"))
    return word.rstrip("/")


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.1)
