"""What the chaos box watches and says: its configuration, vessels on AIS, and a client that hears every repeat."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pyais import encode_dict

from agent.geo import LocalFrame

SITE = LocalFrame(lat=43.38, lon=-8.40)
NEW_PER_S = 8.0  # vessels that enter the zone each second
CONFIG = """
[site]
name = "chaos"
lat = 43.38
lon = -8.40
height_m = 20.0
exercise = true
[[sensor]]
name = "ais-1"
driver = "ais"
url = "udp://127.0.0.1:{udp}"
[[zone]]
name = "Z"
polygon = [[43.38, -8.45], [43.38, -8.35], [43.43, -8.35], [43.43, -8.45]]
[[rule]]
name = "in"
kind = "zone-enter"
zone = "Z"
[publish]
broker = "mqtt://127.0.0.1:{mqtt}"
puback_timeout_s = 2
retry_max_s = 2
"""


class Coast(threading.Thread):
    """Vessels that enter the zone one after the other, heard by AIS over UDP."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.stop = threading.Event()
        self.entered = 0

    def run(self) -> None:
        """Each vessel is heard five times a second apart while it runs north across the border at 8 m/s."""
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not self.stop.wait(1.0):
                now = time.monotonic() - began
                newest = int(now * NEW_PER_S)
                for i in range(max(0, newest - int(NEW_PER_S * 14)), newest):
                    age = now - i / NEW_PER_S
                    s.sendto(_report(i, north_m=-40.0 + 8.0 * age), ("127.0.0.1", self._port))
                self.entered = max(0, newest - int(NEW_PER_S * 6))


def _report(i: int, north_m: float) -> bytes:
    lat, lon = SITE.to_geo(-3000.0 + 173.0 * (i % 35), north_m)
    fields: dict[str, str | int | float | bytes | bool] = {
        "type": 1,
        "mmsi": 200_000_000 + i,
        "lat": lat,
        "lon": lon,
        "speed": 15.6,
        "course": 0.0,
        "heading": 0,
    }
    return "".join(line + "\r\n" for line in encode_dict(fields, talker_id="AI", radio_channel="A")).encode()


class Tap:
    """A third client: every alert payload on the wire, repeats included."""

    def __init__(self) -> None:
        self.payloads: dict[tuple[Any, ...], set[bytes]] = {}
        self.steps: set[tuple[int, int]] = set()  # (alert id, revision)
        self.repeats = 0
        self._client: mqtt.Client | None = None

    def connect(self, port: int) -> None:
        """Listen at a broker that has just come up."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _c, _u, m: self._take(bytes(m.payload))
        client.connect("127.0.0.1", port)
        client.subscribe("s1/+/u/a", qos=1)
        client.loop_start()
        self._client = client

    def close(self) -> None:
        """Stop listening."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _take(self, payload: bytes) -> None:
        import cbor2  # noqa: PLC0415 - only this client looks inside

        row = cbor2.loads(payload)
        seen = self.payloads.setdefault((row[1], row[2]), set())
        self.repeats += bool(seen)
        seen.add(payload)
        self.steps.add((row[5], row[6]))
