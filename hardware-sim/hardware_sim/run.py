"""One run: all devices of a scenario, in real time.

Promises:
- one thread works through one merged timetable; only the camera is a process of its own;
- the ready line is printed when every endpoint exists; with `wait`, time stands at 0 until `go` comes on stdin;
- the run ends at its duration, on SIGTERM or SIGINT, when its parent ends, or (with `wait`) when stdin does, and
  leaves no process, no port and no device name behind.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TextIO

from hardware_sim import ais_receiver, navigation, truth
from hardware_sim.box_clock import BoxClock
from hardware_sim.devices.ballast import Ballast
from hardware_sim.devices.camera import Camera
from hardware_sim.devices.lines import GroupOut, SerialOut, TcpOut, UdpIn, UdpOut
from hardware_sim.faults import Change, Faults, garble, misread, truncate
from hardware_sim.process import ENDING, end_with_parent
from hardware_sim.radar import navico_reports
from hardware_sim.radar.arpa import LINE_BAUD
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.radar.obedience import Obedience
from hardware_sim.seeds import generator
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hardware_sim.devices.lines import Line
    from hardware_sim.radar.emissions import Emission
    from hardware_sim.scenario import Scenario

    Action = tuple[float, Callable[[], None]]

ORDERS_S = 0.1  # between two looks at what the radar was told


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says. `duration_s` None: until stopped. `radar` names emissions of the radar.

    `orders`: the radar begins in standby and does what it is told, as a HALO.
    `multicast`: an address of this machine; the radar's datagrams leave there, to the groups of the real devices.
    """

    seed: int = 0
    duration_s: float | None = None
    out: Path
    fps: float | None = None
    camera: bool = True
    radar: tuple[str, ...] = ()
    ais: bool = True
    nav: bool = True
    disk: Path | None = None
    box_clock: Path | None = None
    multicast: str | None = None
    orders: bool = False
    wait: bool = False


