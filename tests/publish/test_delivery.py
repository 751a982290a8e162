"""Publisher, outbox and picture against real brokers: mosquitto, and the hub with its faults."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.clock import SystemClock
from agent.config.schema import Publish, Site
from agent.messages import AlertState, SensorHealth, SensorState, Track, TrackPicture
from agent.publish import wire
from agent.publish.client import Publisher
from agent.publish.entries import RANK_MEDIUM, Entry
from agent.publish.outbox import Outbox, SupersededError
from agent.publish.sender import Tuning
from support.broker import Mosquitto, free_port
from support.mqtt_proxy import MqttProxy

from . import samples

SITE = Site(name="Tarifa", node="tarifa-1", lat=36.01234, lon=-5.60321, height_m=20.0)
QUICK = Tuning(
    retry_min_s=0.1, backlog_delay_s=0.05, backlog_per_s=500.0, probe_first_s=0.5, probe_s=1.0, ack_grace_s=0.5
)


class Box:
    """A publisher on an outbox that outlives it."""

    def __init__(self, folder: Path, url: str, **config: Any) -> None:
        self.folder = folder
        self.config = Publish(broker=url, retry_max_s=0.5, puback_timeout_s=1.0, **config)
        self.health: list[SensorHealth] = []
        self.clock = SystemClock()
        self.start()

    def start(self) -> None:
        self.outbox = Outbox(self.folder / "outbox.sqlite", max_bytes=10_000_000)
        self.publisher = Publisher(self.config, SITE, self.outbox, self.clock, self.health.append, tuning=QUICK)
        self.publisher.start()

    def stop(self) -> None:
        self.publisher.stop(3.0)
        self.outbox.close()

    def raise_alerts(self, first: int, count: int) -> None:
        now = self.clock.now().t_s
        self.publisher.submit_alerts(
            [samples.alert(i, 0, now, state=AlertState.RAISED) for i in range(first, first + count)]
        )

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 15.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            status = self.publisher.status()
            if wanted(status):
                return status
            time.sleep(0.02)
        raise AssertionError(self.publisher.status())


class Picture:
    """`vigia watch --ack` as a process."""

    def __init__(self, folder: Path, url: str) -> None:
        self.out, self.state, self.url = folder / "picture.jsonl", folder / "picture.state", url
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = ["watch", "--broker", self.url, "--ack", "--out", str(self.out), "--state", str(self.state)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def alerts(self) -> list[int]:
        if not self.out.exists():
            return []
        rows = [json.loads(line) for line in self.out.read_text().splitlines() if line.endswith("}")]
        return [r["id"] for r in rows if r["type"] == "alert"]

    def wait(self, count: int, timeout_s: float = 20.0) -> list[int]:
        deadline = time.monotonic() + timeout_s
        while len(self.alerts()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.alerts()


class Hub:
    """The hub of the simulator as a process."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "hardware_sim", "hub", *args], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.url = str(json.loads(self.process.stdout.readline())["broker"])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.parametrize("kind", ["mosquitto", "hub", "hub-3.1.1", "hub-loses-pubacks"])
