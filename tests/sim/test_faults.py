"""Faults by name: what may be timed, what takes an argument, which program takes which; and the full disk."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from hardware_sim.cli import main
from hardware_sim.devices.ballast import Ballast
from hardware_sim.errors import DeviceError
from hardware_sim.faults import FAULTS, Faults, FaultTable, parse_fault

# ---------------------------------------------------------------- the names


def test_every_name_can_be_timed_and_given_its_argument() -> None:
    for name, kind in FAULTS.items():
        fault = parse_fault(f"{name}@2:3")
        assert (fault.at_s, fault.duration_s, fault.value) == (2.0, 3.0, kind.default or 0.0)
        if kind.default is None:
            assert main(["run", "harbour-mouth", "--fault", f"{name}@2=1"]) == 64
        else:
            assert parse_fault(f"{name}@2=0.25").value == 0.25
        assert kind.does


def test_an_argument_holds_while_its_fault_is_on() -> None:
    faults = Faults((FaultTable(name="gnss-jump", at_s=5.0, duration_s=2.0, arg=300.0),))
    assert [faults.value("gnss-jump", t) for t in (4.9, 5.0, 6.9, 7.0)] == [0.0, 300.0, 300.0, 0.0]
    assert [(t, c.on, c.value) for t, c in faults.changes()] == [(5.0, True, 300.0), (7.0, False, 0.0)]
    assert list(faults.changes("hub")) == []


def test_each_program_takes_its_own_faults_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "harbour-mouth", "--out", str(tmp_path), "--fault", "broker-down@1"]) == 64
    assert "hub --fault" in capsys.readouterr().err
    assert main(["hub", "--fault", "ais-cut@1"]) == 64
    assert "run --fault" in capsys.readouterr().err
    fast = ["run", "harbour-mouth", "--fast", "--duration", "2", "--out", str(tmp_path)]
    assert main([*fast, "--fault", "broker-down@1", "--fault", "nav-cut@1"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [("hub --fault" in x, "without --fast" in x) for x in said] == [(True, False), (False, True)]
    assert main(["run", "harbour-mouth", "--out", str(tmp_path), "--fault", "disk-full@1"]) == 64
    assert "--disk" in capsys.readouterr().err
    assert main(["run", "harbour-mouth", "--out", str(tmp_path), "--fault", "box-clock@1"]) == 64
    assert "--box-clock" in capsys.readouterr().err


# ---------------------------------------------------------------- the disk

FULL = """
import errno, pathlib, sys
from hardware_sim.devices.ballast import Ballast
folder = pathlib.Path(sys.argv[1])
(folder / "log").write_bytes(b"x" * 5000)
ballast = Ballast(folder)
ballast.fill()
try:
    (folder / "more").write_bytes(b"x" * 5000)
except OSError as e:
    print(errno.errorcode[e.errno])
ballast.clear()
(folder / "more").write_bytes(b"x" * 5000)
print("room again")
"""


def test_a_full_disk_is_full_to_the_last_byte_and_free_again(tmp_path: Path) -> None:
    """On a tmpfs of a mount namespace of its own."""
    shell = f"mount -t tmpfs -o size=2m none {tmp_path} && exec {sys.executable} -c '{FULL}' {tmp_path}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [errno.errorcode[errno.ENOSPC], "room again"]


def test_a_disk_that_is_the_machine_s_own_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="small tmpfs"):
        Ballast(tmp_path).fill()
    assert list(tmp_path.iterdir()) == []