class Run:
    """The devices of one scenario. Use as a context manager."""

    def __init__(self, scenario: Scenario, options: Options) -> None:
        self.world = World(scenario, options.seed)
        self.options = options
        self._faults = Faults(scenario.fault)
        self._stack = ExitStack()
        self._spoil = generator(options.seed, "spoil")
        self._truth: TextIO | None = None
        self._camera: Camera | None = None
        self._ballast = Ballast(options.disk)
        self._stack.callback(self._ballast.clear)
        self._box_clock = BoxClock(options.box_clock)
        self._radar: dict[str, SerialOut | UdpOut] = {}
        self._station = Station(self.world)
        self._obedience = Obedience() if options.orders else None
        self._orders: UdpIn | None = None
        self._began_s = 0.0
        self._station.standby = self._in_standby
        if options.multicast is not None:
            self._station.ip = options.multicast
        self._lines: dict[str, Line] = {}

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        o, scenario = self.options, self.world.scenario
        o.out.mkdir(parents=True, exist_ok=True)
        self._box_clock.set(0.0)
        self._stack.callback(self._box_clock.set, 0.0)
        self._station.prepare(o.radar)
        for name in o.radar:
            line = self._radar[name] = self._radar_line(name)
            self._stack.callback(line.close)
        if o.orders:
            self._orders = UdpIn(navico_reports.IDENTITIES["halo"].address("send"), o.multicast)
            self._stack.callback(self._orders.close)
        for receiver in scenario.ais_receiver if o.ais else ():
            self._lines[receiver.name] = self._opened(receiver.port, receiver.name)
        if o.nav:
            self._lines["nav"] = self._opened(scenario.nav.port, "nav")
        if o.camera:
            self._camera = Camera(scenario, o.seed, o.fps or scenario.camera.fps)
            self._stack.callback(self._camera.close)

    def _in_standby(self, t: float) -> bool:
        obedient = self._obedience is not None and self._obedience.standby
        return obedient or self._faults.active("radar-standby", t)

    def _take_orders(self) -> None:
        t = time.monotonic() - self._began_s  # and not the timetable's, which runs ahead after a pause of the machine
        assert self._obedience is not None  # noqa: S101 - only then is this on the timetable
        assert self._orders is not None  # noqa: S101 - as above
        told = [self._obedience.take(t, data) for data in self._orders.take()]
        told.append("asleep" if self._obedience.fell_asleep(t) else None)
        for order in told:
            if order is not None:
                self._write({"type": "event", "kind": "radar-order", "order": order, "at": time.time()})

    def _radar_line(self, name: str) -> SerialOut | UdpOut:
        emission, via = EMISSIONS[name], self.options.multicast
        if emission.serial:
            return SerialOut(self.options.out.resolve() / f"radar-{name}")
        return UdpOut() if via is None else GroupOut(emission.group, emission.port, via)

    def _opened(self, port: str, name: str) -> Line:
        makes: dict[str, Callable[[], Line]] = {
            "udp": UdpOut,
            "tcp": TcpOut,
            "serial": lambda: SerialOut(self.options.out.resolve() / name),
        }
        line = makes[port]()
        self._stack.callback(line.close)
        return line

    def ready(self) -> dict[str, Any]:
        """The ready line."""
        scenario = self.world.scenario
        endpoints = {name.replace("-", "_"): _url(line) for name, line in self._lines.items()}
        endpoints |= {f"radar_{name.replace('-', '_')}": _url(line) for name, line in self._radar.items()}
        if self._orders is not None:
            endpoints["radar_orders"] = f"udp://{self._orders.host}:{self._orders.port}"
        if self._camera is not None:
            endpoints |= self._camera.endpoints()
        s, r = scenario.site, scenario.radar
        return {
            "ready": True,
            "scenario": scenario.name,
            "endpoints": endpoints,
            "site": {"name": s.name, "lat": s.lat, "lon": s.lon, "height_m": s.height_m},
            "camera": scenario.camera.model_dump(exclude={"fps", "jpeg_quality"}),
            "radar": {"height_m": r.height_m, "heading_deg": r.heading_deg, "range_m": r.range_m, "rpm": r.rpm},
            "zones": [{"name": z.name, "polygon": [self.world.geo(*p) for p in z.polygon_m]} for z in scenario.zone],
            "box_environment": self._box_clock.environment(),
            "truth": str(self.options.out.resolve() / "truth.jsonl"),
        }

    def go(self, stop: Stop) -> None:
        """Let time run until the duration is over or `stop` says so."""
        mono, unix = time.monotonic(), time.time()
        self._began_s = mono
        self._truth = self._stack.enter_context(
            (self.options.out / "truth.jsonl").open("w", encoding="utf-8", buffering=1)
        )
        self._write(truth.header(self.world, unix))
        if self._camera is not None:
            self._camera.start(mono, unix)
        for t, act in merge(*self._timetable(unix), key=lambda action: action[0]):
            end = self.options.duration_s
            due = t if end is None else min(t, end)
            if stop.wait(mono + due - time.monotonic()) or (end is not None and t > end):
                return
            act()

    def _timetable(self, unix: float) -> Iterator[Iterator[Action]]:
        """One ordered list of actions per source."""
        world = self.world
        yield ((t, lambda c=c: self._change(c)) for t, c in self._faults.changes())  # type: ignore[misc] # early binding
        yield ((t, lambda x=x: self._write(x)) for t, x in truth.lines(world, unix))  # type: ignore[misc] # as above
        if self._camera is not None:
            yield ((float(k), self._camera.check) for k in count())
        if self._obedience is not None:
            yield ((k * ORDERS_S, self._take_orders) for k in count())
        self._station.start_unix_s = unix
        for name, line in self._radar.items():
            send = self._send_line(line) if isinstance(line, SerialOut) else self._send_radar(line, EMISSIONS[name])
            yield self._sending(EMISSIONS[name].stream(self._station), send)
        for receiver in world.scenario.ais_receiver if self.options.ais else ():
            heard = ais_receiver.sentences(world, receiver, unix)
            yield self._sending(heard, self._send_lines(receiver.name, "ais"))
        if self.options.nav:
            yield self._sending(navigation.sentences(world, unix, self._faults), self._send_lines("nav", "nav"))

    @staticmethod
    def _sending(source: Iterator[tuple[float, bytes]], send: Callable[[float, bytes], None]) -> Iterator[Action]:
        return ((t, lambda t=t, data=data: send(t, data)) for t, data in source)  # type: ignore[misc] # early binding

    def _send_line(self, line: SerialOut) -> Callable[[float, bytes], None]:
        def send(t: float, data: bytes) -> None:
            if self._in_standby(t):
                return
            if self._faults.active("ttm-baud", t):
                data = misread(data, LINE_BAUD, self._faults.value("ttm-baud", t))
            line.send(garble(data, self._spoil) if self._faults.active("ttm-garbage", t) else data)

        return send

    def _send_radar(self, out: UdpOut, emission: Emission) -> Callable[[float, bytes], None]:
        def send(t: float, block: bytes) -> None:
            standby = self._in_standby(t) and not emission.in_standby
            if not (standby or self._faults.active("spokes-cut", t)):
                short = self._faults.active("spokes-truncated", t)
                out.send(truncate(block, self._spoil) if short else block)

        return send

    def _send_lines(self, name: str, kind: str) -> Callable[[float, bytes], None]:
        """`kind` begins the names of the faults on that line: `-cut`, `-garbage`, `-baud` of a serial one."""
        out = self._lines[name]

        def send(t: float, data: bytes) -> None:
            if self._faults.active(f"{kind}-cut", t):
                return
            if isinstance(out, SerialOut) and self._faults.active(f"{kind}-baud", t):
                data = misread(data, LINE_BAUD, self._faults.value(f"{kind}-baud", t))
            elif self._faults.active(f"{kind}-garbage", t):
                data = b"".join(garble(line, self._spoil) for line in data.splitlines(keepends=True))
            out.send(data)

        return send

    def _change(self, change: Change) -> None:
        """A fault that is more than missing or spoiled data begins or ends; truth says so of every one."""
        kind = "fault-begin" if change.on else "fault-end"
        self._write({"type": "event", "kind": kind, "fault": change.name, "at": time.time()})
        if change.name == "radar-unplugged":
            for line in self._radar.values():
                if isinstance(line, SerialOut):
                    (line.unplug if change.on else line.plug)()
        if change.name == "ais-unplugged":
            for receiver in self.world.scenario.ais_receiver if self.options.ais else ():
                (self._lines[receiver.name].unplug if change.on else self._lines[receiver.name].plug)()
        if change.name == "nav-unplugged" and self.options.nav:
            (self._lines["nav"].unplug if change.on else self._lines["nav"].plug)()
        if change.name == "disk-full":
            (self._ballast.fill if change.on else self._ballast.clear)()
        if change.name == "box-clock":
            self._box_clock.set(change.value)
        if self._camera is not None:
            match change.name:
                case "camera-killed":
                    (self._camera.power_off if change.on else self._camera.power_on)()
                case "camera-frozen":
                    self._camera.command("freeze" if change.on else "thaw")
                case "camera-stuck":
                    self._camera.command("stick" if change.on else "unstick")
                case "camera-black" | "camera-overexposed" | "camera-salted" as name:
                    self._camera.set("lens", name.removeprefix("camera-") if change.on else "clear")
                case "camera-knocked":
                    self._camera.set("knock", repr(change.value))
                case "camera-clock":
                    self._camera.set("clock", repr(change.value))

    def _write(self, line: dict[str, Any]) -> None:
        assert self._truth is not None  # noqa: S101 - opened before the first action
        self._truth.write(json.dumps(line, ensure_ascii=False) + "\n")


