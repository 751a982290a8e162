"""Bytes of one quiet day, by link profile: 24 simulated hours through the real publisher, TLS and a real mosquitto.

A quiet day: four sensors that are well and say so, six vessels that pass for forty minutes each (straight, with the
noise of a tracker), no alert, and a picture that acknowledges within a second. Time is the benchmark's own: the
publisher, its MQTT client and the picture live in it; the sockets are real. Bytes are what the kernel counted at the
box' socket (TCP_INFO): MQTT and TLS records, both ways; `with_headers` adds 52 bytes of IPv4 and TCP for each segment.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from agent.cli.bench_broker import BenchBroker
from agent.config.schema import Publish, Site
from agent.geo import LocalFrame
from agent.messages import SensorHealth, SensorState, Stamp, Track, TrackPicture, TrackStatus
from agent.publish import cose
from agent.publish import link as links
from agent.publish.broker import parse
from agent.publish.client import Publisher
from agent.publish.outbox import Outbox
from agent.publish.picture import PictureReceiver
from agent.publish.sender import Tuning

DAY_S = 86_400
IDLE_STEP_S = 5  # of simulated time, while nothing is in view
PASSAGES = 6
PASSAGE_S = 2400
SITE = Site(name="Quiet", node="quiet-1", lat=43.38, lon=-8.40, height_m=30.0)
SENSORS = ("radar-1", "camera-1", "camera-2", "ais-1")
HEADER_BYTES = 52  # IPv4 20, TCP 20, timestamps 12
REST_EVERY_S, REST_S = 30, 0.004
_SETTLE_S = 5.0  # of real time, at most, for the network to come to rest


class _Time:
    """The simulated clock: monotonic, logic and wall time in one."""

    def __init__(self) -> None:
        self.s = 1_000_000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.s

    def now(self) -> Stamp:
        """The present moment."""
        return Stamp(t_s=1_790_000_000.0 + self.s, wall_s=1_790_000_000.0 + self.s, error_ms=50.0)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures, by profile."""
    out: dict[str, Any] = {}
    for profile in ("lte", "metered"):
        out |= {f"{profile}_{k}": v for k, v in _day(profile, seed).items()}
    return out


def _day(profile: str, seed: int) -> dict[str, Any]:
    clock = _Time()
    real = paho.time_func
    paho.time_func = clock.monotonic  # keep-alives of the client are part of the day
    try:
        with tempfile.TemporaryDirectory(prefix="vigia-quiet-") as name:
            folder = Path(name)
            with BenchBroker(folder, tls=True) as broker:
                return _Day(folder, broker, clock, profile, seed).run()
    finally:
        paho.time_func = real


