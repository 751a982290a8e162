"""The sensors of the fault matrix: real lines, sockets, streams, unplugged, frozen, spoiled, slowed, flooded."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import threading
import time
import tty
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pyais import encode_dict

from agent.drivers.table import driver_options, load_driver
from agent.geo import LocalFrame
from agent.messages import Stamp
from agent.perception.radar import land
from agent.perception.radar.extract import PlotExtractor
from radar.spokes import Target, navico_frame, navico_spoke, picture

SITE = LocalFrame(lat=43.38, lon=-8.40)
FLOOD = 400  # units a round, ten rounds a second: a hundred times what the device sends


def checked(text: str, *, wrong: bool = False) -> bytes:
    total = 0
    for c in text[1:].encode():
        total ^= c
    return f"{text}*{total ^ (0x55 if wrong else 0):02X}\r\n".encode()


class Device(ABC):
    """Talks in a thread of its own, as its `mode` says: ok, unplug, freeze, garbage, slow, flood."""

    name = "device"
    driver = ""
    options = ""
    period_s = 0.1

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mode = "ok"
        self._stop = threading.Event()
        self._count = 0
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the agent finds it."""

    @abstractmethod
    def unit(self, n: int, *, wrong: bool) -> bytes:
        """The n-th thing that it says."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Say it, if anybody is connected."""

    def unplug(self) -> None:  # noqa: B027 - nobody unplugs UDP: it falls silent
        """Take it away."""

    def plug(self) -> None:  # noqa: B027 - as above
        """Put it back."""

    def start(self) -> None:
        self.plug()
        self._thread.start()

    def set(self, mode: str) -> None:
        before, self.mode = self.mode, mode
        if mode == "unplug":
            self.unplug()
        elif before == "unplug":
            self.plug()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5.0)
        self.unplug()

    def table(self) -> str:
        options = "".join(f"{line}\n" for line in self.options.split(";") if line)
        return f'[[sensor]]\nname = "{self.name}"\ndriver = "{self.driver}"\nurl = "{self.url}"\nstale_s = 3\n{options}'

    def _run(self) -> None:
        while not self._stop.wait(self.period_s):
            if self.mode in ("unplug", "freeze"):
                continue
            if self.mode == "slow" and self._stop.wait(8.0):
                return
            for _ in range(FLOOD if self.mode == "flood" else 1):
                with contextlib.suppress(OSError):  # nobody listens, or no more than a line can take
                    self.send(self.unit(self._count, wrong=self.mode == "garbage"))
                self._count += 1


class SerialRadar(Device):
    """Tracked targets (TTM) on a serial line."""

    name = "arpa"
    driver = "nmea-radar"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._link = folder / "ttyRADAR"
        self._ends: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        return f"serial://{self._link}?baud=38400"

    def unit(self, n: int, *, wrong: bool) -> bytes:
        return checked(
            f"$RATTM,{n % 9:02d},1.4,{13.6 + n % 9 * 20:.1f},T,7.0,20.0,T,0.0,0.0,N,,T,,154125.82,A", wrong=wrong
        )

    def send(self, data: bytes) -> None:
        if self._ends is not None:
            os.write(self._ends[0], data)

    def plug(self) -> None:
        self._ends = os.openpty()
        tty.setraw(self._ends[0])
        os.set_blocking(self._ends[0], False)
        self._link.symlink_to(os.ttyname(self._ends[1]))

    def unplug(self) -> None:
        if self._ends is not None:
            ends, self._ends = self._ends, None
            self._link.unlink()
            os.close(ends[0])
            os.close(ends[1])


class Ais(Device):
    """An AIS receiver on UDP; a new vessel enters the zone every `every_s`, and the last twenty are heard."""

    name = "ais"
    driver = "ais"
    every_s = 1.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.period_s = 0.05
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            self._port = int(s.getsockname()[1])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._began_s = time.monotonic()

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self._port}"

    def unit(self, n: int, *, wrong: bool) -> bytes:
        now_s = time.monotonic() - self._began_s
        vessel = max(0, int(now_s / self.every_s) - n % 20)
        north_m = -40.0 + 8.0 * (now_s - vessel * self.every_s)
        lat, lon = SITE.to_geo(-3000.0 + 173.0 * (vessel % 35), north_m)
        fields: dict[str, Any] = {
            "type": 1, "mmsi": 200_000_000 + vessel, "lat": lat, "lon": lon, "speed": 15.6, "course": 0.0, "heading": 0,
        }  # fmt: skip
        (line,) = encode_dict(fields, talker_id="AI", radio_channel="A")
        return checked(line.partition("*")[0], wrong=wrong)

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, ("127.0.0.1", self._port))

    def close(self) -> None:
        super().close()
        self._socket.close()


