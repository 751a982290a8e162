"""Tries what a broken-in agent would try, and prints what the system said: {"name": "" or the error's name}.

Runs inside the unit's own sandbox (tests/booted/test_denials.py), with Debian's Python and nothing else.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
PTRACE_TRACEME = 0
SYS_MOUNT, SYS_BPF, SYS_KEYCTL_ADD = 165, 321, 248  # x86-64


def called(result: int) -> None:
    """Raise what a libc call left in errno."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def syscall(number: int, *args: int) -> None:
    called(libc.syscall(number, *args))


def write(path: str) -> Callable[[], int]:
    return lambda: Path(path).write_text("x", encoding="utf-8")


def open_socket(family: int, kind: int, protocol: int = 0) -> Callable[[], None]:
    return lambda: socket.socket(family, kind, protocol).close()


def writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def others() -> None:
    """See the first process of the machine."""
    Path("/proc/1/comm").read_text(encoding="utf-8")


def high_priority() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


TRIES: dict[str, Callable[[], object]] = {
    "write its state": write("/var/lib/vigia/probe"),
    "write its own /tmp": write("/tmp/probe"),  # noqa: S108 - whose it is, is the question
    "read its configuration": lambda: Path("/etc/vigia/vigia.toml").read_text(encoding="utf-8"),
    "speak UDP": open_socket(socket.AF_INET, socket.SOCK_DGRAM),
    "write its configuration": write("/etc/vigia/vigia.toml"),
    "write its program": write("/opt/vigia/lib/agent/__init__.py"),
    "write /usr": write("/usr/probe"),
    "write /dev/shm": write("/dev/shm/probe"),  # noqa: S108 - as above
    "read /etc/shadow": lambda: Path("/etc/shadow").read_text(encoding="utf-8"),
    "read the credentials' store": lambda: list(Path("/etc/credstore").iterdir()),
    "list /root": lambda: list(Path("/root").iterdir()),
    "list /home": lambda: list(Path("/home").iterdir()),
    "open a raw socket": open_socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "open a packet socket": open_socket(socket.AF_PACKET, socket.SOCK_DGRAM),
    "speak netlink": open_socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "open a Bluetooth socket": open_socket(31, socket.SOCK_RAW, 1),
    "make memory that is writable and executable": writable_code,
    "make a user namespace": lambda: called(libc.unshare(CLONE_NEWUSER)),
    "trace": lambda: called(libc.ptrace(PTRACE_TRACEME, 0, 0, 0)),
    "mount": lambda: syscall(SYS_MOUNT, 0, 0, 0, 0, 0),
    "load a BPF program": lambda: syscall(SYS_BPF, 5, 0, 0),
    "become root": lambda: os.setuid(0),
    "take realtime priority": high_priority,
    "set the clock": lambda: called(libc.settimeofday(ctypes.byref((ctypes.c_long * 2)(0, 0)), 0)),
    "set the host's name": lambda: socket.sethostname("probe"),
    "see other processes": others,
    "read the kernel's log": lambda: Path("/dev/kmsg").open("rb").close(),
    "write a kernel variable": write("/proc/sys/kernel/hostname"),
    "make a set-uid file": lambda: Path("/var/lib/vigia/probe").chmod(0o4755),
    "swap its personality": lambda: called(libc.personality(0x0008)),
}


def main() -> None:
    """Try everything and print one JSON object."""
    said = {}
    for name, attempt in TRIES.items():
        try:
            attempt()
        except OSError as e:
            said[name] = errno.errorcode.get(e.errno or 0, str(e))
        else:
            said[name] = ""
    sys.stdout.write(json.dumps(said))


main()
