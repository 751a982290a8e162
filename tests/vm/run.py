"""`make test-vm`: real V4L2, a USB serial adapter, the memory limit, a power cut. Prints a table.

Under software emulation everything takes many times as long, so the unit gets more time than on a box, and the camera a
detector of a few layers whose boxes are dropped: what is tried here is the kernel's side.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults.devices import checked
from inference.blob_model import blob_model

from .machine import Vm

Rows = Iterator[tuple[str, str]]  # what was tried, and what came of it
CONFIG = """\
[site]
name = "vm"
lat = 43.38
lon = -8.40
height_m = 20
[[sensor]]
name = "arpa"
driver = "nmea-radar"
url = "serial:///dev/serial/by-id/{line}?baud=38400"
stale_s = 10
[[sensor]]
name = "cam"
driver = "camera"
url = "v4l2:///dev/video0"
model = "/etc/vigia/blob.onnx"
land = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]
look = "whole"
fps = 0.2
stale_s = 120
stall_s = 120
[storage]
checkpoint_s = 3
"""

SLOW = """\
[Service]
WatchdogSec=600
TimeoutStartSec=1200
TimeoutStopSec=120
"""
WARM = "import sys; sys.path.insert(0, '/opt/vigia/lib'); import agent.runtime.child, agent.runtime.camera_loop"


# what `vigia status` does, without loading its libraries: that takes the emulated processor half a minute each time
ASK = """\
import socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect("/var/lib/vigia/status.sock")
while data := s.recv(65536):
    print(data.decode(), end="")
"""


def status(vm: Vm) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(vm.run(f"python3 -I -c '{ASK}' 2>/dev/null || echo '{{}}'"))
    except ValueError:
        return {"sensors": {}, "pid": 0}
    return answer or {"sensors": {}, "pid": 0}


def is_(vm: Vm, sensor: str, *states: str) -> bool:
    return status(vm)["sensors"].get(sensor, {}).get("state") in states


class Talker(threading.Thread):
    """The radar at the other end of the adapter."""

    def __init__(self, vm: Vm) -> None:
        super().__init__(daemon=True)
        self._vm = vm
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.5):
            try:
                if (line := self._vm.line) is not None:
                    line.sendall(checked("$RATTM,11,1.4,13.6,T,7.0,20.0,T,0.0,0.0,N,,T,,154125.82,A"))
                    # a line that was just opened echoes; QEMU waits, with all of the machine, for somebody to read that
                    while len(line.recv(4096, socket.MSG_DONTWAIT)) == 4096:
                        pass
            except OSError:
                continue  # the adapter is unplugged, or there is nothing to read


def prepare(vm: Vm) -> None:
    """The unit's longer times, the detector, and libraries that have been read from the disk once."""
    vm.run("mkdir -p /etc/systemd/system/vigia.service.d")
    vm.put("/etc/systemd/system/vigia.service.d/slow.conf", SLOW)
    with tempfile.TemporaryDirectory() as folder:
        model = blob_model(Path(folder) / "blob.onnx")
        for path in (model, model.with_suffix(".toml")):
            vm.put(f"/etc/vigia/{path.name}.b64", base64.encodebytes(path.read_bytes()).decode())
            vm.run(f"base64 -d < /etc/vigia/{path.name}.b64 > /etc/vigia/{path.name}")
    vm.run(f'systemctl daemon-reload; python3 -I -c "{WARM}"', timeout_s=900.0)


def serial_line(vm: Vm) -> Rows:
    prepare(vm)
    vm.run("modprobe vivid n_devs=1 && udevadm settle", timeout_s=600.0)
    line = vm.run("ls /dev/serial/by-id").split()[0]
    vm.put("/etc/vigia/vigia.toml", CONFIG.format(line=line))
    vm.run("systemctl enable -q --now vigia", timeout_s=1300.0)
    heard_s = vm.until(lambda: is_(vm, "arpa", "ok"), "the serial line")
    yield "a USB serial adapter", f"{line}: ok after {heard_s:.0f} s"
    vm.monitor("device_del adapter")
    gone_s = vm.until(lambda: is_(vm, "arpa", "unavailable"), "unplugged")
    yield "... unplugged", f"`unavailable` after {gone_s:.0f} s: {status(vm)['sensors']['arpa']['evidence']}"
    vm.monitor("device_add usb-serial,id=adapter,chardev=line,port=1")
    back_s = vm.until(lambda: is_(vm, "arpa", "ok"), "plugged in")
    yield "... plugged in again", f"ok after {back_s:.0f} s, under the same name"


def camera(vm: Vm) -> Rows:
    seen_s = vm.until(lambda: is_(vm, "cam", "ok"), "the camera")
    yield "a camera of the kernel (V4L2, vivid)", f"ok after {seen_s:.0f} s more"


def memory(vm: Vm) -> Rows:
    before = status(vm)["pid"]
    vm.run("systemctl set-property --runtime vigia MemoryHigh=infinity MemoryMax=40M")
    killed_s = vm.until(lambda: "oom-kill" in vm.run("journalctl -u vigia -n 50 --no-pager"), "the limit is enforced")
    vm.run("systemctl set-property --runtime vigia MemoryMax=1G")
    back_s = vm.until(lambda: status(vm)["pid"] not in (0, before), "back with more memory")
    yield "memory beyond MemoryMax", f"killed after {killed_s:.0f} s (oom-kill in the journal)"
    yield "... and enough again", f"restarted by systemd, answers after {back_s:.0f} s"


def power(vm: Vm) -> Rows:
    vm.until(lambda: is_(vm, "arpa", "ok"), "at work before the cut")
    time.sleep(10.0)
    vm.cut_power()
    began = time.monotonic()
    vm.boot()
    vm.run("modprobe vivid n_devs=1")
    vm.until(lambda: is_(vm, "arpa", "ok"), "at work after the cut")
    said = vm.run("journalctl -u vigia -b --no-pager -o cat | grep recovery:").strip().splitlines()[0]
    yield "the power is cut (QEMU killed)", f"at work {time.monotonic() - began:.0f} s after switching on; {said}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deb", type=Path)
    args = parser.parse_args()
    with Vm(args.deb) as vm:
        talker = Talker(vm)
        talker.start()
        print("| what | result |\n|---|---|")
        for part in (serial_line, camera, memory, power):
            for what, result in part(vm):
                print(f"| {what} | {result} |", flush=True)
        talker.stop.set()
    return 0


if __name__ == "__main__":
    sys.exit(main())
