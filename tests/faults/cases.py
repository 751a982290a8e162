"""Every fault: how it is made, what has to be reported, how it is mended, what tells that it is over."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware_sim import box_clock
from publish.test_tls import make_ca, make_certificate, openssl
from support.broker import Mosquitto
from support.mqtt_proxy import MqttProxy

from .devices import Camera, CoastalRadar, Device, Nav, Radar, SerialRadar
from .rig import Rig, Verdict

Status = dict[str, Any]
Run = Callable[[Path], Verdict]
REFUSED = "(?i)refus|authori|not let|password"
QUIET_S = 6.0  # how long a fault without a report is kept up
EXT4_SHUTDOWN = 0x8004587D  # ext4's EXT4_IOC_SHUTDOWN
NO_FLUSH = 2  # what is not on the disk yet is gone, as when the power is cut


@dataclass(frozen=True, slots=True)
class Case:
    """`run` makes the fault on a box in a folder."""

    name: str
    run: Run
    quick: bool = False
    root: bool = False
    may_double: bool = False


def said(source: str, *states: str, words: str = "") -> Callable[[Status], str]:
    """The sentence of a source when it is in one of the states and says those words."""

    def look(status: Status) -> str:
        health = status["sensors"].get(source, {"state": "", "evidence": ""})
        return str(health["evidence"]) if health["state"] in states and re.search(words, health["evidence"]) else ""

    return look


def well(*sources: str) -> Callable[[Status], bool]:
    """All of them are ok, or no longer spoken of."""
    return lambda s: all(s["sensors"].get(n, {"state": "ok"})["state"] == "ok" for n in sources)


@contextmanager
def rig_for(folder: Path, device: type[Device] | None = None) -> Iterator[Rig]:
    with Rig(folder, None if device is None else device(folder)) as rig:
        yield rig


def sensor(device: type[Device] | None, mode: str, *states: str, words: str = "") -> Run:
    """A sensor's fault; without `states` nothing is to be reported, and everything goes on."""

    def run(folder: Path) -> Verdict:
        with rig_for(folder, device) as rig:
            rig.start()
            name = rig.device.name
            rig.device.set(mode)
            if states:
                reported_s, report = rig.until(said(name, *states, words=words), f"{name} {mode} is reported")
            else:
                time.sleep(QUIET_S)
                _, status = rig.until(lambda s: well("ais", name)(s) and s, f"{name} goes on")
                dropped = sum(status["events_dropped"].values())
                reported_s, report = None, f"nothing: taken as it comes, {'some' if dropped else 'no'} events dropped"
            others, _ = rig.until(well("ais") if name != "ais" else lambda _: True, "the others go on")
            assert others < 5.0 or name == "ais"
            rig.device.set("ok")
            recovered_s, _ = rig.until(well(name), f"{name} is ok again")
            return rig.finish(f"{name}: {mode}", report, reported_s, recovered_s if states else None)

    return run


def _deaf(folder: Path) -> Verdict:
    """The spokes go on, the land that the radar has known for hours is gone from them."""
    with Rig(folder, radar := CoastalRadar(folder)) as rig:
        radar.learn(rig.state)
        rig.start()
        radar.set("deaf")
        reported_s, report = rig.until(said("radar", "degraded", words="always showed land"), "the radar is deaf")
        radar.set("ok")
        recovered_s, _ = rig.until(well("radar"), "the radar hears again")
        return rig.finish("radar: deaf (spokes without an echo)", report, reported_s, recovered_s)


def child(signal_: signal.Signals, what: str) -> Run:
    """A camera's process crashes, or hangs."""

    def run(folder: Path) -> Verdict:
        with rig_for(folder, Camera) as rig:
            rig.start()
            pid = rig.child("cam")
            os.kill(pid, signal_)
            reported_s, report = rig.until(said("cam", "unavailable", words="process ended"), "the child's end")
            recovered_s, _ = rig.until(well("cam"), "the camera is back")
            assert rig.child("cam") != pid
            return rig.finish(f"camera's process {what}", report, reported_s, recovered_s)

    return run