class _Day:
    def __init__(self, folder: Path, broker: BenchBroker, clock: _Time, profile: str, seed: int) -> None:
        self.clock = clock
        self.rng = random.Random(seed)
        tls = {"ca_file": str(folder / "ca.pem"), "cert_file": str(folder / "box.pem")}
        config = Publish.model_validate(
            {"broker": broker.url, "profile": profile, **tls, "key_file": str(folder / "box.key")}
        )
        self.outbox = Outbox(folder / "outbox.sqlite", max_bytes=config.outbox_max_bytes)
        self.box = Publisher(
            config, SITE, self.outbox, clock, lambda _h: None, sensors=SENSORS, key=cose.make_key(),
            tuning=Tuning(pump_s=0.0), monotonic=clock.monotonic,
        )  # fmt: skip
        options = links.Options(client_id="picture", keepalive_s=0)
        known = parse(broker.url, **tls, key_file=str(folder / "box.key"))
        self.picture = links.open_link(known, options, version5=True)
        self.receiver = PictureReceiver()
        self.kinds: dict[str, int] = {}
        self.frame = LocalFrame(lat=SITE.lat, lon=SITE.lon)
        self.starts = sorted(self.rng.randrange(0, DAY_S - PASSAGE_S) for _ in range(PASSAGES))

    def run(self) -> dict[str, Any]:
        began = self.clock.s
        sessions = 0
        connected = False
        rest_at = began
        self._settle()
        while (t := self.clock.s - began) < DAY_S:
            in_view = [i for i, start in enumerate(self.starts) if start <= t < start + PASSAGE_S]
            self.clock.s += 1 if in_view else IDLE_STEP_S
            if t % 10 < IDLE_STEP_S:
                self._report()
            self.box.submit_tracks(self._tracks(t, in_view))
            self.box.turn()
            self._settle()
            self._acknowledge()
            if self.clock.s >= rest_at:  # what nobody waits for (an answer to a keep-alive) gets its moment as well
                rest_at = self.clock.s + REST_EVERY_S
                time.sleep(REST_S)
                self.box.turn()
            sessions += self.box.connected and not connected
            connected = self.box.connected
        status = self.box.status()
        self.box.stop(2.0)
        self.outbox.close()
        self.picture.close()
        both = status["bytes_up"] + status["bytes_down"]
        return {
            "bytes": both, "bytes_up": status["bytes_up"],
            "bytes_with_headers": both + HEADER_BYTES * status["segments"],
            "sessions": sessions, "received": dict(sorted(self.kinds.items())), "left_in_the_outbox": status["queued"],
        }  # fmt: skip

    def _settle(self) -> None:
        """Let what is on its way arrive, and be acknowledged."""
        deadline = time.monotonic() + _SETTLE_S
        quiet = 0
        while time.monotonic() < deadline and quiet < 2:
            heard = self._hear()
            busy = self.box.busy
            self.box.turn()
            quiet = 0 if heard or busy else quiet + 1
            if busy:
                time.sleep(0.0005)

    def _hear(self) -> bool:
        events = self.picture.pump(0.0)
        for event in events:
            if isinstance(event, links.Connected):
                self.picture.subscribe(["s1/+/u/#"])
            elif isinstance(event, links.Received):
                for row in self.receiver.feed(event.topic, event.payload, 0.0):
                    self.kinds[row["type"]] = self.kinds.get(row["type"], 0) + 1
        return bool(events)

    def _acknowledge(self) -> None:
        """Once a step: what came within it."""
        acks = self.receiver.take_acks()
        for topic, payload in acks:
            self.picture.publish(topic, payload, retain=True)
        deadline = time.monotonic() + _SETTLE_S
        while acks and self.box.status()["unacknowledged"] and time.monotonic() < deadline:
            self._settle()

    def _report(self) -> None:
        at_s = self.clock.now().t_s
        for source in SENSORS:
            counters = (("rate_hz", round(self.rng.gauss(1.0, 0.05), 3)), ("age_s", round(self.rng.random(), 2)))
            self.box.submit_health(
                SensorHealth(at_s=at_s, source=source, state=SensorState.OK, sentence="data arrives", counters=counters)
            )

    def _tracks(self, t: float, in_view: list[int]) -> TrackPicture:
        at_s = self.clock.now().t_s
        tracks = []
        for i in in_view:
            way_m = 6.0 * (t - self.starts[i])
            east, north = -7000.0 + way_m + self.rng.gauss(0, 8.0), 3000.0 + 400.0 * i + self.rng.gauss(0, 8.0)
            lat, lon = self.frame.to_geo(east, north)
            sog, cog = 6.0 + self.rng.gauss(0, 0.2), 90.0 + self.rng.gauss(0, 2.0)
            tracks.append(
                Track(
                    at_s=at_s, id=100 + i, lat=lat, lon=lon, east_m=east, north_m=north, cog_deg=cog % 360.0,
                    sog_mps=max(0.0, sog), cov=((64.0, 0.0), (0.0, 64.0)), status=TrackStatus.CONFIRMED,
                    sources=("radar-1",), confidence=round(0.5 + 0.4 * math.sin(i), 2),
                )
            )  # fmt: skip
        return TrackPicture(at_s=at_s, tracks=tuple(tracks))