class Nav(Device):
    """A GNSS receiver behind a TCP server. `place` and `ahead_s` are what it believes."""

    name = "gnss"
    driver = "nav"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = (43.38, -8.40)
        self.ahead_s = 0.0
        self._server: socket.socket | None = None
        self._clients: list[socket.socket] = []
        self._port = 0

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def unit(self, n: int, *, wrong: bool) -> bytes:  # noqa: ARG002 - what it says depends on the time
        t = time.gmtime(time.time() + self.ahead_s)
        lat, lon = self.place
        where = f"{int(lat):02d}{lat % 1 * 60:07.4f},N,{int(-lon):03d}{-lon % 1 * 60:07.4f},W"
        return checked(
            f"$GPRMC,{time.strftime('%H%M%S', t)}.00,A,{where},0.0,0.0,{time.strftime('%d%m%y', t)},,,A", wrong=wrong
        )

    def plug(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def unplug(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for client in self._clients:
            client.close()
        self._clients = []

    def send(self, data: bytes) -> None:
        for client in list(self._clients):
            client.send(data)

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                client.settimeout(0.5)
                self._clients.append(client)


class Radar(Device):
    """A radar's video: HALO spokes on UDP, two echoes, a turn in 2.5 s."""

    name = "radar"
    driver = "navico"
    options = "heading_deg = 0.0"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.period_s = 2.5 / 64
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            self._port = int(s.getsockname()[1])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echoes = [Target(range_m=2000.0, bearing_deg=40.0), Target(range_m=3000.0, bearing_deg=200.0)]
        self._video = picture(echoes, azimuths=2048, cells=1024, noise=2.0)
        self._deaf = np.zeros_like(self._video)

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self._port}"

    def unit(self, n: int, *, wrong: bool) -> bytes:
        first = n * 32 % 2048
        video = self._deaf if self.mode == "deaf" else self._video
        rows = [navico_spoke(samples=video[i], angle=i * 2, scan=i) for i in range(first, first + 32)]
        frame = navico_frame(*rows)
        return frame[: 8 + 777] if wrong else frame

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, ("127.0.0.1", self._port))

    def close(self) -> None:
        super().close()
        self._socket.close()


class CoastalRadar(Radar):
    """The same with a coast behind it. A further mode: deaf (spokes without an echo)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._video[600:1400, 500:800] = 13
        self._coast = np.where(self._video == 13, self._video, 0)  # its noise would stand still, turn by turn

    def learn(self, state: Path) -> None:
        """Store what an extractor that has seen this coast for some hours would have stored."""
        decoder = load_driver(self.driver)(self.name, driver_options(self.driver).model_validate({"heading_deg": 0.0}))
        extractor = PlotExtractor(self.name)
        for n in range(65):
            for spoke in decoder.decode(self.unit(n, wrong=False), Stamp(t_s=n / 25.6, wall_s=n / 25.6), "239.0.0.1:1"):
                extractor.feed(spoke)
        assert extractor.land is not None
        for _ in range((land.ENOUGH + 1) * land.PERIOD):
            extractor.land.turn(self._coast, np.zeros(0, np.int64), np.zeros(2048, np.bool_))
        state.mkdir()
        (state / f"clutter-{self.name}.map").write_bytes(extractor.state())


class Camera(Device):
    """An MJPEG camera. Further modes: still (the same picture again), black."""

    name = "cam"
    driver = "camera"
    options = "fps = 5;stall_s = 3;hfov_deg = 60.0"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.period_s = 0.1
        self._port = 0
        self._server: http.server.ThreadingHTTPServer | None = None
        self._newest = b""
        self._changed = threading.Condition()
        self._random = np.random.default_rng(0)
        self._scene = cv2.resize(self._random.integers(40, 220, (24, 32, 3), np.uint8), (320, 240))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/stream"

    def unit(self, n: int, *, wrong: bool) -> bytes:  # noqa: ARG002 - and here on chance
        image: np.ndarray
        if self.mode == "black":
            image = np.zeros((240, 320, 3), np.uint8)
        elif self.mode == "still":
            image = self._scene
        else:
            noise = self._random.integers(-12, 12, self._scene.shape)
            image = np.clip(self._scene.astype(int) + noise, 0, 255).astype(np.uint8)
        good, data = cv2.imencode(".jpg", image)
        assert good
        return data.tobytes()[: 200 if wrong else None]

    def send(self, data: bytes) -> None:
        with self._changed:
            self._newest = data
            self._changed.notify_all()

    def plug(self) -> None:
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def unplug(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()

    def serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        mine = self._server
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        with contextlib.suppress(OSError):
            while self._server is mine and not self._stop.is_set():
                with self._changed:
                    if not self._changed.wait(0.5):
                        continue
                    data = self._newest
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                request.wfile.write(head.encode() + data + b"\r\n")
