"""The program that starts each job where there is a container runtime."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dynamo.pool.configuration import wrapper_text


@pytest.mark.parametrize("path", [None, "/the job's:/usr/bin"])
def test_jobs_find_the_runtime_last_on_their_path(path: str | None, tmp_path: Path) -> None:
    wrapper = tmp_path / "job_wrapper"
    wrapper.write_text(wrapper_text(Path("/it's here/bin/apptainer")))
    code = 'printf "%s|" "$PATH" "$@"'
    command = ["/bin/sh", str(wrapper), "/bin/sh", "-c", code, "-", "a b", "$c"]
    environment = {} if path is None else {"PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told, *rest = done.stdout.split("|")[:-1]
    before, _, last = told.rpartition(":")
    assert (last, rest) == ("/it's here/bin", ["a b", "$c"])
    # Without one of its own, a job has the system's.
    assert "/usr/bin" in before.split(":") if path is None else before == path
