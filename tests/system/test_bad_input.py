"""What a technician gets wrong, and what breaks by itself: one clear sentence each, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tty
from pathlib import Path

import pytest

from agent.cli.chaos_coast import Coast
from inference.blob_model import blob_model
from support.broker import Mosquitto, free_port

from .conftest import Daemon

SITE = '[site]\nname = "Cabo"\nlat = 43.38\nlon = -8.40\nheight_m = 20\n'
TTM = "$RATTM,11,1.4,13.6,T,7.0,20.0,T,0.0,0.0,N,,T,,154125.82,A"


def vigia(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *args], capture_output=True, text=True, timeout=60, check=False
    )


def sensor(name: str, driver: str, url: str, more: str = "") -> str:
    return f'[[sensor]]\nname = "{name}"\ndriver = "{driver}"\nurl = "{url}"\n{more}\n'


def udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def sentence(text: str) -> bytes:
    checksum = 0
    for c in text[1:].encode():
        checksum ^= c
    return f"{text}*{checksum:02X}\r\n".encode()


def test_an_unknown_key_is_78_with_file_line_and_meaning(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(SITE.replace("height_m", "heigth_m"))
    for command in (["run", "-c", str(config), "--state", str(tmp_path / "s")], ["check", "-c", str(config)]):
        done = vigia(*command)
        assert done.returncode == 78
        assert f'{config}:5: site.heigth_m: unknown key "heigth_m" (did you mean "height_m"?)' in done.stderr
        assert "Traceback" not in done.stderr


def test_check_tells_all_as_json(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(SITE + sensor("cam", "camera", "rtsp://u:secret@10.0.0.1/x", 'model = "/nowhere/m.onnx"'))
    done = vigia("check", "-c", str(config), "--format", "json")
    assert done.returncode == 78
    (problem,) = json.loads(done.stdout)
    assert problem["line"] == 10
    assert problem["key"] == "sensor.1.model"
    assert "/nowhere/m.onnx" in problem["message"]
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nonsense"], 64, "invalid choice"),
        (["decode", "sonar", "x"], 64, "sonar"),
        (["decode", "nmea", "/nowhere.pcap"], 65, "/nowhere.pcap"),
        (["detect", "--model", "/nowhere.onnx", "x.jpg"], 78, "/nowhere.onnx"),
        (["status", "--state", "/nowhere"], 69, "no running vigia"),
        (["replay", "-c", "/nowhere.toml", "log"], 78, "/nowhere.toml"),
    ],
)
def test_commands_end_with_one_sentence_and_the_right_code(args: list[str], code: int, words: str) -> None:
    done = vigia(*args)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_is_no_detector_is_refused_by_name(tmp_path: Path) -> None:
    import onnx  # noqa: PLC0415 - only this test makes a model
    from onnx import TensorProto, helper  # noqa: PLC0415 - as above

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([node], "classifier", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "classifier.onnx"))
    import cv2  # noqa: PLC0415 - only this test makes a picture
    import numpy as np  # noqa: PLC0415 - as above

    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((32, 32, 3), np.uint8))
    done = vigia("detect", "--model", str(tmp_path / "classifier.onnx"), str(tmp_path / "x.png"))
    assert done.returncode == 65, done.stderr
    assert "classifier.onnx" in done.stderr
    assert "Traceback" not in done.stderr


def test_everything_wrong_at_once_and_the_good_sensor_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    """No model, no serial port, no camera: health reports; the AIS of the same box is not disturbed."""
    (tmp_path / "broken.onnx").write_bytes(b"this is not a model")
    ais = udp_port()
    daemon.start(
        SITE
        + sensor("arpa", "nmea-radar", "serial:///dev/does-not-exist?baud=38400")
        + sensor("cam", "camera", f"http://127.0.0.1:{free_port()}/x.mjpg", f'model = "{tmp_path}/broken.onnx"')
        + sensor("cam2", "camera", f"http://user:hunter2@127.0.0.1:{free_port()}/x.mjpg")
        + sensor("ais", "ais", f"udp://127.0.0.1:{ais}")
    )
    coast = Coast(ais)
    coast.start()
    try:
        assert "/dev/does-not-exist" in daemon.sensor("arpa", "unavailable")
        assert "broken.onnx" in daemon.sensor("cam", "unsupported")
        daemon.sensor("cam2", "unavailable")
        daemon.sensor("ais", "ok")
        daemon.wait(lambda s: s["tracks"] > 3)
    finally:
        coast.stop.set()
    assert "hunter2" not in daemon.log.read_text() + json.dumps(daemon.status())
    assert daemon.stop() == 0


def test_a_pulled_cable_and_garbage_are_reported_and_come_back(daemon: Daemon, tmp_path: Path) -> None:
    link = tmp_path / "ttyRADAR"
    master, slave = os.openpty()
    tty.setraw(master)
    link.symlink_to(os.ttyname(slave))
    daemon.start(SITE + sensor("arpa", "nmea-radar", f"serial://{link}?baud=38400", "stale_s = 3"))
    daemon.wait(lambda s: "arpa" in s["sensors"])
    for _ in range(15):
        os.write(master, sentence(TTM))
        time.sleep(0.1)
    daemon.sensor("arpa", "ok")
    for _ in range(130):
        os.write(master, b"$RATTM,11,1.4,13.6,T,7.0,20.0,T*00\r\n")
        time.sleep(0.1)
    assert "checksum" in daemon.sensor("arpa", "degraded")
    link.unlink()
    os.close(master)
    os.close(slave)
    assert str(link) in daemon.sensor("arpa", "unavailable")
    master, slave = os.openpty()
    tty.setraw(master)
    link.symlink_to(os.ttyname(slave))
    for _ in range(80):
        os.write(master, sentence(TTM))
        time.sleep(0.1)
    daemon.sensor("arpa", "ok")
    assert daemon.stop() == 0
    os.close(master)
    os.close(slave)


def test_truncated_spokes_are_counted_and_reported(daemon: Daemon) -> None:
    port = udp_port()
    daemon.start(SITE + sensor("radar", "navico", f"udp://127.0.0.1:{port}", "stale_s = 4"))
    daemon.sensor("radar", "starting")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(120):
            s.sendto(bytes.fromhex("0100000000200002") + bytes(777), ("127.0.0.1", port))
            time.sleep(0.1)
        evidence = daemon.wait(lambda s: s["sensors"]["radar"]["state"] in ("degraded", "stale"), 20)["sensors"][
            "radar"
        ]
    assert evidence["counters"]["errors"] > 50
    assert daemon.stop() == 0


def test_a_broker_that_refuses_is_one_sentence_and_nothing_is_lost(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    broker = Mosquitto(folder, users={"box": "right"})
    broker.start()
    try:
        password = tmp_path / "password"
        password.write_text("wrong\n")
        publish = (
            f'[publish]\nbroker = "{broker.url}"\nusername = "box"\npassword_file = "{password}"\nretry_max_s = 1\n'
        )
        daemon.start(SITE + publish)
        status = daemon.wait(lambda s: s["sensors"].get("link", {}).get("state") == "unavailable")
        sentence_ = status["sensors"]["link"]["evidence"].lower()
        assert "refus" in sentence_ or "not let" in sentence_ or "authori" in sentence_ or "password" in sentence_
        password.write_text("right\n")
        daemon.wait(lambda s: s["publish"]["connected"])
    finally:
        broker.stop()
    assert daemon.stop() == 0


def test_a_bad_configuration_at_boot_runs_the_last_good_one(daemon: Daemon) -> None:
    daemon.start(SITE)
    daemon.wait(lambda _: (daemon.state / "last-good.toml").exists())
    assert daemon.stop() == 0
    daemon.start("[site]\nname = 5\n")
    status = daemon.wait(lambda s: "config" in s["sensors"])
    assert "config_rejected" in status["sensors"]["config"]["evidence"]
    assert daemon.stop() == 0


def test_reload_keeps_the_bad_out_and_takes_the_good(daemon: Daemon) -> None:
    daemon.start(SITE)
    before = daemon.wait(lambda s: s["pid"] > 0)
    assert daemon.process is not None
    daemon.config.write_text("nonsense")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait(lambda s: "config_rejected" in s["sensors"].get("config", {}).get("evidence", ""))
    daemon.config.write_text(SITE + sensor("ais", "ais", f"udp://127.0.0.1:{udp_port()}"))
    daemon.process.send_signal(signal.SIGHUP)
    after = daemon.wait(lambda s: "ais" in s["sensors"])
    assert after["pid"] == before["pid"]
    assert after["config_digest"] != before["config_digest"]
    assert daemon.stop() == 0


def test_two_daemons_on_one_state_directory_are_refused(daemon: Daemon) -> None:
    daemon.start(SITE)
    daemon.wait(lambda s: s["pid"] > 0)
    done = vigia("run", "-c", str(daemon.config), "--state", str(daemon.state))
    assert done.returncode == 69
    assert "another vigia already runs" in done.stderr
    assert daemon.stop() == 0


def test_a_reload_that_cannot_be_used_after_all_changes_nothing(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start(SITE)
    before = daemon.wait(lambda _: (daemon.state / "last-good.toml").exists())
    assert daemon.process is not None
    daemon.config.write_text(SITE + f'[publish]\nmac_key_file = "{tmp_path}/nowhere.key"\n')
    daemon.process.send_signal(signal.SIGHUP)
    said = daemon.wait(lambda s: "config_rejected" in s["sensors"].get("config", {}).get("evidence", ""))
    assert "nowhere.key" in said["sensors"]["config"]["evidence"]
    assert said["pid"] == before["pid"]
    assert daemon.stop() == 0
    daemon.start(daemon.config.read_text())
    said = daemon.wait(lambda s: "config_rejected" in s["sensors"].get("config", {}).get("evidence", ""))
    assert daemon.stop() == 0


def test_a_reload_tries_a_sensor_again_that_had_given_up(daemon: Daemon, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"this is not a model")
    url = f"http://127.0.0.1:{free_port()}/x.mjpg"
    daemon.start(SITE + sensor("cam", "camera", url, f'model = "{model}"'))
    daemon.sensor("cam", "unsupported")
    blob_model(model, strides=(4, 8, 16))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    daemon.sensor("cam", "unavailable")  # nobody listens there: the camera is looked for again
    assert daemon.stop() == 0
