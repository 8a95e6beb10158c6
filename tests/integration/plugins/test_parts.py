"""An engine, a site driver, a policy and a channel of somebody else's package: found, listed, configured and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.plugins.packages import Packages

ENGINE = """
from dynamo.engines.base import Status
from dynamo.errors import UsageError
from dynamo.modules.runner import run_task

class HereEngine:
    '''Runs everything at once in the process that submits.'''
    name = "here"

    def __init__(self, mark=""):
        if not mark:
            raise UsageError("mark is empty", where="engines.here", expected="a word")
        self.mark = mark

    def submit(self, folder):
        good = [run_task(folder.root, task.id) for task in folder.read_layout().tasks]
        (folder.root / "mark").write_text(self.mark)
        folder.engine_file.write_text("good" if all(good) else "bad")

    def status(self, folder):
        if not folder.engine_file.exists():
            return Status("lost")
        return Status("succeeded" if folder.engine_file.read_text() == "good" else "failed")

    def wait(self, folder, timeout_s=None):
        return self.status(folder)

    def cancel(self, folder, reason): ...

    def close(self): ...
"""

SITE = """
from dynamo.provision.sites.base import Flavor, Quota, Server, ServerStatus
from dynamo.provision.sites.kind import SiteKind
from dynamo.provision.sites.options import DriverOptions as Options
from pydantic import Field

class GarageOptions(Options):
    shelves: int = Field(2, ge=1, description="How many machines stand there.")

class Garage:
    def __init__(self, context):
        self.name = context.site
        self.options = GarageOptions.read(context.options, where=context.site)
        self.servers = {}

    def create(self, request):
        made = Server(request.name, request.name, ServerStatus.ACTIVE, request.tags)
        return self.servers.setdefault(request.name, made)

    def list(self, fleet):
        return [server for server in self.servers.values() if server.tags.get("dynamo-fleet") == fleet]

    def get(self, server_id):
        return self.servers.get(server_id)

    def delete(self, server_id):
        self.servers.pop(server_id, None)

    def quota(self):
        return Quota(servers=self.options.shelves, servers_used=len(self.servers))

    def flavors(self):
        return [Flavor("old", 2, 4096, 100)]

    def close(self): ...

KIND = SiteKind(Garage, (GarageOptions,))
"""

POLICY = """
from dynamo.autoscale.model import Decision
from dynamo.autoscale.policies.kind import PolicyKind
from dynamo.autoscale.policies.options import PolicyOptions as Options
from pydantic import Field

class TideOptions(Options):
    high: int = Field(3, ge=0, description="Workers of each group in even hours.")

class Tide:
    def __init__(self, options):
        self.options = options

    def decide(self, now, demand, fleet, memory):
        wanted = self.options.high if now.hour % 2 == 0 else 0
        groups = {each.group: min(each.most, wanted) for each in fleet.groups}
        return Decision(groups, {group: "the tide" for group in groups})

KIND = PolicyKind(TideOptions, Tide)
"""

CHANNEL = """
from dynamo.alerts.channels.base import ChannelKind
from dynamo.config.alerts import ChannelSection
from pydantic import Field

class SirenOptions(ChannelSection):
    '''A siren that is written down.'''
    TOGETHER = 1
    horn: str = Field(description="File that stands for the horn.")

class Siren:
    def __init__(self, section, base):
        self.name, self.section, self.path = section.name, section, base / section.horn

    def send(self, notes):
        self.path.write_text(" ".join(note.text for note in notes))

KIND = ChannelKind(SirenOptions, lambda section, base: [Siren(section, base)])
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    made = Packages(tmp_path_factory.mktemp("site"))
    made.install("here-engine", "1.0", ENGINE, {"dynamo.engines": {"here": "here_engine:HereEngine"}})
    made.install("garage", "0.3", SITE, {"dynamo.sites": {"garage": "garage:KIND"}})
    made.install("tide", "2", POLICY, {"dynamo.policies": {"tide": "tide:KIND"}})
    made.install("siren", "1.1", CHANNEL, {"dynamo.channels": {"siren": "siren:KIND"}})
    broken = {"dynamo.engines": {"bent": "bent:B"}, "dynamo.policies": {"bent": "bent:B"}}
    broken |= {"dynamo.sites": {"bent": "bent:B"}, "dynamo.channels": {"bent": "bent:B"}}
    made.install("bent", "1", "B = 7", broken)
    return made


def test_all_are_listed_with_their_package(packages: Packages, tmp_path: Path) -> None:
    done = packages.dynamo("plugins", cwd=tmp_path)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["engine", "here", "here-engine", "1.0"] in rows
    assert ["driver", "garage", "garage", "0.3"] in rows
    assert ["policy", "tide", "tide", "2"] in rows
    assert ["channel", "siren", "siren", "1.1"] in rows
    lines = done.stderr.splitlines()
    assert [line.split(" of ")[0] for line in lines] == ["engine bent", "driver bent", "policy bent", "channel bent"]
    assert "has no submit and no status" in lines[0]
    assert "is a int, not a dynamo.provision.sites.kind.SiteKind" in lines[1]