def _no_memory(folder: Path) -> Verdict:
    """A camera's process gets no more memory: every larger request of it is refused."""
    with rig_for(folder, Camera) as rig:
        rig.start()
        pid = rig.child("cam")
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (used, used))
        reported_s, report = rig.until(said("cam", "unavailable", words="process ended"), "no more memory")
        recovered_s, _ = rig.until(well("cam"), "the camera is back")
        assert rig.child("cam") != pid
        return rig.finish("camera's process gets no more memory", report, reported_s, recovered_s)


def _runs(pid: int) -> bool:
    """Whether that process is there and no zombie (in a container nobody may be there to collect it)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parent(folder: Path) -> Verdict:
    with rig_for(folder, Camera) as rig:
        rig.start()
        pid = rig.child("cam")
        rig.kill()
        time.sleep(1.0)
        assert not _runs(pid), "a child outlived its parent"
        rig.run_daemon()
        recovered_s, _ = rig.until(lambda s: well("ais", "cam")(s) and "cam" in s["sensors"], "back at work")
        log = (rig.folder / "agent.log").read_text(errors="replace")
        report = next(line for line in reversed(log.splitlines()) if "recovery: checkpoint" in line)
        return rig.finish("agent: kill -9", report.partition("vigia: ")[2][:60], None, recovered_s)


def broker(name: str, make: Callable[[Rig], None], mend: Callable[[Rig], None], words: str = "") -> Run:
    """The broker's fault, seen in `link`."""

    def run(folder: Path) -> Verdict:
        with rig_for(folder) as rig:
            rig.start()
            make(rig)
            reported_s, report = rig.until(said("link", "unavailable", words=words), f"broker {name}")
            mend(rig)
            recovered_s, _ = rig.until(lambda s: well("link")(s) and s["publish"]["connected"], "the link is back")
            return rig.finish(f"broker {name}", report, reported_s, recovered_s)

    return run


def _signal_broker(number: signal.Signals) -> Callable[[Rig], None]:
    def send(rig: Rig) -> None:
        process = rig.mosquitto._process
        assert process is not None
        process.send_signal(number)

    return send


def _refuse(rig: Rig) -> None:
    _users(rig, "allow_anonymous false")


def _users(rig: Rig, line: str) -> None:
    path = rig.folder / "m" / "mosquitto.conf"
    lines = [x for x in path.read_text().splitlines() if not x.startswith("allow_anonymous")]
    path.write_text("\n".join([*lines, line, ""]))
    rig.mosquitto.restart()


def proxied(name: str, proxy: Callable[[Rig], MqttProxy], disturb: Callable[[MqttProxy], None]) -> Run:
    """A link that misbehaves without being down: it is mended by connecting anew, and nothing is lost."""

    def run(folder: Path) -> Verdict:
        with rig_for(folder) as rig, proxy(rig) as between:
            rig.broker = between.url
            rig.start()
            for _ in range(4):
                time.sleep(2.0)
                disturb(between)
            rig.until(lambda s: s["publish"]["connected"], "connected at last")
            verdict = rig.finish(f"broker {name}", "nothing lasting: connects anew and sends again", None, None)
            assert between.connections > 1 or between.pubacks > 10
            return verdict

    return run


def _mute(rig: Rig) -> MqttProxy:
    return MqttProxy(rig.mosquitto.port, drop_puback=lambda n: n % 5 == 0)


def _forgetful(folder: Path) -> Verdict:
    with rig_for(folder) as rig:
        rig.start()
        for _ in range(3):
            rig.mosquitto.restart()
            rig.until(lambda s: s["publish"]["connected"], "connected again")
            time.sleep(2.0)
        return rig.finish("broker restarts and forgets its sessions", "`link` for as long as it is away", None, None)


def _expired(folder: Path) -> Verdict:
    pki = folder / "pki"
    pki.mkdir()
    ca = make_ca(pki, "ca")
    cert, key = make_certificate(pki, "ca", "server", "subjectAltName=IP:127.0.0.1")
    with rig_for(folder) as rig:
        (folder / "tls").mkdir()
        tls = Mosquitto(folder / "tls", f"cafile {ca}", f"certfile {cert}", f"keyfile {key}", scheme="mqtts")
        rig.on_close(tls.stop)
        rig.start()
        openssl(
            "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "-1",
            "-out", "server.pem", "-extfile", "server.ext", folder=pki,
        )  # fmt: skip
        tls.start()
        good = rig.text()
        rig.write(good.replace(rig.broker, tls.url).replace("retry_max_s", f'ca_file = "{ca}"\nretry_max_s'))
        rig.signal(signal.SIGHUP)
        reported_s, report = rig.until(said("link", "unavailable", words="ertificate"), "the certificate")
        rig.write(good)
        rig.signal(signal.SIGHUP)
        recovered_s, _ = rig.until(lambda s: well("link")(s) and s["publish"]["connected"], "the link is back")
        return rig.finish("broker's certificate has run out", report, reported_s, recovered_s)


