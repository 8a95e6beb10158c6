"""Damaged files against the process that looks into them: the daemon goes on, and says which file it was."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import netCDF4
import pytest

from dynamo.config.file import parse_config
from dynamo.errors import InputError, RetryableError
from dynamo.formats.nowcast import read_nowcast, write_nowcast
from dynamo.inspection import process as inspection
from dynamo.inspection.facts import InputFacts
from tests.integration.watch.test_watch import Followed
from tests.integration.watch.watch_support import DaemonProcess, environment, run_dynamo, write_small
from tests.waiting import PATIENCE, wait_for

_CONFIG = """
[runs]
min_free_mb = 0
[[feeds]]
name = "nowcasts"
path = "incoming"
settle_s = 0.2
rescan_s = 0.5
[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [30], min_points = 4 }
"""


def write_slow(folder: Path) -> Path:
    """Write a good nowcast of 135 million nodes, which takes seconds to look at; a sparse file."""
    path = folder / "slow.nc"
    with (
        netCDF4.Dataset(write_small(folder, 5)) as small,
        netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as large,
    ):
        large.set_fill_off()
        large.setncatts({name: small.getncattr(name) for name in small.ncattrs()})
        for name in small.dimensions:
            large.createDimension(name, 60 if name == "Steps" else 1500)
        for name, variable in small.variables.items():
            copy = large.createVariable(name, variable.dtype, variable.dimensions)
            copy.setncatts({attribute: variable.getncattr(attribute) for attribute in variable.ncattrs()})
    return path


class Asked(threading.Thread):
    """An inspection in a thread of its own, and its answer or error."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.answer: InputFacts | Exception | None = None
        self._path = path
        self.start()

    def run(self) -> None:
        try:
            self.answer = inspection.inspect(self._path, [30.0])
        except Exception as error:
            self.answer = error

    def ended(self) -> InputFacts | Exception | None:
        self.join(300)
        return self.answer


@pytest.fixture
def helper() -> Iterator[int]:
    """The process id of a warm process."""
    inspection.close()
    pid = inspection._inspectors.warm().helper.pid
    yield pid
    inspection.close()


def test_a_file_that_crashes_the_library_is_bad_input_and_the_next_one_is_read(
    tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "LIMIT_S", 1e6)
    good = write_small(tmp_path, 0)
    asked = Asked(write_slow(tmp_path))
    # A stand-in: damaged headers on which the library crashes are refused before it sees them.
    inspector = inspection._inspectors.warm()
    for _ in range(2):
        wait_for(lambda: inspector._asked_at < math.inf or not asked.is_alive(), what="the question")
        if not asked.is_alive():
            break
        pid = inspector.helper.pid
        os.kill(pid, signal.SIGSEGV)
        wait_for(partial(_replaced_or_answered, inspector, pid, asked), what="another process, or the answer")
    answer = asked.ended()
    assert isinstance(answer, InputError)
    assert "crashes on it" in str(answer)
    assert inspection.inspect(good, [30.0]).shape == (21, 21)


