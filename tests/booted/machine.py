"""A real Debian 12 with a booted systemd: debootstrap's root under an overlay, systemd-nspawn, no network but its own.

Promises:
- each machine starts on a clean root (overlayfs over one cached root) and leaves nothing behind when it is closed;
- what is run inside runs in all its namespaces (nsenter), as root, with a time limit;
- a computer that cannot do this (no root, no debootstrap, no overlayfs) says why in `why_not()`, which tries it.

The cache is $VIGIA_BOOTED_CACHE (default ~/.cache/vigia-booted): it is outside the project, made once, 45 s, 270 MB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Self

SUITE = "bookworm"
PACKAGES = "python3,systemd,systemd-sysv,dbus,libpam-systemd,iproute2,procps,mosquitto"
BOOT_S = 30.0


def cache() -> Path:
    default = Path.home() / ".cache" / "vigia-booted"
    return Path(os.environ.get("VIGIA_BOOTED_CACHE", str(default)))


def why_not() -> str:
    """Why this computer cannot boot such a machine; empty when it can."""
    if os.geteuid() != 0:
        return "not root"
    missing = [p for p in ("debootstrap", "systemd-nspawn", "nsenter", "dpkg-deb") if shutil.which(p) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    try:
        with Machine():
            return ""
    except (RuntimeError, subprocess.CalledProcessError, AssertionError) as e:  # no network, no mounts, no namespaces
        return str(e)


def base_root() -> Path:
    """The cached clean root; made on first use."""
    root = cache() / f"{SUITE}-1"
    if not (root / ".complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"debootstrap failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        (root / "etc/systemd/system/multi-user.target.wants/mosquitto.service").unlink(missing_ok=True)
        (root / ".complete").touch()
    return root


class Machine:
    """One booted system. Use as a context manager."""

    def __init__(self) -> None:
        self.name = f"vigia-{uuid.uuid4().hex[:8]}"
        self._folder = Path(tempfile.mkdtemp(prefix="vigia-booted-"))
        self.root = self._folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        lower = base_root()
        for name in ("upper", "work", "root"):
            (self._folder / name).mkdir()
        options = f"lowerdir={lower},upperdir={self._folder}/upper,workdir={self._folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True)
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        subprocess.run(["umount", "-l", str(self.root)], check=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def boot(self) -> None:
        """Start systemd and wait until it has reached its target."""
        log = (self._folder / "console").open("ab")
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", str(self.root), "--boot", "--register=no", "--keep-unit",
             "--private-network", "-M", self.name, "--console=passive"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        self.until(self._booted, BOOT_S)
        self.run("ip", "link", "set", "lo", "up")

    def power_off(self) -> None:
        """Pull the plug: every process of the machine is killed at once."""
        if self._nspawn is None:
            return
        if self._leader:
            with open(f"/proc/{self._leader}/stat", encoding="utf-8"):  # noqa: PTH123 - it exists: not somebody else's
                os.kill(self._leader, 9)
        self._nspawn.terminate()
        try:
            self._nspawn.wait(10.0)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn, self._leader = None, 0

    def run(self, *command: str, check: bool = True, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a program inside, as root."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *command],
            capture_output=True, text=True, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def sh(self, script: str, *, check: bool = True, timeout_s: float = 120.0) -> str:
        """Run a shell script inside; its standard output."""
        return self.run("/bin/sh", "-ec", script, check=check, timeout_s=timeout_s).stdout

    def show(self, key: str, unit: str = "vigia.service") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "-P", key, unit).stdout.strip()

    def until(self, true: Callable[[], bool], timeout_s: float, what: str = "") -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not reached in {timeout_s:g} s: {what}\n{self.journal() if self._leader else self._console()}"
                )
            time.sleep(0.2)

    def journal(self, *args: str, unit: str = "vigia.service") -> str:
        """What the unit has said."""
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", "-u", unit, *args).stdout

    def put(self, path: str, text: str) -> None:
        """Write a file inside, as root; its mode and owner stay when it was there."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def _console(self) -> str:
        return (self._folder / "console").read_text(errors="replace")[-3000:]

    def _booted(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise RuntimeError(f"systemd-nspawn ended with {self._nspawn.returncode}: {self._console()}")
        if not self._leader:
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            for pid in children:
                if Path(f"/proc/{pid}/comm").read_text().strip() in ("systemd", "init"):
                    self._leader = int(pid)
        if not self._leader:
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")
