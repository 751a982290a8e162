"""A Debian 12 with its own kernel under QEMU's software emulation, for what a container cannot show (`make test-vm`).

Promises:
- the image is made from a cached debootstrap root with the package installed; it is thrown away at the end;
- commands run inside over a virtio port; a serial adapter on USB is plugged in and out by QEMU's monitor;
- the power is cut by killing QEMU: what the guest had not written to its disk is gone.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from booted.machine import cache

PACKAGES = "python3,systemd,systemd-sysv,dbus,libpam-systemd,iproute2,procps,udev,kmod,linux-image-amd64,mosquitto"
PORT = "/dev/virtio-ports/control"
CONTROL = f"""\
[Unit]
Description=Commands from outside
[Service]
ExecStart=/bin/sh -c 'exec /bin/sh <>{PORT} >&0 2>&1'
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""
BOOT_S = 900.0


def base_root() -> Path:
    """The cached root with a kernel; made on first use (a few minutes)."""
    root = cache() / "bookworm-vm-1"
    if not (root / ".complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
        subprocess.run(command, check=True, capture_output=True)
        (root / ".complete").touch()
    return root


def make_image(folder: Path, deb: Path) -> Path:
    """A bootable file system with the package installed."""
    merged = folder / "merged"
    for name in ("upper", "work", "merged"):
        (folder / name).mkdir()
    layers = f"lowerdir={base_root()},upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(merged)], check=True)
    try:
        shutil.copyfile(deb, merged / "root/vigia.deb")
        subprocess.run(["chroot", str(merged), "dpkg", "-i", "/root/vigia.deb"], check=True, capture_output=True)
        (merged / "root/vigia.deb").unlink()
        (merged / "etc/systemd/system/control.service").write_text(CONTROL)
        (merged / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
        wanted = merged / "etc/systemd/system/multi-user.target.wants"
        (wanted / "mosquitto.service").unlink(missing_ok=True)
        (wanted / "control.service").symlink_to("/etc/systemd/system/control.service")
        image = folder / "disk"
        with image.open("wb") as f:
            f.truncate(4 * 1024**3)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(merged), str(image)], check=True, capture_output=True)
    finally:
        subprocess.run(["umount", "-l", str(merged)], check=True)
    return image


class Vm:
    """One emulated machine on an image. Use as a context manager."""

    def __init__(self, deb: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vigia-vm-", dir="/var/tmp"))
        self.image = make_image(self.folder, deb)
        self._qemu: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.line: socket.socket | None = None

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()
        shutil.rmtree(self.folder, ignore_errors=True)

    def boot(self) -> None:
        """Switch on and wait until commands are taken."""
        boot = base_root() / "boot"
        (kernel,) = boot.glob("vmlinuz-*")
        initrd = boot / kernel.name.replace("vmlinuz", "initrd.img")
        at = self.folder
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536", "-nographic",
            "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", "root=/dev/vda rw console=ttyS0 quiet loglevel=1 no_timer_check",
            "-drive", f"file={self.image},if=virtio,format=raw,cache=writeback", "-nic", "none",
            "-serial", f"file:{at}/console", "-monitor", f"unix:{at}/monitor,server=on,wait=off",
            "-device", "virtio-serial", "-chardev", f"socket,id=control,path={at}/control,server=on,wait=off",
            "-device", "virtserialport,chardev=control,name=control",
            "-device", "qemu-xhci", "-chardev", f"socket,id=line,path={at}/line,server=on,wait=off",
            "-device", "usb-serial,id=adapter,chardev=line,port=1",
        ]  # fmt: skip
        self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + BOOT_S
        self._control = self._connect("control", deadline)
        line = self._connect("line", deadline)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if self.run("echo up", timeout_s=5.0).strip() == "up":
                    self.line = line  # an adapter that is talked to while the kernel looks for it is not found
                    return
        line.close()
        raise AssertionError((at / "console").read_text(errors="replace")[-3000:])

    def cut_power(self) -> None:
        """Nothing is flushed, nobody is asked."""
        line, self.line = self.line, None
        for s in (self._control, line):
            if s is not None:
                s.close()
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        for name in ("control", "line", "monitor"):
            (self.folder / name).unlink(missing_ok=True)

    def run(self, script: str, timeout_s: float = 300.0) -> str:
        """A shell script inside; what it printed."""
        assert self._control is not None
        mark = f"end-{time.monotonic_ns()}"
        # the mark is put together inside, so that an echo of the command is not taken for its end
        self._control.sendall(f"{{ {script}\n}} 2>&1; echo {mark[:6]}''{mark[6:]}\n".encode())
        said = b""
        deadline = time.monotonic() + timeout_s
        while mark.encode() not in said:
            self._control.settimeout(max(deadline - time.monotonic(), 0.01))
            said += self._control.recv(65_536)
        return said.decode(errors="replace").partition(mark)[0]

    def monitor(self, command: str) -> None:
        """A command to QEMU, which has taken it when it prompts again (a connection closed before that undoes it).

        Raises:
            AssertionError: QEMU does not like it.

        """
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.folder / "monitor"))
            s.settimeout(120.0)
            said = b""
            for send in (b"", command.encode() + b"\n"):
                s.sendall(send)
                said = s.recv(4096)
                while not said.endswith(b"(qemu) "):
                    said += s.recv(4096)
            assert b"Error" not in said, said.decode(errors="replace")

    def until(self, true: Callable[[], bool], what: str, timeout_s: float = 900.0) -> float:
        """Wait; the seconds it took."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > timeout_s:
                said = self.run("journalctl -u vigia -n 40 --no-pager")
                raise AssertionError(f"not in {timeout_s:g} s: {what}\n{said}")
            time.sleep(1.0)
        return time.monotonic() - began

    def put(self, path: str, text: str) -> None:
        """Write a file inside."""
        self.run(f"cat > {path} <<'VIGIA_EOF'\n{text}\nVIGIA_EOF")

    def _connect(self, name: str, deadline: float) -> socket.socket:
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(str(self.folder / name))
            except OSError:
                s.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return s
