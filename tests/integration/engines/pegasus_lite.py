"""A stand-in for pegasus-plan that makes jobs of the form that Pegasus 5.1 gives jobs in an Apptainer container.

The planner is a Java program that no package registry has. What its jobs ask of a worker is taken from its source: a
vanilla job that HTCondor sends its inputs, the image among them, each under the name that it has on the submit host; a
script that looks for ``apptainer``, then ``singularity`` on ``PATH`` and runs a second script in the image, whose name
is composed of the container's name and the kind of file. Left out are Pegasus's own programs, which come with each job.

Run as ``pegasus_lite.py --dir FOLDER`` in the folder of the planner's files, or call `plan`.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import yaml

#: What the image borrows from the worker, as ``SOURCE,SOURCE``.
LEND_VARIABLE = "STAND_IN_LENDS"
_HOST = """\
#!/bin/bash
set -e
cat <<'END' >all-cont.sh
#!/bin/bash
set -e
unset TEMP TMP TMPDIR
export HOME=/srv
cd /srv
{tasks}
END
chmod +x all-cont.sh
run=$(which apptainer 2>/dev/null || true)
[ -n "$run" ] || run=$(which singularity 2>/dev/null || true)
[ -n "$run" ] || {{ echo "neither apptainer nor singularity" >&2; exit 1; }}
id -u; whoami; id -g -n "$(whoami)"
$run exec --no-home --bind $PWD:/srv --bind $_CONDOR_SCRATCH_DIR:$_CONDOR_SCRATCH_DIR {image} /srv/all-cont.sh
"""


def plan(home: Path, submit: Path, lent: str) -> Path:
    """Write a DAG of one node, which runs all jobs in order, and return the node's submit description."""
    submit.mkdir(parents=True)
    workflow, catalog = _read(home, "workflow.yml"), _read(home, "transformations.yml")
    [site] = [site for site in _read(home, "sites.yml")["sites"] if site["name"] == "condorpool"]
    [container] = catalog["containers"]
    assert (container["type"], container["image.site"]) == ("singularity", "local")
    image = _path(container["image"])
    programs = {item["name"]: item["sites"][0]["pfn"] for item in catalog["transformations"]}
    tasks = [shlex.join([programs[job["name"]], *map(str, job["arguments"])]) for job in workflow["jobs"]]
    # The kind of file is what follows the first dot.
    text = _HOST.format(tasks="\n".join(tasks), image=container["name"] + image.name[image.name.index(".") :])
    (submit / "all.sh").write_text(text)
    (home / "products").mkdir(exist_ok=True)
    inputs = [item["pfns"][0]["pfn"] for item in _read(home, "replicas.yml")["replicas"]]
    outputs = [use["lfn"] for job in workflow["jobs"] for use in job["uses"] if use.get("stageOut")]
    commands = {
        **site["profiles"]["condor"],
        "executable": str(submit / "all.sh"),
        "environment": f'"APPTAINER_BIND={lent}"',
        "initialdir": str(home / "products"),
        "output": str(submit / "all.out"),
        "error": str(submit / "all.err"),
        "log": str(submit / "all.log"),
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "transfer_input_files": ",".join(map(str, [*map(_path, inputs), image])),
        "transfer_output_files": ",".join(outputs),
    }
    description = submit / "all.sub"
    description.write_text("".join(f"{name} = {value}\n" for name, value in commands.items()) + "queue\n")
    (submit / "nowcast-0.dag").write_text("JOB all all.sub\n")
    (submit / "braindump.yml").write_text("dag: nowcast-0.dag\n")
    return description


def _read(home: Path, name: str) -> Any:
    return yaml.safe_load((home / name).read_text())


def _path(url: str) -> Path:
    return Path(url.removeprefix("file://"))


if __name__ == "__main__":
    plan(Path.cwd(), Path(sys.argv[sys.argv.index("--dir") + 1]) / "user" / "run0001", os.environ[LEND_VARIABLE])