def test_a_file_that_is_read_for_ever_is_bad_input(
    tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = write_slow(tmp_path)
    monkeypatch.setattr(inspection, "LIMIT_S", 0.2)
    monkeypatch.setattr(inspection, "_SLOWEST_BYTES_PER_S", 1e12)
    with pytest.raises(InputError, match="still reading after 0"):
        inspection.inspect_port("casa-nowcast", [bad], [30.0])
    monkeypatch.setattr(inspection, "LIMIT_S", 30.0 * PATIENCE)
    assert inspection.inspect(write_small(tmp_path, 1), ()).shape == (21, 21)


def test_a_process_that_somebody_kills_is_replaced_and_the_file_is_not_blamed(tmp_path: Path, helper: int) -> None:
    good = write_small(tmp_path, 0)
    inspection.inspect(good, ())
    os.kill(helper, signal.SIGKILL)
    assert inspection.inspect(good, ()).shape == (21, 21)
    assert inspection._inspectors.warm().helper.pid != helper


def test_a_machine_that_is_busy_is_waited_for(tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_small(tmp_path, 0)
    inspection.inspect(good, ())
    monkeypatch.setattr(inspection, "LIMIT_S", 1.0)
    monkeypatch.setattr(inspection, "WAIT_TIMES", 1000.0)
    os.kill(helper, signal.SIGSTOP)
    asked = Asked(good)
    begun = time.monotonic()
    wait_for(
        lambda: time.monotonic() - begun > 1.5 * inspection.LIMIT_S or not asked.is_alive(), what="its time to pass"
    )
    assert asked.answer is None
    os.kill(helper, signal.SIGCONT)
    assert isinstance(asked.ended(), InputFacts)


def test_a_file_that_cannot_be_read_for_long_is_tried_again_later(
    tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write_small(tmp_path, 0)
    inspection.inspect(good, ())
    os.kill(helper, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(inspection, "WAIT_TIMES", 0.01)
        with pytest.raises(RetryableError, match="not read within 0 s"):
            inspection.inspect(good, ())
    assert inspection.inspect(good, ()).shape == (21, 21)


def test_a_file_whose_inspection_is_killed_again_and_again_is_not_blamed(
    tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "LIMIT_S", 1e6)
    asked = Asked(write_slow(tmp_path))
    inspector = inspection._inspectors.warm()
    for _ in range(2):
        wait_for(lambda: inspector._asked_at < math.inf, what="the question")
        pid = inspector.helper.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(partial(_replaced, inspector, pid), what="another process")
    answer = asked.ended()
    assert isinstance(answer, RetryableError)
    assert "was killed (SIGKILL) twice" in str(answer)


def test_a_slow_file_does_not_hold_up_the_others(tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "LIMIT_S", 1e6)
    slow = Asked(write_slow(tmp_path))
    inspector = inspection._inspectors.warm()
    wait_for(lambda: inspector._asked_at < math.inf, what="the question")
    # However fast this machine is.
    os.kill(helper, signal.SIGSTOP)
    assert inspection.inspect(write_small(tmp_path, 1), ()).shape == (21, 21)
    assert slow.answer is None
    os.kill(helper, signal.SIGCONT)
    inspection.close()
    assert isinstance(slow.ended(), RetryableError)


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_much_larger_than_its_header_declares_is_bad_before_it_is_read(
    tmp_path: Path, helper: int, compress: bool
) -> None:
    header, fields = read_nowcast(write_small(tmp_path, 0))
    path = tmp_path / "large.nc"
    write_nowcast(path, header, fields, compress=compress)
    os.truncate(path, 1 << 40)
    with pytest.raises(InputError, match=r"has 1,099,511,627,776 bytes, but its header declares 3,528"):
        inspection.inspect(path, ())
    os.truncate(path, 1 << 20)
    assert inspection.inspect(path, ()).shape == (21, 21)


def test_relative_paths_are_those_of_the_caller(tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_small(tmp_path, 0)
    monkeypatch.chdir(tmp_path)
    assert inspection.inspect(Path(good.name), ()).shape == (21, 21)
    with pytest.raises(InputError, match=r"^none\.nc: no such file"):
        inspection.inspect(Path("none.nc"), ())


def test_nobody_is_blamed_for_a_process_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspection.close()
    good = write_small(tmp_path, 0)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "none"))
        with pytest.raises(RetryableError, match="cannot start"):
            inspection.inspect(good, ())
        patch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(RetryableError, match="does not start"):
            inspection.inspect(good, ())
    inspection.close()
    assert inspection.inspect(good, ()).shape == (21, 21)


def test_the_process_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    script = (
        "import sys; from dynamo.inspection import process as inspection\n"
        "inspection.warm(); print(inspection._inspectors.warm().helper.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as asker:
        assert asker.stdout is not None
        pid = int(asker.stdout.readline())
        asker.kill()
    wait_for(lambda: _gone(pid), 20.0, "the end of the process")


def test_a_file_that_is_read_for_ever_holds_up_neither_its_feed_nor_others(
    tmp_path: Path, helper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "LIMIT_S", 1e6)
    feeds = [{"name": name, "path": name, "settle_s": 0.3, "rescan_s": 0.5} for name in ("one", "two")]
    for feed in feeds:
        (tmp_path / str(feed["name"])).mkdir()
    # Somebody must be interested in levels, or the data are not looked at.
    trigger = {"name": "storms", "feed": "one", "workflow": "nowcast", "parameters": {"levels": [30], "min_points": 4}}
    followed = Followed(parse_config({"feeds": feeds, "triggers": [trigger]}, base=tmp_path))
    with followed.watcher:
        write_slow(tmp_path).rename(tmp_path / "one" / "slow.nc")
        inspector = inspection._inspectors.warm()
        wait_for(lambda: inspector._asked_at < math.inf, what="the slow file")
        os.kill(inspector.helper.pid, signal.SIGSTOP)
        write_small(tmp_path / "one", 1)
        write_small(tmp_path / "two", 2)
        arrivals = followed.wait("arrival", 2, 60.0)
        assert {event.data["feed"] for event in arrivals} == {"one", "two"}
        assert followed.of("quarantined") == []
    # It ends with the daemon, and is found again by the next one.
    assert (tmp_path / "one" / "slow.nc").exists()


def test_the_daemon_quarantines_a_file_on_which_the_library_would_crash(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "dynamo.toml").write_text(_CONFIG)
    damaged = write_small(tmp_path / "incoming", 0)
    data = bytearray(damaged.read_bytes())
    # One byte of the dimensions in the header.
    data[12] = 134
    damaged.write_bytes(data)
    closed = tmp_path / "incoming" / os.fsdecode(b"caf\xe9.nc")
    closed.write_bytes(b"CDF\x01")
    daemon = DaemonProcess(tmp_path, "--json")
    try:
        aside = tmp_path / ".dynamo" / "quarantine"
        wait_for(lambda: aside.is_dir() and len(list(aside.glob("*.reason"))) == 2, what="both bad files")
        write_small(tmp_path / "incoming", 1)
        wait_for(lambda: b"published" in daemon.log.read_bytes(), what="the good file")
    finally:
        assert daemon.stop() == 0
    reasons = {path.name: path.read_text() for path in aside.glob("*.reason")}
    assert "damaged NetCDF-3 header" in reasons["MERGE_DARTS_202605201800.nc.reason"]
    assert reasons[r"caf\xe9.nc.reason"] == "its name is not UTF-8\n"
    assert run_dynamo(tmp_path, "runs", "list").returncode == 0


def _replaced(inspector: inspection._Inspector, pid: int) -> bool:
    return inspector.helper.pid != pid


def _replaced_or_answered(inspector: inspection._Inspector, pid: int, asked: Asked) -> bool:
    return _replaced(inspector, pid) or not asked.is_alive()


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
    finally:
        time.sleep(0.01)
