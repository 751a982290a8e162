"""The box's health on boxes made of files: hot, throttled, out of memory, with certificates that OpenSSL has made."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from agent.messages import SensorState, Stamp
from agent.runtime.box import CERTIFICATE_DAYS, UNSYNCED_S, BoxHealth, not_after


def put(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A healthy box."""
    root = tmp_path / "root"
    put(root, "sys/class/thermal/thermal_zone0/temp", "51200\n")
    put(root, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "7\n")
    put(root, "proc/meminfo", "MemTotal:        4000000 kB\nMemFree: 1 kB\nMemAvailable:    3000000 kB\n")
    put(root, "proc/self/cgroup", "0::/system.slice/vigia.service\n")
    put(root, "sys/fs/cgroup/system.slice/vigia.service/memory.high", "734003200\n")
    put(root, "sys/fs/cgroup/system.slice/vigia.service/memory.current", "200000000\n")
    return root


def test_a_healthy_box_is_good_with_figures(tmp_path: Path, root: Path) -> None:
    reading = BoxHealth(tmp_path, root=root).box()
    assert reading.problems == ()
    assert reading.values["temperature_c"] == 51.2
    assert reading.values["memory_free_mb"] == 3000
    assert reading.values["memory_used_mb"] == 200
    assert reading.values["disk_free_mb"] > 0


def test_what_a_box_does_not_have_is_left_out(tmp_path: Path) -> None:
    reading = BoxHealth(tmp_path, root=tmp_path / "nothing").box()
    assert reading.problems == ()
    assert set(reading.values) == {"disk_free_mb"}


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("sys/class/thermal/thermal_zone1/temp", "84000", "84 degrees"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "0x50001", "supply voltage"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "0x4", "slowed down now"),
        ("proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable: 200000 kB\n", "200 MB of memory"),
        ("sys/fs/cgroup/system.slice/vigia.service/memory.current", "740000000", "its limit is 734 MB"),
    ],
)
def test_each_sign_is_one_sentence(tmp_path: Path, root: Path, path: str, text: str, words: str) -> None:
    box = BoxHealth(tmp_path, root=root)
    put(root, path, text)
    (problem,) = box.box().problems
    assert words in problem


def test_throttling_is_said_when_the_count_grows_not_for_ever(tmp_path: Path, root: Path) -> None:
    box = BoxHealth(tmp_path, root=root)
    box.box()
    put(root, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "19\n")
    assert "12 times" in box.box().problems[0]
    assert box.box().problems == ()


def test_a_value_around_its_limit_does_not_flap(tmp_path: Path, root: Path) -> None:
    box = BoxHealth(tmp_path, root=root)
    states = []
    for milli in (79_900, 80_100, 79_900, 79_000, 80_100, 75_000, 79_900):
        put(root, "sys/class/thermal/thermal_zone0/temp", str(milli))
        states.append(bool(box.box().problems))
    assert states == [False, True, True, True, True, False, False]


def test_a_full_disk_is_told_before_it_is_full(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=False)
    if done.returncode:
        pytest.skip("mounts are not available here")
    try:
        (problem,) = BoxHealth(mount, root=tmp_path).box().problems
        assert "MB are free" in problem
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_clock_without_a_source_is_said_after_a_while(tmp_path: Path) -> None:
    box = BoxHealth(tmp_path, root=tmp_path)
    free = [box.clock(Stamp(t_s=t, wall_s=t, error_ms=5000.0)) for t in (0.0, UNSYNCED_S - 1, UNSYNCED_S)]
    assert [bool(r.problems) for r in free] == [False, False, True]
    assert box.clock(Stamp(t_s=UNSYNCED_S + 1, wall_s=0.0, error_ms=50.0)).problems == ()


def certificate(folder: Path, days: int) -> Path:
    path = folder / f"{days}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    key = str(folder / f"{days}.key")
    subprocess.run(
        [*command, "-keyout", key, "-out", str(path), "-days", str(days), "-subj", "/CN=box"],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("days", [10, 9000, 20_000])  # 9000 days on, the year is written with four digits
def test_when_a_certificate_runs_out_is_read_as_openssl_wrote_it(tmp_path: Path, days: int) -> None:
    (at_s,) = not_after(certificate(tmp_path, days).read_text())
    assert at_s == pytest.approx(time.time() + days * 86_400, abs=120)


def test_a_certificate_is_reported_before_it_runs_out(tmp_path: Path) -> None:
    soon, late = certificate(tmp_path, 10), certificate(tmp_path, 400)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nMAAwAA==\n-----END CERTIFICATE-----\n")
    now_s = time.time()
    reading = BoxHealth(tmp_path, [soon, late, broken]).certificates(now_s)
    assert reading.values["days"] == pytest.approx(10, abs=0.1)
    assert len(reading.problems) == 2
    assert "broken.pem cannot be read as a certificate" in reading.problems[0]
    assert "10.pem runs out in 10 days" in reading.problems[1]
    assert BoxHealth(tmp_path, [late]).certificates(now_s).problems == ()
    after_s = now_s + (11 + CERTIFICATE_DAYS) * 86_400
    assert "ran out 31 days ago" in BoxHealth(tmp_path, [soon]).certificates(after_s).problems[0]


def test_reports_name_their_source(tmp_path: Path) -> None:
    reports = BoxHealth(tmp_path, root=tmp_path).reports(Stamp(t_s=1.0, wall_s=1.0))
    assert [(r.source, r.state) for r in reports] == [("box", SensorState.OK), ("clock", SensorState.OK)]
