"""User data becomes what cloud-init would run."""

from __future__ import annotations

import gzip
import subprocess
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

from tests.openstack.services.user_data import parts

CONFIG = b"""#cloud-config
write_files:
- path: /etc/worker.conf
  content: |
    A = 'b c' $(NAME)
  permissions: '0600'
- path: /etc/packed
  encoding: gz+b64
  content: H4sIAAAAAAAC/8vIBACsKpPYAgAAAA==
- path: /etc/packed
  append: true
  content: '!'
runcmd:
- [sh, -c, 'echo "$1"', -, two words]
- echo $((1 + 1))
"""


def _run(folder: Path, script: bytes) -> str:
    path = folder / "part"
    path.write_bytes(script)
    path.chmod(0o700)
    environment = {"PATH": "/usr/bin:/bin", "FILES_ROOT": str(folder)}
    return subprocess.run([str(path)], check=True, capture_output=True, text=True, env=environment).stdout


def test_a_script_is_run_as_it_is() -> None:
    assert parts(b"#!/bin/sh\ntrue\n") == [("script", b"#!/bin/sh\ntrue\n")]


def test_nothing_is_run_without_user_data() -> None:
    assert parts(b"") == parts(b" \n") == []


def test_cloud_config_writes_files_and_runs_commands(tmp_path: Path) -> None:
    ((_, script),) = parts(gzip.compress(CONFIG))
    assert _run(tmp_path, script) == "two words\n2\n"
    assert (tmp_path / "etc" / "worker.conf").read_text() == "A = 'b c' $(NAME)\n"
    assert (tmp_path / "etc" / "worker.conf").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc" / "packed").read_text() == "hi!"


def test_multipart_keeps_the_order() -> None:
    message = MIMEMultipart()
    message.attach(MIMEText("#cloud-config\nruncmd: [echo]\n", "cloud-config"))
    message.attach(MIMEText("#!/bin/sh\n", "x-shellscript"))
    assert [name for name, _ in parts(message.as_bytes())] == ["01-cloud-config", "02-script"]


def test_what_is_not_understood_is_said_on_the_console(tmp_path: Path) -> None:
    ((_, script),) = parts(b"#include\nhttp://nowhere\n")
    assert "unknown kind" in _run(tmp_path, script)
    ((_, script),) = parts(b"#cloud-config\npackages: [x]\n")
    assert "without effect: packages" in _run(tmp_path, script)
