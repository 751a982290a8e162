"""The picture's side: storing, acknowledging, several consumers, and the whole way from two boxes."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.config.schema import Publish, Site
from agent.errors import SensorUnavailable
from agent.messages import AlertState, SensorState, TrackPicture
from agent.publish import birth as births
from agent.publish import cose, wire
from agent.publish.ashore.server import Live, LiveServer, receive_texts
from agent.publish.ashore.store import PictureStore
from agent.publish.ashore.verify import verdicts
from agent.publish.client import Publisher
from agent.publish.encoder import Encoder
from agent.publish.outbox import Outbox
from support.broker import Mosquitto

from . import samples
from .stored import TOPIC, acked, alerts, feed
from .test_delivery import QUICK


def test_what_comes_before_its_birth_is_held_and_not_acknowledged(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "p.sqlite")
    assert feed(store, *(("a", p) for p in alerts(3))) == []
    assert acked(store) == []
    rows = feed(store, ("b", births.encode(samples.BIRTH)))
    assert [r["type"] for r in rows] == ["birth", "alert", "alert", "alert"]
    assert acked(store) == [(3, ())]
    store.close()


def test_two_consumers_share_one_store(tmp_path: Path) -> None:
    """Each hears half; both know all of it, nothing is there twice, and the holes are told."""
    one, two = PictureStore(tmp_path / "p.sqlite"), PictureStore(tmp_path / "p.sqlite")
    feed(one, ("b", births.encode(samples.BIRTH)))
    a = alerts(6)
    assert len(feed(two, ("a", a[0]), ("a", a[1]), ("a", a[3]))) == 3
    assert acked(two) == [(2, ((4, 4),))]
    assert len(feed(one, ("a", a[1]), ("a", a[2]), ("a", a[5]))) == 2
    assert acked(one) == [(4, ((6, 6),))]
    assert feed(two, ("a", a[5])) == []
    assert acked(two) == [(4, ((6, 6),))]
    loss = Encoder(samples.BIRTH, samples.BORN_S).loss(
        wire.Loss(boot=samples.BIRTH.boot, ranges=((5, 5),), alerts=1, others=0), 7, samples.BORN_S
    )
    feed(one, ("l", loss))
    assert acked(one) == [(7, ())]
    assert len(two.open_alerts()) == 5
    one.close()
    two.close()


@pytest.mark.parametrize("order", ["note first", "health first"])
def test_a_sensor_keeps_its_sentence_whichever_consumer_hears_it(tmp_path: Path, order: str) -> None:
    """Note and health go to different consumers; a repeat leaves the sentence, another state does not."""
    one, two = PictureStore(tmp_path / "p.sqlite"), PictureStore(tmp_path / "p.sqlite")
    encoder = Encoder(samples.BIRTH, samples.BORN_S)
    feed(one, ("b", encoder.birth()))
    note, health = encoder.note(samples.health(), 1, 0), encoder.health(samples.health(), 2, 0)
    if order == "note first":
        feed(one, ("n", note))
        feed(two, ("h", health))
    else:
        feed(two, ("h", health))
        assert one.nodes()[0]["health"]["radar-north"]["sentence"] is None
        feed(one, ("n", note))
    for store, (kind, payload) in ((one, ("h", encoder.health(samples.health(), 3))), (two, ("h", health))):
        feed(store, (kind, payload))
        shown = store.nodes()[0]["health"]["radar-north"]
        assert (shown["state"], shown["sentence"]) == ("degraded", samples.health().sentence)
    feed(two, ("h", encoder.health(samples.health(state=SensorState.OK), 4, 1)))
    feed(one, ("h", encoder.health(samples.health(at_s=samples.BORN_S), 5)))  # a later number is the later word
    assert one.nodes()[0]["health"]["radar-north"]["sentence"] is None
    assert acked(one)[-1][0] == 5
    one.close()
    two.close()


def test_a_disk_that_refuses_acknowledges_nothing(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "p.sqlite")
    feed(store, ("b", births.encode(samples.BIRTH)))
    acked(store)

    def broken_batch() -> None:
        with store.batch():
            store.feed(TOPIC + "a", alerts(1)[0], 1.0)
            raise KeyError

    with pytest.raises(KeyError):
        broken_batch()
    assert acked(store) == []
    assert feed(store, ("a", alerts(1)[0])) != []
    assert acked(store) == [(1, ())]
    store.close()


# ---------------------------------------------------------------- the whole way


class Consumer:
    """`vigia picture` as a process."""

    def __init__(self, url: str, store: Path, *args: str) -> None:
        command = ["picture", "--broker", url, "--store", str(store), "--port", "0", *args]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return json.loads(body)

    def wait(self, done: Callable[[dict[str, Any]], bool], timeout_s: float = 20.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        state: dict[str, Any] = {}
        while time.monotonic() < deadline:
            state = self.get("/state.json")
            if state and done(state):
                return state
            time.sleep(0.1)
        raise AssertionError(state)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class SignedBox:
    def __init__(self, folder: Path, name: str, url: str) -> None:
        folder.mkdir()
        self.clock = SystemClock()
        self.outbox = Outbox(folder / "outbox.sqlite", max_bytes=10_000_000)
        site = Site(name=name, node=name, lat=36.01234, lon=-5.60321, height_m=20.0)
        config = Publish(broker=url, retry_max_s=0.5, track_batch_s=0.2)
        key = cose.load_or_make(folder / "node.key")
        self.publisher = Publisher(config, site, self.outbox, self.clock, lambda _h: None, tuning=QUICK, key=key)
        self.publisher.start()

    def stop(self) -> None:
        self.publisher.stop(3.0)
        self.outbox.close()


def test_two_boxes_three_consumers_one_of_them_killed(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    """Alerts reach the store once, whoever receives them; one vessel of two boxes is shown once; the run verifies."""
    store = tmp_path / "picture.sqlite"
    consumers = [Consumer(mosquitto.url, store, "--group", "watch") for _ in range(3)]
    stop_all += consumers
    boxes = [SignedBox(tmp_path / n, n, mosquitto.url) for n in ("north", "south")]
    stop_all += boxes
    for k in range(20):
        for box in boxes:
            now = box.clock.now().t_s
            box.publisher.submit_alerts([samples.alert(100 * k + i, 0, now, state=AlertState.RAISED) for i in range(5)])
            vessel = samples.track(7, now, mmsi=None, sources=("radar",), class_=None)
            box.publisher.submit_tracks(TrackPicture(at_s=now, tracks=(vessel,)))
        if k == 10:
            consumers[0].stop()
        time.sleep(0.05)
    state = consumers[1].wait(lambda s: len(s["alerts"]) == 200)
    assert len({(a["node"], a["id"]) for a in state["alerts"]}) == 200
    state = consumers[1].wait(lambda s: [len(v["members"]) for v in s["vessels"]] == [2])
    assert consumers[2].get("/tracks.geojson")["features"][0]["geometry"]["type"] == "Point"
    for box in boxes:
        deadline = time.monotonic() + 20.0
        while box.publisher.status()["queued"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert box.publisher.status()["queued"] == 0
    for consumer in consumers[1:]:
        consumer.stop()
    assert [r for r in verdicts(store) if r["verdict"] in ("flipped", "removed")] == []
    assert sum(r["verdict"] == "sealed" for r in verdicts(store)) > 100


def test_the_live_picture_ends_with_its_consumer(tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]) -> None:
    consumer = Consumer(mosquitto.url, tmp_path / "picture.sqlite")
    stop_all.append(consumer)
    assert consumer.wait(lambda s: s["counts"].get("repeats") == 0)["vessels"] == []
    command = ["picture", "--broker", mosquitto.url, "--store", str(tmp_path / "p"), "--port", str(consumer.port)]
    second = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *command], capture_output=True, text=True, check=False
    )
    assert (second.returncode, second.stderr.count("\n")) == (SensorUnavailable.exit_code, 1)
    assert "cannot be listened on" in second.stderr
    consumer.process.kill()
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", consumer.port)):
                return
        time.sleep(0.1)
    raise AssertionError("it is still served")


def test_the_websocket_sends_what_changes_and_refuses_strangers() -> None:
    live = Live()
    server = LiveServer(0, live)
    live.publish({"vessels": [], "n": 1})
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        texts = receive_texts(s, f"127.0.0.1:{server.port}")
        assert json.loads(next(texts))["n"] == 1
        live.publish({"vessels": [], "n": 2, "text": "x" * 70_000})
        assert json.loads(next(texts))["n"] == 2
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/state.json", headers=headers)
        assert connection.getresponse().status == 403
        connection.close()
    server.close()
