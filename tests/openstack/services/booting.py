"""A nova virt driver whose servers boot: nova's fake driver, plus a real run of the server's user data.

A server is a process tree that machine.sh keeps (see there), with one folder on disk, so that servers outlive a
restart of nova-compute. One without user data is only a record, as in the fake driver: ACTIVE with nothing running.

The environment of nova-compute names the place: SANDBOX_SERVERS (the folder of all servers), SANDBOX_MACHINE
(machine.sh), SANDBOX_MACHINE_ENV (its settings, read at each boot), SANDBOX_SPAWN_FAULT (a file: while it exists, no
server can be spawned).
"""
# It runs where nova is installed, which the project's own environment is not; nova is untyped and names the arguments.
# mypy: ignore-errors
# ruff: noqa: ARG002

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import user_data as cloud_user_data
from nova import exception
from nova.compute import power_state
from nova.virt import event, fake, hardware
from oslo_log import log as logging
from oslo_service import loopingcall

LOG = logging.getLogger(__name__)
SERVERS = Path(os.environ["SANDBOX_SERVERS"])
MACHINE = os.environ["SANDBOX_MACHINE"]
MACHINE_ENV = os.environ["SANDBOX_MACHINE_ENV"]
SPAWN_FAULT = Path(os.environ["SANDBOX_SPAWN_FAULT"])
CLEAN_OFF_S = 15
LONGEST_PAUSE_S = 30.0


