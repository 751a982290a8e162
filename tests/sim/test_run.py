"""The whole simulator as a process, as a box meets it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest
import serial
from pyais import decode

from hardware_sim.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sim = subprocess.Popen[str]

PATIENCE_S = 120.0


@contextmanager
def simulator(*args: str) -> Iterator[tuple[Sim, dict[str, Any]]]:
    """A running simulator and its ready line; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def listen(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("127.0.0.1", parts.port or 0))
    s.settimeout(PATIENCE_S)
    return s


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, within patience."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def read_for_ever(port: serial.Serial) -> None:
    while True:
        assert port.readline() != b""


def say_go(process: Sim) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_every_device_waits_for_go_and_then_speaks(tmp_path: Path) -> None:
    with simulator("--wait", "--out", str(tmp_path), "--seed", "3", "--fps", "4") as (process, ready):
        ends = ready["endpoints"]
        assert set(ends) == {"camera", "camera_rtsp", "radar_ttm", "radar_spokes", "ais", "nav"}
        assert ready["zones"][0]["name"] == "Reserva A Barra"
        assert (ready["camera"]["width_px"], ready["site"]["height_m"]) == (1920, 20.0)
        sockets = {name: listen(ends[name]) for name in ("radar_spokes", "ais", "nav")}
        assert not select.select(list(sockets.values()), [], [], 0.3)[0]  # time stands at 0
        path, query = urlsplit(ends["radar_ttm"])[2:4]
        assert query == "baud=38400"
        with serial.Serial(path, 38400, timeout=PATIENCE_S) as port:
            say_go(process)
            line = port.readline().decode("ascii")
        assert pynmea2.parse(line.strip(), check=True).sentence_type == "TTM"
        spoke = sockets["radar_spokes"].recv(65536)
        assert (len(spoke), spoke[:8].hex()) == (17_160, "0100000000200002")
        assert decode(*sockets["ais"].recv(4096).splitlines(keepends=True)).mmsi in (224117250, 224059380)
        assert sockets["nav"].recv(4096).startswith(b"$GPRMC,")
        with urllib.request.urlopen(ends["camera"], timeout=PATIENCE_S) as stream:  # noqa: S310 - http on the loopback
            assert b"Content-Length" in stream.read(200)
        pids = [process.pid, *children(process.pid)]
        assert len(pids) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        until(lambda: not any(alive(pid) for pid in pids))
        for s in sockets.values():
            s.close()
    assert not os.path.lexists(path)
    lines = [json.loads(x) for x in (tmp_path / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (lines[0]["type"], lines[0]["seed"]) == ("header", 3)
    assert [x["id"] for x in lines[1:4]] == ["panga", "Ria Express", "Nuevo Orzan"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_group_that_is_told_to_end_while_the_camera_starts_ends_quietly(tmp_path: Path, number: int) -> None:
    """Ctrl-C and a service's stop reach the camera's process, too, which has not even loaded its modules."""
    command = [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        until(lambda: bool(children(process.pid)))
        pids = children(process.pid)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out, err) == (0, "", "")
        until(lambda: not any(alive(pid) for pid in pids))
    finally:
        process.kill()
        process.communicate()


def test_duration_ends_it_and_stdout_holds_one_line(tmp_path: Path) -> None:
    args = ("--duration", "1.2", "--no-camera", "--radar", "ttm", "--no-nav", "--out", str(tmp_path))
    with simulator(*args) as (process, ready):
        assert set(ready["endpoints"]) == {"radar_ttm", "ais"}
        rest, _ = process.communicate(timeout=PATIENCE_S)
        assert (rest, process.returncode) == ("", 0)
    lines = [json.loads(x) for x in (tmp_path / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    assert max(x["t"] for x in lines if x["type"] == "target") == 1.0


def test_closing_stdin_while_waiting_ends_it(tmp_path: Path) -> None:
    with simulator("--wait", "--no-camera", "--no-radar", "--out", str(tmp_path)) as (process, _):
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"sim = [sys.executable, '-m', 'hardware_sim', 'run', 'harbour-mouth', '--out', {str(tmp_path)!r}]\n"
        "p = subprocess.Popen(sim, stdout=subprocess.PIPE, text=True)\n"
        "p.stdout.readline()\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        sim = int(parent.stdout.readline())
        pids = [sim, *children(sim)]
        assert len(pids) == 2
        parent.kill()
        until(lambda: not any(alive(pid) for pid in pids))


def test_faults_come_and_go(tmp_path: Path) -> None:
    """The serial line hangs up and returns under its name; the camera is gone and returns on its port; AIS is cut."""
    faults = ("radar-unplugged@1:1.5", "camera-killed@0.5:1", "ais-cut@0", "spokes-truncated@0:60")
    args = [x for f in faults for x in ("--fault", f)]
    with simulator("--wait", "--out", str(tmp_path), "--fps", "4", *args) as (process, ready):
        ends = ready["endpoints"]
        ais, spokes = listen(ends["ais"]), listen(ends["radar_spokes"])
        path = urlsplit(ends["radar_ttm"]).path
        with serial.Serial(path, 38400, timeout=PATIENCE_S) as port:
            (camera,) = children(process.pid)
            say_go(process)
            assert port.readline().startswith(b"$RATTM")
            with pytest.raises(serial.SerialException):
                read_for_ever(port)
        until(lambda: children(process.pid) not in ([], [camera]))
        until(lambda: Path(path).exists())
        with serial.Serial(path, 38400, timeout=PATIENCE_S) as port:
            assert port.readline().startswith(b"$RATTM")

        def snapshot() -> bool:
            url = ends["camera"].replace("camera.mjpg", "snapshot.jpg")
            try:
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - http on the loopback
                    return bool(answer.read(2) == b"\xff\xd8")
            except OSError:
                return False  # still booting

        until(snapshot)
        lengths = {len(spokes.recv(65536)) for _ in range(40)}
        assert 17_160 in lengths
        assert len(lengths) > 5
        assert not select.select([ais], [], [], 0.0)[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        ais.close()
        spokes.close()
    kinds = [
        (x["kind"], x["fault"])
        for x in map(json.loads, (tmp_path / "truth.jsonl").read_text(encoding="utf-8").splitlines())
        if "fault" in x
    ]
    assert ("fault-begin", "radar-unplugged") in kinds
    assert ("fault-end", "camera-killed") in kinds


def test_a_camera_that_dies_by_itself_is_told(tmp_path: Path) -> None:
    with simulator("--no-radar", "--out", str(tmp_path)) as (process, _):
        (camera,) = children(process.pid)
        os.kill(camera, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 70


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("run", "nowhere"), 65, "harbour-mouth"),
        (("run", "harbour-mouth", "--fault", "gremlins@1"), 64, "gremlins"),
        (("run", "harbour-mouth", "--duration", "-1"), 64, "--duration -1: give a number of seconds"),
        (("run", "harbour-mouth", "--fps", "0"), 64, "--fps 0: give a number above 0"),
        (("run", "harbour-mouth", "--seed", "-1", "--fast", "--out", "x"), 64, "--seed -1: give a whole number from 0"),
        (("run", "harbour-mouth", "--out", "/proc/x"), 64, "--out /proc/x: cannot be made a folder"),
        (("run", "harbour-mouth", "--fast", "--out", "/proc/x"), 64, "--out /proc/x: cannot be made a folder"),
        (("run", "harbour-mouth", "--gremlins"), 64, "unrecognized arguments: --gremlins (see `"),
        (("record", "fog", "x.pcap", "--start", "nan"), 64, "--start nan: give a Unix time"),
        (("render", "fog", "--from", "nan", "--out", "x.jsonl"), 64, "--from nan: give a number of seconds"),
        (("nightly", "--out", "/proc/x", "--vigia", sys.executable), 64, "--out /proc/x: cannot be made a folder"),
        (("nightly", "--scenario", "fog", "--scenario", "a/fog.toml", "--vigia", sys.executable), 64, "one name"),
        (("hub", "--port", "99999"), 64, "from 1 to 65535"),
        (("hub", "--drop-puback", "3"), 64, "--drop-puback 3: give a share from 0 to 1"),
        (("hub", "--delay", "nan"), 64, "--delay nan: give a number of seconds"),
        (("fly",), 64, "invalid choice"),
        ((), 64, "the following arguments are required: command (see `"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    args: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(args)) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_every_command_calls_itself_as_it_was_called() -> None:
    """By `vigia sim`, in a process; and who takes only the first line of a long list does no wrong."""
    named = {**os.environ, "HARDWARE_SIM_PROG": "vigia sim"}
    sim = [sys.executable, "-m", "hardware_sim"]
    commands = ("run", "record", "render", "list", "score", "nightly", "hub")
    code = f"from hardware_sim.cli import main\nfor c in {commands}: assert main([c, '--help']) == 0"
    told = subprocess.run([sys.executable, "-c", code], env=named, capture_output=True, text=True, check=True).stdout
    for command in commands:
        assert f"usage: vigia sim {command}" in told
        assert f"\n  vigia sim {command}" in told  # an example
    assert "hardware_sim" not in told
    with subprocess.Popen([*sim, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_hub_s_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["hub", "--port", str(port)]) == 64
    assert f"--port {port}: cannot be listened on" in capsys.readouterr().err


FIRST_BYTES: dict[str, bytes | tuple[bytes, ...]] = {
    "network": b"UdPbC\0\\s:RA0001,n:1",
    "navico_4g": bytes.fromhex("0100000000200002"),
    "cat240": bytes.fromhex("f0"),
    "cat240_zlib": bytes.fromhex("f0"),
    "cat048": (bytes.fromhex("22"), bytes.fromhex("30")),  # a marker or a target, whichever the beam meets first
    "cat010": bytes.fromhex("0a"),
    "garmin": bytes.fromhex("98090000d3020000"),
    "raymarine": bytes.fromhex("0200280001"),
    "furuno": bytes.fromhex("0201000100000000"),
}


def test_every_kind_of_radar_at_once(tmp_path: Path) -> None:
    names = ",".join(name.replace("_", "-") for name in FIRST_BYTES)
    args = ("--wait", "--no-camera", "--no-ais", "--no-nav", "--radar", names, "--out", str(tmp_path))
    with simulator(*args) as (process, ready):
        ends = ready["endpoints"]
        assert set(ends) == {f"radar_{name}" for name in FIRST_BYTES}
        sockets = {name: listen(ends[f"radar_{name}"]) for name in FIRST_BYTES}
        say_go(process)
        for name, begins in FIRST_BYTES.items():
            assert sockets[name].recv(65536).startswith(begins), name
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        for s in sockets.values():
            s.close()