def _runs_out(folder: Path) -> Verdict:
    pki = folder / "pki"
    pki.mkdir()
    ca = make_ca(pki, "ca")  # for two days
    with rig_for(folder) as rig:
        rig.start()
        good = rig.text()
        rig.write(good.replace("retry_max_s", f'ca_file = "{ca}"\nretry_max_s'))
        rig.signal(signal.SIGHUP)
        reported_s, report = rig.until(said("certificate", "degraded", words="runs out in"), "the certificate")
        return rig.finish("certificate is about to run out", report, reported_s, None)


def disk(name: str, options: str, fill: Callable[[Path], None], source: str, words: str = "") -> Run:
    """A file system for the state that has no room any more."""

    def run(folder: Path) -> Verdict:
        with rig_for(folder) as rig:
            rig.mount("-t", "tmpfs", "-o", options, "tmpfs")
            rig.start()
            fill(rig.state)
            # what is prepared of the log takes events for a minute or two after the disk is full
            reported_s, report = rig.until(said(source, "degraded", words=words), f"disk {name}", timeout_s=240.0)
            time.sleep(QUIET_S)
            for path in rig.state.glob("filler*"):
                path.unlink()
            recovered_s, _ = rig.until(well("event-log", "outbox", "checkpoint"), "writes again")
            return rig.finish(f"disk {name}", report, reported_s, recovered_s)

    return run