def start_time(pid: int) -> str:
    """When a process began, in clock ticks since boot; empty if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


class Machine:
    """A server's folder, and the process tree that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record: dict = json.loads((folder / "server.json").read_text())
        self._child: subprocess.Popen | None = None
        self.told_at = 0.0
        self.pause_s = 1.0

    @classmethod
    def make(cls, folder: Path, record: dict, user_data: bytes) -> Machine:
        """Write a new server's folder; it is off."""
        folder.mkdir(parents=True, mode=0o711, exist_ok=True)
        if user_data:
            (folder / "user-data").touch(0o600)
            (folder / "user-data").write_bytes(user_data)
            for name in ("boot.d", "bin"):
                (folder / name).mkdir(mode=0o755 if name == "bin" else 0o700, exist_ok=True)
            for name, text in cloud_user_data.parts(user_data):
                part = folder / "boot.d" / name
                part.touch(0o700)
                part.write_bytes(text)
            power_off = f'#!/bin/sh\n[ "$1" = -c ] || echo off > {shlex.quote(str(folder / "power"))}\n'
            for name in ("bin/poweroff", "bin/shutdown", "bin/halt", "poweroff"):
                (folder / name).write_text(power_off)
                (folder / name).chmod(0o755)
            os.mkfifo(folder / "power", 0o600)
            settings = {
                "INSTANCE_ID": record["uuid"],
                "SERVER_NAME": record["hostname"],
                "ADDRESS": record["nics"][0][1].partition("/")[0] if record["nics"] else "",
                "MACHINE_ENV": MACHINE_ENV,
            }
            (folder / "server.env").write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in settings.items()))
            (folder / "nics").write_text("".join(f"{mac} {address}\n" for mac, address in record["nics"]))
            (folder / "console.log").touch(0o600)
        machine = cls.__new__(cls)
        machine.folder, machine.record, machine._child, machine.told_at, machine.pause_s = (
            folder,
            record,
            None,
            0.0,
            1.0,
        )
        machine._save()
        return machine

    @property
    def boots(self) -> bool:
        """Whether it has something to run."""
        return self.record["boots"]

    def alive(self) -> bool:
        """Whether its process tree is there."""
        if self._child is not None:
            self._child.poll()
        try:
            pid, began = (self.folder / "pid").read_text().split()
        except (OSError, ValueError):
            return False
        return start_time(int(pid)) == began

    def state(self) -> int:
        """The power state, as nova counts it."""
        on = self.record["on"] and (not self.boots or self.alive())
        return power_state.RUNNING if on else power_state.SHUTDOWN

    def on(self) -> None:
        """Power on; nothing happens if it is on."""
        self.record["on"] = True
        self.told_at, self.pause_s = 0.0, 1.0
        self._save()
        if not self.boots or self.alive():
            return
        with (self.folder / "console.log").open("ab") as console:
            self._child = subprocess.Popen(
                [MACHINE, "on", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        pid_file = self.folder / "pid.new"
        pid_file.write_text(f"{self._child.pid} {start_time(self._child.pid)}\n")
        pid_file.replace(self.folder / "pid")

    def off(self, *, clean: bool) -> None:
        """Power off: press the button and wait, or pull the plug."""
        if self.boots and clean and self.alive():
            button = os.open(self.folder / "power", os.O_RDWR | os.O_NONBLOCK)
            try:
                os.write(button, b"off\n")
                end = time.monotonic() + CLEAN_OFF_S
                while self.alive() and time.monotonic() < end:
                    time.sleep(0.1)
            finally:
                os.close(button)
        if self.boots:
            subprocess.run([MACHINE, "kill", str(self.folder)], stdin=subprocess.DEVNULL, check=False)
            self.alive()
        self.record["on"] = False
        self._save()

    def console(self) -> bytes:
        """What it said."""
        path = self.folder / "console.log"
        return path.read_bytes() if path.exists() else b""

    def remove(self) -> None:
        """Forget it; its console stays among the logs."""
        if self.boots:
            consoles = SERVERS.parent.parent / "logs" / "consoles"
            consoles.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / "console.log", consoles / f"{self.record['name']}-{self.record['uuid'][:8]}.log")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _save(self) -> None:
        new = self.folder / "server.json.new"
        new.write_text(json.dumps(self.record))
        new.replace(self.folder / "server.json")


class BootingDriver(fake.FakeDriverWithoutFakeNodes):
    """Servers that run their user data."""

    def init_host(self, host):
        super().init_host(host)
        self._machines: dict[str, Machine] = {}
        for path in SERVERS.glob("*/server.json"):
            machine = Machine(path.parent)
            if machine.record["host"] == host:
                self._keep(machine)
        loopingcall.FixedIntervalLoopingCall(self._watch).start(interval=1.0, stop_on_exception=False)

    def spawn(self, context, instance, image_meta, injected_files, admin_password, allocations, network_info=None,
              block_device_info=None, power_on=True, accel_info=None):  # fmt: skip
        if SPAWN_FAULT.exists():
            raise exception.NovaException(SPAWN_FAULT.read_text().strip() or "the sandbox was told to fail")
        for vif in network_info or ():
            self._interfaces[vif["id"]] = vif
        data = base64.b64decode(instance.user_data or "")
        record = {
            "uuid": instance.uuid, "name": instance.display_name, "hostname": instance.hostname or instance.uuid,
            "host": self._host, "label": instance.name, "on": False, "boots": bool(data.strip()),
            "nics": _nics(network_info or ()),
            "vcpus": instance.flavor.vcpus, "memory_mb": instance.flavor.memory_mb, "disk_gb": instance.flavor.root_gb,
        }  # fmt: skip
        machine = Machine.make(SERVERS / instance.uuid, record, data)
        self._keep(machine)
        if power_on:
            machine.on()

    def destroy(
        self, context, instance, network_info, block_device_info=None, destroy_disks=True, destroy_secrets=True
    ):
        machine = self._machines.pop(instance.uuid, None)
        if machine is not None:
            machine.off(clean=False)
            machine.remove()
        super().destroy(context, instance, network_info, block_device_info, destroy_disks, destroy_secrets)

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._machine(instance).off(clean=timeout > 0)
        super().power_off(instance, timeout, retry_interval)

    def power_on(self, context, instance, network_info, block_device_info=None, accel_info=None, share_info=None):
        self._machine(instance).on()
        super().power_on(context, instance, network_info, block_device_info, accel_info, share_info)

    def reboot(self, context, instance, network_info, reboot_type, block_device_info=None, bad_volumes_callback=None,
               accel_info=None, share_info=None):  # fmt: skip
        machine = self._machine(instance)
        machine.off(clean=reboot_type.lower() == "soft")
        machine.on()

    def get_info(self, instance, use_cache=True):
        return hardware.InstanceInfo(state=self._machine(instance).state())

    def get_console_output(self, context, instance):
        return self._machine(instance).console()

    def _machine(self, instance) -> Machine:
        try:
            return self._machines[instance.uuid]
        except KeyError:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from None

    def _keep(self, machine: Machine) -> None:
        record = machine.record
        self._machines[record["uuid"]] = machine
        self.instances[record["uuid"]] = fake.FakeInstance(record["label"], machine.state(), record["uuid"])
        self.resources.claim(vcpus=record["vcpus"], mem=record["memory_mb"], disk=record["disk_gb"])

    def _watch(self) -> None:
        """Tell nova of machines that went off by themselves.

        Nova drops what it is told about a server with a task under way (as one that ended while it was still being
        spawned), so it is told again, ever more rarely, until it has called power_off().
        """
        now = time.monotonic()
        for uuid, machine in list(self._machines.items()):
            if (
                not (machine.boots and machine.record["on"])
                or now < machine.told_at + machine.pause_s
                or machine.alive()
            ):
                continue
            machine.told_at, machine.pause_s = now, min(2 * machine.pause_s, LONGEST_PAUSE_S)
            self.emit_event(event.LifecycleEvent(uuid, event.EVENT_LIFECYCLE_STOPPED))


def _nics(network_info) -> list[tuple[str, str]]:
    found = []
    for vif in network_info:
        for subnet in vif["network"]["subnets"]:
            prefix = str(subnet["cidr"]).partition("/")[2]
            found += [(vif["address"], f"{ip['address']}/{prefix}") for ip in subnet["ips"] if ip["version"] == 4]
    return found