def test_alerts_reach_the_picture_once_and_leave_the_outbox(
    kind: str, tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    if kind == "mosquitto":
        broker = make_mosquitto()
        broker.start()
        url = broker.url
    else:
        args = {"hub": [], "hub-3.1.1": ["--only-311"], "hub-loses-pubacks": ["--drop-puback", "0.1"]}[kind]
        stop_all.append(Hub(*args))
        url = stop_all[-1].url
    picture = Picture(tmp_path, url)
    stop_all.append(picture)
    box = Box(tmp_path, url)
    stop_all.append(box)
    for i in range(10):
        box.raise_alerts(i * 10, 10)
    assert sorted(picture.wait(100)) == list(range(100))
    box.wait(lambda s: s["queued"] == 0)
    if kind == "hub-3.1.1":
        assert box.publisher.status()["protocol"] == "MQTT 3.1.1"


def test_only_the_pictures_acknowledgement_empties_the_outbox(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    box = Box(tmp_path, mosquitto.url)
    stop_all.append(box)
    box.raise_alerts(1, 20)
    box.wait(lambda s: s["sent"] >= 20 and s["in_flight"] == 0)
    assert box.publisher.status()["queued"] >= 20
    stop_all.append(Picture(tmp_path, mosquitto.url))
    box.wait(lambda s: s["queued"] == 0)


def test_where_the_broker_is_trusted_its_puback_is_enough(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    box = Box(tmp_path, mosquitto.url, acknowledge="broker")
    stop_all.append(box)
    box.raise_alerts(1, 20)
    box.wait(lambda s: s["queued"] == 0)


def test_what_has_left_the_outbox_since_it_was_read_is_not_sent(tmp_path: Path, mosquitto: Mosquitto) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", max_bytes=10_000_000)
    outbox.start_boot(1, b"birth", lambda _forced, _seq: b"loss")
    outbox.append([Entry(kind="a", rank=RANK_MEDIUM, encode=bytes, key=(i, 0, i)) for i in range(60)])
    tuning = Tuning(backlog_per_s=1e9, backlog_burst=5, backlog_delay_s=0.0)
    config = Publish(broker=mosquitto.url, acknowledge="broker")
    box = Publisher(config, SITE, outbox, SystemClock(), lambda _health: None, tuning=tuning)
    try:
        for _ in range(1000):
            box.turn()
            if box.status()["acked"]:
                break
        sent = box.status()["sent"]
        assert 5 <= sent < 40  # the rest is read, and waits for room
        outbox.acknowledge(1, 60)
        while box.status()["in_flight"]:
            box.turn()
        box.turn()
        assert box.status()["sent"] == sent
    finally:
        box.stop(3.0)
        outbox.close()


def test_what_the_picture_never_names_is_sent_again_ever_more_rarely(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """In the publisher's own time, 15.5 s a step: one more alert, and an acknowledgement of all but the first."""
    now = [0.0]
    outbox = Outbox(tmp_path / "outbox.sqlite", max_bytes=10_000_000)
    tuning = Tuning(pump_s=0.01, backlog_delay_s=0.0, probe_first_s=1e9, probe_s=1e9)
    box = Publisher(
        Publish(broker=mosquitto.url), SITE, outbox, SystemClock(), lambda _health: None, tuning=tuning,
        monotonic=lambda: now[0],
    )  # fmt: skip
    picture = mqtt.Client(CallbackAPIVersion.VERSION2)
    picture.connect("127.0.0.1", mosquitto.port)
    picture.loop_start()

    def turn_until(wanted: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + 30.0
        while not wanted(box.status()):
            assert time.monotonic() < deadline, box.status()
            box.turn()

    def step(n: int) -> int:
        """Alert `n`; how often the first one was sent again."""
        now[0] += 15.5
        before = int(box.status()["sent"])
        box.submit_alerts([samples.alert(n, 0, 0.0, state=AlertState.RAISED)])
        turn_until(lambda s: s["unacknowledged"] == 2 - (n == 1) and not s["in_flight"])
        ack = wire.Ack(boot=box.boot, contiguous=0, ranges=((2, n),) if n > 1 else ())
        picture.publish(wire.topic("tarifa-1", "d", "k"), wire.encode_ack(ack), qos=1)
        if n > 1:
            turn_until(lambda s: s["acked"] == n - 1)
        box.turn()
        turn_until(lambda s: not s["in_flight"])  # what is under way when time passes would be overdue
        return int(box.status()["sent"]) - before - 1

    try:
        turn_until(lambda s: s["connected"])
        turn_until(lambda s: not s["in_flight"])
        again = [n for n in range(1, 21) if step(n)]
        assert 4 <= len(again) <= 12  # of 20 acknowledgements that leave it out
        assert 2 <= max(b - a for a, b in itertools.pairwise(again)) <= 6
        newest = next(n for n in range(21, 28) if step(n))
        mosquitto.stop()
        turn_until(lambda s: not s["connected"])
        mosquitto.start()
        now[0] += 1.0
        turn_until(lambda s: s["connected"] and not s["in_flight"])
        step(newest + 1)
        assert step(newest + 2)  # a new connection has forgotten how often
    finally:
        picture.loop_stop()
        box.stop(3.0)
        outbox.close()


def test_a_disk_that_cannot_be_read_ends_the_connection_and_not_the_publisher(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    told: list[SensorHealth] = []
    outbox = Outbox(tmp_path / "outbox.sqlite", max_bytes=10_000_000)
    box = Publisher(Publish(broker=mosquitto.url), SITE, outbox, SystemClock(), told.append, tuning=QUICK)
    try:
        box.submit_alerts([samples.alert(1, 0)])
        for _ in range(1000):
            box.turn()
            if box.connected:
                break
        outbox.close()  # every read and write is refused from now on
        for _ in range(1000):
            box.turn()
            if not box.connected:
                break
        assert not box.connected
        assert [h.state for h in told if h.source == "outbox"] == [SensorState.UNAVAILABLE]
    finally:
        box.stop(3.0)


def test_a_broker_that_is_down_and_forgets_loses_nothing(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    broker = make_mosquitto()
    picture = Picture(tmp_path, broker.url)
    stop_all.append(picture)
    box = Box(tmp_path, broker.url)
    stop_all.append(box)
    for i in range(6):
        (broker.start if i % 2 else broker.stop)()
        box.raise_alerts(100 * i, 15)
        time.sleep(0.7)
    if picture.process is not None and picture.process.poll() is not None:
        picture.start()
    got = picture.wait(90)
    assert sorted(got) == sorted(100 * i + k for i in range(6) for k in range(15))
    box.wait(lambda s: s["queued"] == 0)


def test_a_backlog_of_an_older_boot_is_decoded_by_its_own_birth(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    broker = make_mosquitto()
    box = Box(tmp_path, broker.url)
    for boot in range(3):
        box.raise_alerts(boot * 10, 5)
        box.stop()
        box.start()
    stop_all.append(box)
    broker.start()
    picture = Picture(tmp_path, broker.url)
    stop_all.append(picture)
    assert sorted(picture.wait(15)) == [b * 10 + k for b in range(3) for k in range(5)]
    rows = [json.loads(x) for x in picture.out.read_text().splitlines()]
    assert len({r["boot"] for r in rows if r["type"] == "alert"}) == 3
    box.wait(lambda s: s["queued"] == 0)


def test_a_publisher_that_another_has_replaced_stores_nothing(tmp_path: Path, stop_all: list[Any]) -> None:
    """A reload: numbers of the new boot never go out under the old one's name."""
    box = Box(tmp_path, f"mqtt://127.0.0.1:{free_port()}")
    stop_all.append(box)
    old, box.publisher = box.publisher, Publisher(box.config, SITE, box.outbox, box.clock, box.health.append)
    with pytest.raises(SupersededError):
        old.submit_alerts([samples.alert(1, 0)])
    old.stop(1.0)
    box.raise_alerts(1, 2)
    assert {m.boot for m in box.outbox.pending(0, 10, health=False)} == {box.publisher.boot}


def test_an_alert_that_the_core_raises_again_after_a_crash_is_the_same_alert(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    picture = Picture(tmp_path, mosquitto.url)
    stop_all.append(picture)
    box = Box(tmp_path, mosquitto.url)
    at_s = box.clock.now().t_s
    alerts = [samples.alert(i, 0, at_s, state=AlertState.RAISED) for i in range(5)]
    box.publisher.submit_alerts(alerts)
    box.stop()
    box.start()
    stop_all.append(box)
    box.publisher.submit_alerts([*alerts, samples.alert(9, 0, at_s, state=AlertState.RAISED)])
    assert sorted(picture.wait(6)) == [0, 1, 2, 3, 4, 9]
    time.sleep(1.0)
    assert len(picture.alerts()) == 6


def test_withheld_pubacks_do_not_pin_the_window(tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]) -> None:
    with MqttProxy(mosquitto.port, drop_puback=lambda n: n % 7 == 3) as proxy:
        picture = Picture(tmp_path, mosquitto.url)
        stop_all.append(picture)
        box = Box(tmp_path, proxy.url, window=4)
        box.raise_alerts(0, 60)
        assert sorted(picture.wait(60, 40.0)) == list(range(60))
        box.stop()
        assert proxy.most_under_way <= 4
        assert proxy.connections > 1


def test_a_wrong_password_is_one_sentence_without_the_password(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    broker = make_mosquitto(users={"box": "right"})
    broker.start()
    box = Box(tmp_path, f"mqtt://box:wr0ng-secret@127.0.0.1:{broker.port}")
    stop_all.append(box)
    box.raise_alerts(0, 3)
    box.wait(lambda s: bool(s["last_error"]))
    assert "wr0ng-secret" not in json.dumps(box.publisher.status()) + str(box.health)
    assert box.publisher.status()["queued"] >= 3


def test_a_missing_broker_is_told_once(tmp_path: Path, stop_all: list[Any]) -> None:
    box = Box(tmp_path, f"mqtt://127.0.0.1:{free_port()}")
    stop_all.append(box)
    box.wait(lambda s: bool(s["last_error"]))
    time.sleep(1.5)
    assert len([h for h in box.health if h.source == "link"]) == 1


def test_kill_9_in_the_middle_of_committing_loses_nothing_that_was_told(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from publish import samples\n"
        "from agent.clock import SystemClock\n"
        "from agent.config.schema import Publish\n"
        "from agent.publish.client import Publisher\n"
        "from agent.publish.outbox import Outbox\n"
        "from publish.test_delivery import SITE\n"
        "box = Outbox(pathlib.Path(sys.argv[1]), max_bytes=50_000_000)\n"
        "p = Publisher(Publish(), SITE, box, SystemClock(), lambda h: None)\n"
        "for i in range(10**6):\n"
        "    p.submit_alerts([samples.alert(i, 0)])\n"
        "    print(i, flush=True)\n"
    )
    path = tmp_path / "outbox.sqlite"
    tests = str(Path(__file__).resolve().parents[1])
    child = subprocess.Popen([sys.executable, "-c", script, str(path), tests], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(40):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().split()
    child.stdout.close()
    child.wait()
    told = 40 + len(rest)
    db = sqlite3.connect(path)
    kept = {row[0] for row in db.execute("SELECT alert FROM messages WHERE alert IS NOT NULL")}
    db.close()
    assert set(range(told)) <= kept


def test_thinned_tracks_keep_the_receivers_error_within_the_bound(tmp_path: Path, stop_all: list[Any]) -> None:
    """A vessel that turns and stops, told at 1 Hz: what a receiver extrapolates stays within 50 m, 95 % of the time."""
    import math  # noqa: PLC0415 - only this test computes a course

    from agent.publish import kinematics  # noqa: PLC0415 - as above
    from agent.publish.thinning import Thinner  # noqa: PLC0415 - as above

    assert stop_all == []
    assert tmp_path.exists()
    thin = Thinner(samples.SITE, error_m=50.0, max_age_s=120.0, horizon_s=2.0)
    east = north = 0.0
    belief: Track | None = None
    errors, sent = [], 0
    for t in range(1800):
        cog = (t / 4.0) % 360.0 if (t // 300) % 2 else 45.0
        sog = 0.3 if 900 < t < 1100 else 12.0
        east += sog * math.sin(math.radians(cog))
        north += sog * math.cos(math.radians(cog))
        lat, lon = samples.SITE.to_geo(east, north)
        now = samples.track(1, samples.BORN_S + t, lat=lat, lon=lon, cog_deg=cog, sog_mps=sog)
        if t % 2 == 0:
            updates = thin.due(TrackPicture(at_s=samples.BORN_S + t, tracks=(now,)))
            thin.sent(updates)
            if updates:
                belief, sent = now, sent + 1
        assert belief is not None
        there = kinematics.extrapolate(belief.lat, belief.lon, belief.cog_deg, belief.sog_mps, now.at_s - belief.at_s)
        errors.append(math.dist(samples.SITE.to_enu(*there), (east, north)))
    assert sorted(errors)[int(0.95 * len(errors))] <= 50.0
    assert sent < 300