def _fill_bytes(state: Path) -> None:
    with (state / "filler").open("wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            return


def _fill_files(state: Path) -> None:
    for n in range(10_000):
        try:
            (state / f"filler{n}").touch()
        except OSError:
            return


def _loop(rig: Rig) -> None:
    image = rig.folder / "disk"
    with image.open("wb") as f:
        f.truncate(64 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    rig.mount("-o", "loop", str(image))


def _cut(state: Path) -> None:
    fd = os.open(state, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("I", NO_FLUSH))
    finally:
        os.close(fd)


def _power_cut(folder: Path) -> Verdict:
    with rig_for(folder) as rig:
        _loop(rig)
        rig.start()
        time.sleep(3.0)
        _cut(rig.state)
        rig.kill()
        subprocess.run(["umount", str(rig.state)], check=True)
        subprocess.run(["mount", "-o", "loop", str(rig.folder / "disk"), str(rig.state)], check=True)
        rig.run_daemon()
        recovered_s, _ = rig.until(lambda s: well("ais")(s) and s["publish"]["connected"], "back at work")
        return rig.finish("power cut", "`recovery` in the log", None, recovered_s)


def _full_at_start(folder: Path) -> Verdict:
    """The box starts on a full disk: it watches and says so, keeps its alerts, and stores them when there is space."""
    with rig_for(folder) as rig:
        rig.mount("-t", "tmpfs", "-o", "size=3m", "tmpfs")
        rig.start()
        rig.kill()
        _fill_bytes(rig.state)
        rig.run_daemon()
        reported_s, report = rig.until(said("disk", "unavailable"), "the full disk")
        rig.until(lambda s: well("ais")(s) and s["publish"]["connected"], "it watches, and is at the picture")
        rig.until(lambda _: "takes nothing" in (rig.folder / "picture.jsonl").read_text(), "the picture knows")
        before = rig.until(lambda s: s["open_alerts"], "alerts")[1]
        rig.until(lambda s: s["open_alerts"] > before + 2, "new alerts, which wait")
        for path in rig.state.glob("filler*"):
            path.unlink()
        recovered_s, _ = rig.until(well("disk", "event-log", "outbox", "checkpoint"), "writes again")
        return rig.finish("disk is full at the start", report, reported_s, recovered_s)


def _disk_dies(folder: Path) -> Verdict:
    with rig_for(folder) as rig:
        _loop(rig)
        rig.start()
        _cut(rig.state)
        reported_s, report = rig.until(said("event-log", "degraded"), "the disk's end")
        rig.kill()
        subprocess.run(["umount", "-l", str(rig.state)], check=True)
        subprocess.run(["mount", "-o", "loop", str(rig.folder / "disk"), str(rig.state)], check=True)
        rig.run_daemon()
        recovered_s, _ = rig.until(lambda s: well("ais")(s) and s["publish"]["connected"], "on the mended disk")
        return rig.finish("disk fails (every write is an error)", report, reported_s, recovered_s)


def _damaged(folder: Path) -> Verdict:
    with rig_for(folder) as rig:
        rig.start()
        rig.until(lambda s: s["publish"]["queued"] == 0, "everything has arrived")
        rig.ais.set("freeze")
        rig.kill()
        for path in rig.state.glob("outbox.sqlite*"):
            path.write_bytes(os.urandom(8192))
        rig.run_daemon()
        reported_s, report = rig.until(said("outbox", "degraded"), "the damaged outbox")
        rig.ais.set("ok")
        recovered_s, _ = rig.until(lambda s: well("ais")(s) and s["publish"]["acked"] > 0, "alerts flow again")
        return rig.finish("outbox is damaged on the disk", report, reported_s, recovered_s)


def clock(name: str, step_s: float) -> Run:
    """The wall clock steps under the running agent and its children, moved by a file as the simulator does it."""

    def run(folder: Path) -> Verdict:
        offset = folder / "offset"
        offset.write_text("0")
        with rig_for(folder) as rig:
            path = os.pathsep.join([str(box_clock.FOLDER), *sys.path])
            rig.command = ["env", f"PYTHONPATH={path}", f"{box_clock.VARIABLE}={offset}", *rig.command]
            rig.start()
            offset.write_text(str(step_s))
            time.sleep(QUIET_S)
            rig.until(well("ais"), "the sensors do not notice")
            verdict = rig.finish(
                f"clock {name}", "the picture puts new alerts on the new time; tracks go on", None, None
            )
            text = (rig.folder / "picture.jsonl").read_text(encoding="utf-8")
            alerts = [row for row in map(json.loads, text.splitlines()) if row["type"] == "alert"]
            ahead_s = [row["at"] - row["received_at"] for row in alerts if row["state"] == "raised"]
            assert abs(ahead_s[0]) < 30.0
            assert abs(ahead_s[-1] - step_s) < 30.0, "the newest alert is not on the new time"
            return verdict

    return run


def gnss(name: str, change: Callable[[Nav], None], words: str) -> Run:
    def run(folder: Path) -> Verdict:
        with rig_for(folder, Nav) as rig:
            rig.start()
            nav = rig.device
            assert isinstance(nav, Nav)
            change(nav)
            reported_s, report = rig.until(said("gnss-watch", "degraded", words=words), name)
            nav.place, nav.ahead_s = (43.38, -8.40), 0.0
            recovered_s, _ = rig.until(well("gnss-watch"), "the receiver is believed again")
            return rig.finish(name, report, reported_s, recovered_s)

    return run


def _config_at_boot(folder: Path) -> Verdict:
    with rig_for(folder) as rig:
        rig.start()
        rig.kill()
        good = rig.text()
        rig.write("[site]\nname = 5\n")
        rig.run_daemon()
        reported_s, report = rig.until(said("config", "degraded", words="config_rejected"), "the refusal")
        rig.until(lambda s: s["publish"]["connected"] and "ais" in s["sensors"], "the last good one runs")
        rig.write(good)
        rig.signal(signal.SIGHUP)
        recovered_s, _ = rig.until(well("config"), "the good one is taken")
        return rig.finish("configuration is bad at boot", report, reported_s, recovered_s)


def _config_at_reload(folder: Path) -> Verdict:
    with rig_for(folder) as rig:
        rig.start()
        rig.write(rig.text().replace("checkpoint_s = 3", "checkpoint_s = -3"))
        rig.signal(signal.SIGHUP)
        reported_s, report = rig.until(said("config", "degraded", words="config_rejected"), "the refusal")
        rig.write(rig.text())
        rig.signal(signal.SIGHUP)
        recovered_s, _ = rig.until(well("config"), "the good one is taken")
        return rig.finish("configuration is bad at reload", report, reported_s, recovered_s)


def _spoof(nav: Nav) -> None:
    nav.place = (43.50, -8.40)


def _wrong_time(nav: Nav) -> None:
    nav.ahead_s = 60.0


def _matrix() -> Iterator[Case]:
    lines: tuple[tuple[type[Device] | None, str], ...] = (
        (SerialRadar, "arpa"),
        (None, "ais"),
        (Nav, "gnss"),
        (Radar, "radar"),
    )
    for device, name in lines:
        unplugged = "unavailable" if device in (SerialRadar, Nav) else "stale"  # nobody unplugs UDP: it falls silent
        quick = device is SerialRadar
        yield Case(f"{name}-unplug", sensor(device, "unplug", unplugged), quick=quick)
        yield Case(f"{name}-freeze", sensor(device, "freeze", "stale"))
        yield Case(f"{name}-garbage", sensor(device, "garbage", "degraded", "stale"))
        yield Case(f"{name}-slow", sensor(device, "slow", "stale"))
        yield Case(f"{name}-flood", sensor(device, "flood"))
    yield Case("radar-deaf", _deaf)
    yield Case("cam-unplug", sensor(Camera, "unplug", "unavailable"))
    yield Case("cam-freeze", sensor(Camera, "freeze", "unavailable", "stale"))
    yield Case("cam-garbage", sensor(Camera, "garbage", "unavailable", "stale", "degraded"))
    yield Case("cam-slow", sensor(Camera, "slow", "unavailable", "stale"))
    yield Case("cam-flood", sensor(Camera, "flood"))
    yield Case("cam-still", sensor(Camera, "still", "degraded", words="frozen"))
    yield Case("cam-black", sensor(Camera, "black", "degraded", words="black"))
    yield Case("child-crash", child(signal.SIGSEGV, "crashes"), quick=True)
    yield Case("child-hang", child(signal.SIGSTOP, "hangs"))
    yield Case("child-memory", _no_memory)
    yield Case("kill-9", parent)
    yield Case(
        "broker-down", broker("is down", lambda r: r.mosquitto.stop(), lambda r: r.mosquitto.start()), quick=True
    )
    hang, go_on = _signal_broker(signal.SIGSTOP), _signal_broker(signal.SIGCONT)
    yield Case("broker-hang", broker("hangs", hang, go_on))
    yield Case(
        "broker-refuses", broker("refuses the box", _refuse, lambda r: _users(r, "allow_anonymous true"), REFUSED)
    )
    yield Case(
        "broker-cut", proxied("cuts the line again and again", lambda r: MqttProxy(r.mosquitto.port), MqttProxy.cut)
    )
    mute = proxied(
        "withholds acknowledgements",
        lambda r: MqttProxy(r.mosquitto.port, drop_puback=lambda n: n % 5 == 0),
        lambda _: None,
    )
    yield Case("broker-mute", mute)
    yield Case("broker-forgets", _forgetful)
    yield Case("certificate-expired", _expired)
    yield Case("certificate-soon", _runs_out)
    yield Case("disk-full", disk("is full", "size=3m", _fill_bytes, "event-log"), root=True)
    files = disk("has no room for files", "size=400m,nr_inodes=100", _fill_files, "box", words="more files")
    yield Case("disk-files", files, root=True)
    yield Case("disk-full-start", _full_at_start, quick=True, root=True)
    yield Case("disk-dies", _disk_dies, root=True)
    yield Case("disk-damaged", _damaged, may_double=True)
    yield Case("power-cut", _power_cut, root=True)
    yield Case("clock-forward", clock("steps forward by an hour", 3600.0))
    yield Case("clock-back", clock("steps back by an hour", -3600.0))
    yield Case("gnss-spoofed", gnss("GNSS says another place", _spoof, "configured place"))
    yield Case("gnss-time", gnss("GNSS time differs by a minute", _wrong_time, "differ"))
    yield Case("config-boot", _config_at_boot)
    yield Case("config-reload", _config_at_reload, quick=True)


CASES = tuple(_matrix())