def _url(line: Line) -> str:
    match line:
        case SerialOut():
            return f"serial://{line.path}?baud={LINE_BAUD}"
        case TcpOut():
            return f"tcp://127.0.0.1:{line.port}"
        case _:
            return f"udp://{line.host}:{line.port}"


class Stop:
    """Signals (`signalled`: one has come), and the end of stdin where it is listened to."""

    def __init__(self, *, stdin: bool) -> None:
        self._stdin = stdin
        self._buffer = b""
        self.signalled = False
        self._here, there = socket.socketpair()
        self._there = there
        self._there.setblocking(False)
        signal.set_wakeup_fd(self._there.fileno(), warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.signalled = True

    def wait(self, seconds: float) -> bool:
        """Wait that long; True as soon as the run has to end."""
        until = time.monotonic() + max(0.0, seconds)
        while not self.signalled:
            sources = [self._here, *([sys.stdin] if self._stdin else [])]
            readable, _, _ = select.select(sources, [], [], max(0.0, until - time.monotonic()))
            if sys.stdin in readable and not os.read(sys.stdin.fileno(), 4096):
                return True
            if not readable:
                return self.signalled
        return True

    def wait_for_go(self) -> bool:
        """Wait for the line `go`; False when it will not come."""
        while not self.signalled:
            readable, _, _ = select.select([self._here, sys.stdin], [], [])
            if sys.stdin in readable:
                data = os.read(sys.stdin.fileno(), 4096)
                if not data:
                    return False
                self._buffer += data
                if b"go" in self._buffer.split(b"\n")[:-1]:
                    return True
        return False


def run(scenario: Scenario, options: Options) -> None:
    """The command `run`."""
    end_with_parent(signal.SIGTERM)
    stop = Stop(stdin=options.wait)
    with Run(scenario, options) as devices:
        if stop.signalled:  # it came while the devices were starting
            return
        print(json.dumps(devices.ready(), ensure_ascii=False), flush=True)
        if options.wait and not stop.wait_for_go():
            return
        devices.go(stop)
