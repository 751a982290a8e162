"""Least privilege, shown: the unit's own sandbox refuses what the agent has no use for.

The probe runs twice as the same user: once in the unit's sandbox (every line of vigia.service but the program), once
without it. What the second run may do and the first may not is the sandbox's doing, not only that of
ordinary permissions.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from .machine import Machine

pytestmark = [pytest.mark.booted, pytest.mark.timeout(600)]
ALLOWED = {"write its state", "write its own /tmp", "read its configuration", "speak UDP"}
# allowed to the same user outside the sandbox, on Debian's stock settings
BY_THE_SANDBOX = {
    "write /dev/shm",
    "speak netlink",
    "make memory that is writable and executable",
    "trace",
    "see other processes",
    "make a set-uid file",
    "swap its personality",
}


@pytest.fixture(scope="module")
def probed(box: Machine) -> dict[str, dict[str, str]]:
    shutil.copyfile(Path(__file__).with_name("probe.py"), box.root / "usr/lib/vigia-probe.py")
    program = "/usr/bin/python3 -I /usr/lib/vigia-probe.py"
    unit = (box.root / "lib/systemd/system/vigia.service").read_text(encoding="utf-8")
    unit = re.sub(r"^ExecStart=.*$", f"ExecStart={program}", unit, flags=re.MULTILINE)
    unit = re.sub(r"^ExecReload=.*\n|^Restart=.*\n|^WatchdogSec=.*\n", "", unit, flags=re.MULTILINE)
    unit = unit.replace("Type=notify", "Type=oneshot\nStandardOutput=truncate:/root/inside.json")
    box.put("/etc/systemd/system/vigia-probe.service", unit)
    box.sh("systemctl daemon-reload; systemctl start vigia-probe")
    box.sh(f"systemd-run -q --wait -p User=vigia -p StandardOutput=truncate:/root/outside.json {program}")
    assert box.sh("ls /tmp /var/tmp | grep -x probe || true").split() == ["probe"], "only the one from outside is seen"
    return {name: json.loads(box.sh(f"cat /root/{name}.json")) for name in ("inside", "outside")}


def test_what_the_agent_needs_is_allowed(probed: dict[str, dict[str, str]]) -> None:
    assert {name for name in ALLOWED if probed["inside"][name]} == set()


def test_everything_else_is_denied(probed: dict[str, dict[str, str]]) -> None:
    done = {name for name, error in probed["inside"].items() if not error}
    assert done == ALLOWED


def test_the_sandbox_does_it_not_only_the_user(probed: dict[str, dict[str, str]]) -> None:
    outside = {name for name, error in probed["outside"].items() if not error}
    missing = BY_THE_SANDBOX - outside
    assert missing == set(), f"not allowed outside either, so these show nothing: {missing}"
