"""The pool's configuration, its record, and how processes are told apart."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dynamo.errors import BusyError, InputError, MissingPartError, UsageError
from dynamo.pool.configuration import render, write_configuration
from dynamo.pool.control import down, up
from dynamo.pool.environment import pool_environment, use_pool
from dynamo.pool.install.installation import Installation, default_prefix, find_installation, require_installation
from dynamo.pool.install.prefix import MARKER, read_marker
from dynamo.pool.processes import Process, boot_id, find, with_environment
from dynamo.pool.record import PoolRecord, default_state, only_one, read_record, remove_record, write_record
from dynamo.pool.report import pool_status


def record_in(state: Path) -> PoolRecord:
    me = find(os.getpid())
    assert me is not None
    return PoolRecord(
        id="abc",
        state=str(state),
        config=str(state / "condor_config"),
        bin="/opt/condor/bin",
        sbin="/opt/condor/sbin",
        version="23.9.6",
        user="somebody",
        slots=2,
        master_pid=me.pid,
        master_start_ticks=me.start_ticks,
        boot=boot_id(),
        started="2026-01-01T00:00:00Z",
    )


def test_render_fills_names_and_leaves_htcondors_own_marks() -> None:
    template = "LOG = @STATE@/log\nALLOW = @USER@@@DOMAIN@\nX @=end\n  $(LOG)\n@end\n"
    text = render(template, {"STATE": "/a b/ü,'#1'", "USER": "u", "DOMAIN": "d"})
    assert text == "LOG = /a b/ü,'#1'/log\nALLOW = u@d\nX @=end\n  $(LOG)\n@end\n"


def test_values_are_not_rendered_again() -> None:
    assert render("@A@", {"A": "/x/@B@", "B": "no"}) == "/x/@B@"


@pytest.mark.parametrize("name", ["a\nb", 'a"b', "a\\b", "$(HOME)", "a ", "\x07"])
def test_names_that_htcondor_cannot_be_told(name: str) -> None:
    with pytest.raises(UsageError, match="another folder"):
        render("@STATE@", {"STATE": name})


def test_render_wants_every_value() -> None:
    with pytest.raises(InputError, match="@STATE@"):
        render("@STATE@", {})


def test_configuration_has_no_place_left(tmp_path: Path) -> None:
    release = Path("/opt/con dor")
    installation = Installation(
        "prefix", release, release / "bin", release / "sbin", release / "lib", release / "libexec", "23"
    )
    path = tmp_path / "condor_config"
    write_configuration(path, state=tmp_path, installation=installation, pool_id="abc", user="u", slots=3)
    lines = path.read_text().splitlines()
    assert "NUM_CPUS = 3" in lines
    assert "NETWORK_INTERFACE = 127.0.0.1" in lines
    assert "BIND_ALL_INTERFACES = FALSE" in lines
    assert f"LOCAL_DIR = {tmp_path}" in lines
    assert not [line for line in lines if "@STATE@" in line or "@ID@" in line]


def test_record_reads_back(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    write_record(record)
    assert read_record(tmp_path) == record
    remove_record(tmp_path)
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "abc"}', "7"])
def test_broken_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pool.json").write_text(text)
    assert read_record(tmp_path) is None


def test_running_is_this_process_since_this_boot(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    assert record.running()
    assert not replace(record, boot="before").running()
    # The number was given out again.
    assert not replace(record, master_start_ticks=record.master_start_ticks - 1).running()


def test_zombies_are_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = find(child.pid)
        assert process is not None
        assert process.alive()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not process.alive()
        assert find(child.pid) is None


def test_processes_are_found_by_their_environment() -> None:
    marked = {**os.environ, "DYNAMO_TEST_MARK": "x y"}
    with subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], env=marked, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        assert [process.pid for process in with_environment("DYNAMO_TEST_MARK=x y")] == [child.pid]
        assert with_environment("DYNAMO_TEST_MARK=x") == []
        child.kill()


def test_no_process_has_number_zero() -> None:
    assert not Process(0, 0).alive()


def test_lock_is_for_one(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(BusyError), only_one(tmp_path, timeout_s=0.0):
        pass


def test_folders_follow_the_users_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DYNAMO_POOL_DIR", "DYNAMO_HTCONDOR_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_state() == tmp_path / "state/dynamo/pool"
    assert default_prefix() == tmp_path / "data/dynamo/htcondor"
    monkeypatch.setenv("DYNAMO_POOL_DIR", str(tmp_path / "p"))
    monkeypatch.setenv("DYNAMO_HTCONDOR_PREFIX", str(tmp_path / "q"))
    assert default_state() == tmp_path / "p"
    assert default_prefix() == tmp_path / "q"


def test_prefix_counts_only_where_it_was_made(tmp_path: Path) -> None:
    assert read_marker(tmp_path) is None
    assert find_installation(tmp_path) is None
    (tmp_path / MARKER).write_text('{"prefix": "/elsewhere", "version": "1"}')
    assert read_marker(tmp_path) is None
    (tmp_path / MARKER).write_text(f'{{"prefix": "{tmp_path}", "version": "1"}}')
    found = find_installation(tmp_path)
    assert found is not None
    assert (found.origin, found.version, found.sbin) == ("prefix", "1", tmp_path / "usr/sbin")


def test_a_prefix_on_the_path_is_not_the_systems_htcondor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYNAMO_HTCONDOR_PREFIX", raising=False)
    (tmp_path / MARKER).write_text(f'{{"prefix": "{tmp_path}", "version": "1"}}')
    for name in ("bin/condor_config_val", "sbin/condor_master"):
        (tmp_path / "usr" / name).parent.mkdir(parents=True)
        (tmp_path / "usr" / name).touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/usr/bin:{tmp_path}/usr/sbin", prepend=":")
    found = find_installation()
    assert found is not None
    assert (found.origin, found.release) == ("prefix", tmp_path / "usr")


def test_missing_htcondor_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="dynamo pool install"):
        require_installation(tmp_path)
    with pytest.raises(MissingPartError, match="dynamo pool install"):
        up(state=tmp_path / "pool", prefix=tmp_path)
    assert read_record(tmp_path / "pool") is None


def test_no_pool_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    monkeypatch.setenv("DYNAMO_POOL_DIR", str(tmp_path))
    monkeypatch.setattr("dynamo.pool.environment.SYSTEM_CONFIG", tmp_path / "absent")
    with pytest.raises(MissingPartError, match="dynamo pool up"):
        use_pool()
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "none"))
    with pytest.raises(MissingPartError, match="CONDOR_CONFIG"):
        pool_environment()


def test_environment_of_a_running_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_in(tmp_path)
    write_record(record)
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    monkeypatch.setenv("DYNAMO_POOL_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin")
    environment = pool_environment()
    assert environment["CONDOR_CONFIG"] == record.config
    assert environment["PATH"] == "/opt/condor/bin:/opt/condor/sbin:/usr/bin"
    write_record(replace(record, boot="before"))
    with pytest.raises(MissingPartError, match="dynamo pool up"):
        pool_environment()


def test_status_and_down_without_a_pool(tmp_path: Path) -> None:
    assert pool_status(tmp_path)["state"] == "down"
    assert down(tmp_path) is None
    assert down(tmp_path / "absent") is None
    write_record(replace(record_in(tmp_path), boot="before"))
    assert pool_status(tmp_path)["state"] == "dead"


def test_slots_are_counted_from_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        up(state=tmp_path, slots=0)


def test_bindings_follow_an_environment_that_was_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        record = record_in(tmp_path / name)
        Path(record.config).write_text(f"WHOSE_POOL = {name}\nUSE_SHARED_PORT = False\n")
        write_record(record)
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "one" / "condor_config"))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    use_pool()
    import htcondor2

    assert htcondor2.param["WHOSE_POOL"] == "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONDOR_CONFIG", str(tmp_path / "other" / "condor_config"))
        use_pool()
        assert htcondor2.param["WHOSE_POOL"] == "other"
    use_pool()
    assert htcondor2.param["WHOSE_POOL"] == "one"
