"""Multicast, in a network namespace of the test's own: nothing reaches the machine's interfaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UNSHARE = ["unshare", "--net", "--map-root-user"]
PROBE = Path(__file__).with_name("multicast_probe.py")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    tools = shutil.which("unshare") and shutil.which("ip")
    trial = [*UNSHARE, "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]
    if not tools or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not available here")
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [*UNSHARE, sys.executable, str(PROBE)],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("key", ["by_name", "by_address"])
def test_a_group_is_heard_on_its_interface_only(found: dict[str, Any], key: str) -> None:
    """Although another socket of the machine joined the same group on the other one."""
    assert found[key] == [["radar", "239.192.0.2:60002"]]


@pytest.mark.parametrize("key", ["orders_by_name", "orders_by_address"])
def test_orders_leave_by_their_interface_only(found: dict[str, Any], key: str) -> None:
    assert found[key] == [["order", "239.192.0.2:60002"]]


def test_the_other_interface_hears_its_own(found: dict[str, Any]) -> None:
    assert found["other_interface"] == [["office", "239.192.0.2:60002"], ["order", "239.192.0.2:60002"]] * 2


def test_ipv6(found: dict[str, Any]) -> None:
    assert found["ipv6"] == [["radar", "[ff15::5]:60002"]]


def test_an_interface_that_vanishes_is_no_silence(found: dict[str, Any]) -> None:
    assert "listening ended" in found["gone"]
    assert "cannot listen: no interface with this name; check address" in found["missing"]
