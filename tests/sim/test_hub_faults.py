"""Faults of the hub and of the link to it, as paho meets them."""

from __future__ import annotations

import asyncio
import math
import queue
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hardware_sim import scenario
from hardware_sim.hub.link import SlowLink

if TYPE_CHECKING:
    from collections.abc import Iterator

from sim.fault_world import PATIENCE_S, program


class Client:
    """A paho client that counts what happens to it."""

    def __init__(self, url: str) -> None:
        self.said: queue.Queue[str] = queue.Queue()
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, "c")
        self.paho.on_connect = lambda *a: self.said.put(f"connected {a[3]}")
        self.paho.on_disconnect = lambda *_: self.said.put("gone")
        self.paho.on_publish = lambda *_: self.said.put("acknowledged")
        self.paho.reconnect_delay_set(1, 1)
        self.paho.connect_async("127.0.0.1", urlsplit(url).port or 0)
        self.paho.loop_start()

    def until(self, what: str) -> list[str]:
        """What was said until then."""
        heard: list[str] = []
        while not heard or heard[-1] != what:
            heard.append(self.said.get(timeout=PATIENCE_S))
        return heard

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@contextmanager
def client_of(*faults: str) -> Iterator[Client]:
    with program("hub", *(x for f in faults for x in ("--fault", f))) as ready:
        client = Client(ready["broker"])
        try:
            yield client
        finally:
            client.close()


def test_the_broker_goes_down_and_comes_back_on_its_port() -> None:
    with client_of("broker-down@2:2") as client:
        client.until("connected Success")
        client.until("gone")
        client.until("connected Success")


def test_the_broker_refuses_and_relents() -> None:
    with client_of("broker-refuses@2:2") as client:
        client.until("connected Success")
        heard = client.until("connected Success")
        assert "connected Not authorized" in heard


def test_a_scenario_s_broker_faults_are_the_hub_s(tmp_path: Path) -> None:
    text = Path(scenario.__file__).with_name("scenarios").joinpath("harbour-mouth.toml").read_text(encoding="utf-8")
    faults = '\n[[fault]]\nname = "broker-refuses"\nat_s = 0\n\n[[fault]]\nname = "ais-cut"\nat_s = 0\n'
    path = tmp_path / "refused.toml"
    path.write_text(text + faults, encoding="utf-8")
    with program("hub", "--scenario", str(path)) as ready:
        client = Client(ready["broker"])
        client.until("connected Not authorized")
        client.close()
    devices = ("--no-camera", "--no-radar", "--no-ais", "--no-nav", "--duration", "0")
    done = subprocess.run(
        [sys.executable, "-m", "hardware_sim", "run", str(path), "--out", str(tmp_path), *devices],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"`hub --scenario {path}` does it" in done.stderr


def test_the_broker_loses_acknowledgements() -> None:
    with client_of("broker-drops-puback@0=1.0") as client:
        client.until("connected Success")
        client.paho.publish("t", b"x", qos=1)
        answered: queue.Queue[None] = queue.Queue()
        client.paho.on_subscribe = lambda *_: answered.put(None)
        client.paho.subscribe("t")  # answered in order: what came before it was not
        answered.get(timeout=PATIENCE_S)
        assert client.said.empty()


@pytest.mark.parametrize(("fault", "least_s"), [("broker-slow@0=1.5", 1.5), ("link-slow@0", 0.6)])
def test_answers_take_at_least_as_long_as_they_should(fault: str, least_s: float) -> None:
    with client_of(fault) as client:
        client.until("connected Success")
        began = time.monotonic()
        client.paho.publish("t", b"x", qos=1)
        client.until("acknowledged")
        assert time.monotonic() - began >= least_s


def test_a_slow_link_loses_and_repeats_but_keeps_order() -> None:
    with program("hub", "--fault", "link-slow@0=0.2") as ready:
        got: queue.Queue[bytes] = queue.Queue()
        client = Client(ready["broker"])
        client.until("connected Success")
        client.paho.on_message = lambda _c, _u, m: got.put(bytes(m.payload))
        client.paho.subscribe("t", qos=1)
        sent = [b"%05d" % i + bytes(2000) for i in range(150)]
        for payload in sent:
            client.paho.publish("t", payload, qos=1)
        assert [got.get(timeout=PATIENCE_S) for _ in sent] == sent
        client.close()


def test_a_slow_link_loses_two_per_cent() -> None:
    """Segments of real connections through the relay; three standard deviations of 2,000 draws."""

    async def measure() -> tuple[int, int]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        link = SlowLink(seed=3)
        port = await link.start(server.sockets[0].getsockname()[1])
        link.there_and_back_s = 0.002

        async def talk() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for i in range(20):
                writer.write(b"%03d" % i)
                assert await reader.readexactly(3) == b"%03d" % i
            writer.close()

        await asyncio.gather(*(talk() for _ in range(50)))
        await link.stop()
        server.close()
        await server.wait_closed()
        return link.passed, link.lost

    passed, lost = asyncio.run(measure())
    assert passed == 2000
    assert abs(lost - 0.02 * passed) < 3.0 * math.sqrt(0.02 * 0.98 * passed)
