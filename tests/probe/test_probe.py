"""`vigia probe`: ONVIF and feeds in a network namespace, serial ports on a pty, devices in a folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import probe
from agent.drivers.camera import onvif
from agent.drivers.radar import beacons
from agent.errors import ProtocolError, UsageError
from probe.probe_world import ANSWER, MTW, VDM

UNSHARE = ["unshare", "--net", "--map-root-user"]
WORLD = Path(__file__).with_name("probe_world.py")


def vigia_probe(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    probe.add_arguments(parser)
    return probe.run(parser.parse_args(arguments))


@pytest.fixture(scope="module")
def finds() -> list[dict[str, Any]]:
    tools = shutil.which("unshare") and shutil.which("ip")
    trial = [*UNSHARE, "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]
    if not tools or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not available here")
    top = Path(__file__).resolve().parents[2]
    root = f"{top}:{top / 'hardware-sim'}"
    done = subprocess.run(
        [*UNSHARE, sys.executable, str(WORLD)],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def test_a_camera_that_answers_is_found_once_with_what_it_says(finds: list[dict[str, Any]]) -> None:
    cameras = [f for f in finds if f["kind"] == "camera"]
    assert cameras == [{
        "kind": "camera", "via": "onvif", "url": "rtsp://10.9.1.77:554/", "driver": "camera", "iface": "cam0",
        "services": ["http://10.9.1.77/onvif/device_service", "http://[fe80::1]/onvif/device_service"],
        "name": "Sea View", "hardware": "X-100",
    }]  # fmt: skip


def test_feeds_are_named_by_what_they_send(finds: list[dict[str, Any]]) -> None:
    feeds = {f["url"]: f for f in finds if f["kind"] == "network"}
    ais = feeds["udp://239.192.0.4:60004"]
    assert (ais["driver"], ais["what"], set(ais["sentences"])) == ("ais", "IEC 61162-450", {"VDM"})
    mixed = feeds["udp://0.0.0.0:10110"]
    assert (mixed["driver"], set(mixed["sentences"])) == ("nmea", {"VDM", "MTW"})
    assert mixed["senders"] == ["127.0.0.1"]
    radar = feeds["udp://236.6.7.8:6678"]
    assert radar["what"] == "Navico radar"
    assert "driver" not in radar
    assert feeds["udp://239.192.7.7:61111"]["what"] == "asked for"


def test_radars_are_found_by_their_beacons(finds: list[dict[str, Any]]) -> None:
    """Those of the simulator, in the real groups; each find is a sensor's url, driver and further addresses."""
    radars = [f for f in finds if f["kind"] == "radar"]
    common = {"kind": "radar", "via": "beacon", "sender": "10.9.1.1"}
    halo = {"driver": "navico", "identity": "1902501034"}
    assert radars == [
        common | halo | {"url": "udp://236.6.9.51:7059", "also": ["udp://236.6.9.51:7061"], "range": "a"}
        | {"control": "udp://236.6.9.52:7060"},
        common | halo | {"url": "udp://236.6.9.53:7062", "also": ["udp://236.6.9.53:7064"], "range": "b"}
        | {"control": "udp://236.6.9.54:7063"},
        common | {"driver": "raymarine", "url": "udp://232.1.167.1:2574", "also": [], "identity": "010c1b2a"}
        | {"name": "QuantumRadar", "control": "udp://10.9.1.1:2575"},
    ]  # fmt: skip
    followed = [f for f in finds if f["kind"] == "followed"]
    assert [f["url"] for f in followed] == ["udp://236.6.9.51:7059", "udp://232.1.167.1:2574"]
    assert all(f["spokes"] >= 100 and f["errors"] == 0 for f in followed)
    feeds = {f["url"]: f for f in finds if f["kind"] == "network"}
    assert {feeds["udp://239.254.2.0:50102"]["what"], feeds["udp://239.254.2.0:50100"]["what"]} == {
        "Garmin radar", "Garmin radar reports",
    }  # fmt: skip


@given(data=st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda b: b"\x01\xb2" + b)))
def test_any_bytes_are_a_beacon_or_not(data: bytes) -> None:
    for found in beacons.radars(data):
        assert 224 <= int(found.url.removeprefix("udp://").split(".")[0]) <= 239
    assert beacons.raymarine_name(data) is None or len(data) == 56


def test_a_port_that_is_in_use_is_told_and_left_alone(finds: list[dict[str, Any]]) -> None:
    (busy,) = [f for f in finds if "trouble" in f]
    assert busy["url"] == "udp://0.0.0.0:2000"
    assert "in use" in busy["trouble"]


def test_a_serial_port_that_sends(capsys: pytest.CaptureFixture[str]) -> None:
    leader, follower = pty.openpty()
    os.set_blocking(leader, False)
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.02):
            with contextlib.suppress(BlockingIOError):  # nobody reads just now
                os.write(leader, VDM + MTW + b"$GPXXX,broken*00\r\n")

    thread = threading.Thread(target=write)
    thread.start()
    device = os.ttyname(follower)
    try:
        vigia_probe("--only", "serial", "--serial", device, "--serial", "/dev/nothing", "--seconds", "4")
    finally:
        ended.set()
        thread.join()
        os.close(leader)
        os.close(follower)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["url"] == f"serial://{device}?baud=38400"
    assert (first["driver"], set(first["sentences"])) == ("nmea", {"VDM", "MTW"})
    assert "cannot be opened" in second["trouble"]


def test_what_is_no_video_device_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "video0").write_text("no device")
    vigia_probe("--only", "v4l2", "--dev", str(tmp_path))
    (found,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert found["url"] == f"v4l2://{tmp_path}/video0"
    assert "is no video device" in found["trouble"]
    vigia_probe("--only", "v4l2", "--dev", str(tmp_path / "empty"))
    assert "Nothing was found" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--only", "sonar"),
        ("--seconds", "0"),
        ("--udp", "10.0.0.1:5000", "--only", "v4l2"),
        ("--udp", "99999", "--only", "v4l2"),
        ("--iface", "nix0", "--only", "v4l2"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=arguments[1]):
        vigia_probe(*arguments)


@given(data=st.one_of(st.binary(max_size=400), st.text(max_size=200).map(lambda t: f"<a>{t}</a>".encode())))
def test_answers_that_are_none(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        onvif.answer(data)


def test_entities_are_refused_and_a_probe_carries_its_own_id() -> None:
    bomb = ANSWER.replace("<s:Envelope", '<!DOCTYPE x [<!ENTITY a "aaaa">]><s:Envelope').encode()
    with pytest.raises(ProtocolError, match="entities"):
        onvif.answer(bomb)
    assert str(uuid.UUID(int=7)).encode() in onvif.probe(uuid.UUID(int=7))