def test_an_engine_runs_with_its_options(packages: Packages, tmp_path: Path) -> None:
    packages.dynamo("simulate", "nowcast", "--size", "40x50", "--leads", "2", "--out", ".", cwd=tmp_path)
    (nowcast,) = tmp_path.glob("*.nc")
    (tmp_path / "dynamo.toml").write_text('[runs]\nengine = "here"\n[engines.here]\noptions = { mark = "yes" }\n')
    asked = ["submit", "nowcast", "--input", f"nowcast={nowcast}", "--wait", "--out"]
    packages.dynamo(*asked, "here", cwd=tmp_path)
    (mark,) = tmp_path.glob(".dynamo/runs/*/mark")
    assert mark.read_text() == "yes"
    packages.dynamo(*asked, "local", "--engine", "local", "--param", "levels=45,50", cwd=tmp_path)
    names = {path.name for path in (tmp_path / "here").iterdir()} - {"index.json"}
    assert len(names) == 4
    for name in (name for name in names if name.endswith(".png")):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            '[runs]\nengine = "hre"',
            "runs.engine: no such engine, expected one of local, condor, pegasus, bent, here; did",
        ),
        ('[autoscale]\npolicy = "tidy"', "autoscale.policy: no such policy"),
        (
            '[[alerts.channels]]\nname = "a"\nkind = "sirene"',
            "alerts.channels[0].kind: unknown channel 'sirene'; expected apprise, bent, file, siren, webhook (did you",
        ),
        (
            '[[alerts.channels]]\nname = "a"\nkind = "siren"\nhron = "x"',
            "unknown option (did you mean horn?)",
        ),
        (
            '[[alerts.channels]]\nname = "a"\nkind = "bent"',
            "channel bent of bent 1: cannot be used: is a int, not a dynamo.alerts.channels.base.ChannelKind",
        ),
    ],
)
def test_wrong_names_and_options_say_what_there_is(config: str, words: str, packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "dynamo.toml").write_text(config)
    done = packages.dynamo("config", "show", cwd=tmp_path, code=3)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_engine_that_cannot_be_used_is_one_line(packages: Packages, tmp_path: Path) -> None:
    packages.dynamo("simulate", "nowcast", "--size", "40x50", "--leads", "2", "--out", ".", cwd=tmp_path)
    (nowcast,) = tmp_path.glob("*.nc")
    asked = ["submit", "nowcast", "--input", f"nowcast={nowcast}", "--wait", "--engine"]
    done = packages.dynamo(*asked, "bent", cwd=tmp_path, code=5)
    assert done.stderr.startswith("error: engine bent of bent 1: cannot be used: has no submit")
    done = packages.dynamo(*asked, "here", cwd=tmp_path, code=2)
    assert "engines.here: mark is empty" in done.stderr
    (tmp_path / "dynamo.toml").write_text("[engines.here]\noptions = { speed = 3 }\n")
    done = packages.dynamo(*asked, "here", cwd=tmp_path, code=3)
    assert "engines.here.options.speed: unknown option, expected one of mark" in done.stderr
    assert "Traceback" not in done.stderr


SPEC = {
    "name": "yard",
    "sites": {"Garage:back": {"driver": "garage", "options": {"shelves": 5}}},
    "compute": [{"name": "a", "site": "Garage:back", "count": 1, "flavor": "old"}],
}


def test_a_site_driver_has_its_options_and_makes_servers(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    packages.provision("validate", "spec.json", cwd=tmp_path)
    script = """
import json, sys
from pathlib import Path
from dynamo.provision.keeping.opening import open_sites
from dynamo.provision.sites.base import FLEET_TAG, ServerRequest
from dynamo.provision.spec.loading import load_spec
spec = load_spec(json.loads(Path("spec.json").read_text()))
(driver,) = open_sites(spec, Path("state")).values()
driver.create(ServerRequest("w1", {FLEET_TAG: "f"}, driver.flavors()[0]))
print(driver.quota().servers, [server.name for server in driver.list("f")])
"""
    assert packages.run("-c", script, cwd=tmp_path).stdout == "5 ['w1']\n"
    for changed, words in (
        ({"driver": "garage", "options": {"shelfs": 5}}, "did you mean shelves?"),
        ({"driver": "garge"}, "unknown driver 'garge'"),
        ({"driver": "bent", "options": {"a": 1}}, "driver bent of bent 1: cannot be used: is a int"),
    ):
        (tmp_path / "spec.json").write_text(json.dumps({**SPEC, "sites": {"Garage:back": changed}}))
        done = packages.provision("validate", "spec.json", cwd=tmp_path, code=3)
        assert words in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_policy_decides_with_its_options(packages: Packages, tmp_path: Path) -> None:
    shown = json.loads(packages.dynamo("autoscale", "policies", "tide", "--json", cwd=tmp_path).stdout)
    assert shown["tide"]["properties"]["high"]["default"] == 3
    played = packages.dynamo("simulate", "fleet", "--day", "quiet", "--policy", "tide", "--json", cwd=tmp_path)
    (row,) = json.loads(played.stdout)["policies"]
    assert row["policy"] == "tide"
    (tmp_path / "dynamo.toml").write_text('[autoscale]\npolicy = "tide"\noptions = { high = 7 }\n')
    script = """
from dynamo.config.file import find_config
from dynamo.autoscale.policies import make_policy
found = find_config().autoscale
print(make_policy(found.policy, found.options).options)
"""
    assert packages.run("-c", script, cwd=tmp_path).stdout == "high=7\n"
    done = packages.dynamo("autoscale", "policies", "bent", cwd=tmp_path, code=5)
    assert "policy bent of bent 1: cannot be used: is a int" in done.stderr


def test_a_channel_sends_with_its_options(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "dynamo.toml").write_text('[[alerts.channels]]\nname = "roof"\nkind = "siren"\nhorn = "horn.txt"\n')
    assert "roof: accepted" in packages.dynamo("alerts", "test", "roof", cwd=tmp_path).stdout
    assert (tmp_path / "horn.txt").read_text().startswith("Test of DyNamo's channel roof")
    shown = json.loads(packages.dynamo("config", "show", cwd=tmp_path).stdout)
    assert shown["alerts"]["channels"][0]["horn"] == "horn.txt"
