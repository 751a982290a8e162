"""The link against real brokers: windows, several brokers, renewed certificates, short sessions, clock steps."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.config.schema import LINK_PROFILES, Publish
from agent.errors import ConfigError
from agent.messages import ClockChange, SensorHealth, SensorState
from agent.publish import link
from agent.publish.certificate import not_after
from support.broker import Mosquitto, free_port
from support.mqtt_proxy import MqttProxy

from . import samples
from .test_delivery import QUICK, Box, Picture
from .test_tls import make_ca, make_certificate, openssl


class QuickBox(Box):
    """A box whose minutes are half seconds."""

    def start(self) -> None:
        from agent.publish.client import Publisher  # noqa: PLC0415 - only here
        from agent.publish.outbox import Outbox  # noqa: PLC0415 - only here

        from .test_delivery import SITE  # noqa: PLC0415 - only here

        tuning = replace(QUICK, chores_s=0.3, return_s=1.0, session_linger_s=0.4, session_max_s=10.0, health_gap_s=0.0)
        self.outbox = Outbox(self.folder / "outbox.sqlite", max_bytes=10_000_000)
        self.publisher = Publisher(self.config, SITE, self.outbox, self.clock, self.health.append, tuning=tuning)
        self.publisher.start()

    def heard(self, source: str, state: SensorState, timeout_s: float = 10.0) -> SensorHealth:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for health in list(self.health):
                if (health.source, health.state) == (source, state):
                    return health
            time.sleep(0.02)
        raise AssertionError(self.health)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_is_under_way_than_the_broker_allows(
    most: int, tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    """Births, states and the goodbye count as well."""
    broker = make_mosquitto(f"max_inflight_messages {most}")
    broker.start()
    with MqttProxy(broker.port, drop_puback=lambda n: n % 11 == 5) as proxy:
        picture = Picture(tmp_path, broker.url)
        stop_all.append(picture)
        box = QuickBox(tmp_path, proxy.url, window=16)
        box.raise_alerts(0, 30)
        assert sorted(picture.wait(30, 40.0)) == list(range(30))
        box.stop()
        assert 1 <= proxy.most_under_way <= most


def test_brokers_are_tried_in_order_and_the_first_is_gone_back_to(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    first, second = make_mosquitto(), make_mosquitto()
    second.start()
    dead = f"mqtt://127.0.0.1:{free_port()}"
    box = QuickBox(tmp_path, first.url, fallback_brokers=(dead, second.url), acknowledge="broker")
    stop_all.append(box)
    box.raise_alerts(0, 5)
    assert box.wait(lambda s: s["connected"] and s["queued"] == 0)["broker"] == 2
    first.start()
    box.wait(lambda s: s["connected"] and s["broker"] == 0)
    second.stop()
    box.raise_alerts(10, 5)
    box.wait(lambda s: s["queued"] == 0)


def test_a_renewed_certificate_is_taken_up_without_a_restart(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    pki = tmp_path / "pki"
    pki.mkdir()
    ca = make_ca(pki, "ca")
    cert, key = make_certificate(pki, "ca", "server", "subjectAltName=IP:127.0.0.1")
    old_cert, old_key = make_certificate(pki, "ca", "box", "extendedKeyUsage=clientAuth")
    new_cert, new_key = make_certificate(pki, "ca", "renewed", "extendedKeyUsage=clientAuth")
    broker = make_mosquitto(
        f"cafile {ca}", f"certfile {cert}", f"keyfile {key}", "require_certificate true", "tls_version tlsv1.3",
        "use_identity_as_username true", scheme="mqtts",
    )  # fmt: skip
    broker.start()
    box = QuickBox(
        tmp_path, broker.url, ca_file=str(ca), cert_file=str(old_cert), key_file=str(old_key), acknowledge="broker"
    )
    stop_all.append(box)
    box.wait(lambda s: s["connected"])
    box.heard("certificate", SensorState.DEGRADED)  # two days are left of the test's certificates
    shutil.copy(new_cert, old_cert)  # in the middle of the renewal: certificate and key do not fit
    time.sleep(1.0)
    assert box.publisher.status()["connected"]
    shutil.copy(new_key, old_key)
    deadline = time.monotonic() + 10.0
    while "u'renewed'" not in (broker.folder / "mosquitto.log").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "u'renewed'" in (broker.folder / "mosquitto.log").read_text()
    box.raise_alerts(0, 3)
    box.wait(lambda s: s["connected"] and s["queued"] == 0)


def test_the_end_of_a_certificate_is_read(tmp_path: Path) -> None:
    ca = make_ca(tmp_path, "ca")
    assert not_after(str(ca)) == pytest.approx(time.time() + 2 * 86_400, abs=120)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20000", "-keyout", "k", "-out", "far.pem", "-subj", "/CN=far", folder=tmp_path)  # fmt: skip  # noqa: E501 - one command line
    assert not_after(str(tmp_path / "far.pem")) == pytest.approx(time.time() + 20000 * 86_400, abs=120)


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----", b"\xff" * 99]
)
def test_what_is_no_certificate_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.pem"):
        not_after(str(tmp_path / "x.pem"))


def test_short_sessions_begin_for_an_alert_and_end_by_themselves(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    picture = Picture(tmp_path, mosquitto.url)
    stop_all.append(picture)
    box = QuickBox(tmp_path, mosquitto.url, session_every_s=3600.0)
    stop_all.append(box)
    for n in range(3):
        box.raise_alerts(n, 1)
        box.wait(lambda s: s["connected"])
        assert len(picture.wait(n + 1)) == n + 1
        box.wait(lambda s: not s["connected"] and s["queued"] == 0)
    rows = [json.loads(x) for x in picture.out.read_text().splitlines()]
    assert sum(r["type"] == "birth" for r in rows) == 1
    assert sum(r["type"] == "will" for r in rows) == 0
    assert box.publisher.status()["bytes_up"] > 300


def test_a_profile_sets_what_the_operator_has_not() -> None:
    assert Publish(profile="metered").session_every_s == LINK_PROFILES["metered"]["session_every_s"]
    assert Publish(profile="satellite", health_s=5.0).health_s == 5.0
    assert Publish(profile="satellite").keepalive_s == 1200
    assert Publish() == Publish(profile="lte")


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_steps_by_an_hour_stops_nothing(
    step_s: float, tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    """Also what is said before the step has, at the picture, the corrected time once the new birth is there."""
    picture = Picture(tmp_path, mosquitto.url)
    stop_all.append(picture)
    box = Box(tmp_path, mosquitto.url)
    stop_all.append(box)
    box.raise_alerts(0, 5)
    picture.wait(5)
    stamp = box.clock.now()
    offset_s = stamp.wall_s + step_s - stamp.t_s
    box.publisher.submit_clock(ClockChange(at_s=stamp.t_s, offset_s=offset_s))
    box.raise_alerts(10, 5)
    assert len(picture.wait(10)) == 10
    rows = [json.loads(x) for x in picture.out.read_text().splitlines()]
    at = {r["id"]: r["at"] for r in rows if r["type"] == "alert"}
    assert at[10] - at[0] == pytest.approx(step_s, abs=30.0)
    box.wait(lambda s: s["queued"] == 0)


def test_health_that_could_not_be_sent_in_time_is_given_up_and_recorded(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], stop_all: list[Any]
) -> None:
    broker = make_mosquitto()
    box = QuickBox(tmp_path, broker.url, health_expire_s=1.0)
    stop_all.append(box)
    box.publisher.submit_health(samples.health(at_s=box.clock.now().t_s))
    box.raise_alerts(1, 1)
    box.wait(lambda s: s["lost"] >= 1)
    broker.start()
    picture = Picture(tmp_path, broker.url)
    stop_all.append(picture)
    assert picture.wait(1) == [1]
    box.wait(lambda s: s["queued"] == 0)
    rows = [json.loads(x) for x in picture.out.read_text().splitlines()]
    assert any(r["type"] == "loss" and r["lost_others"] >= 1 for r in rows)
    assert not any(r["type"] == "health" and r["sensor"] == "radar-north" for r in rows)


def test_a_sentence_goes_over_the_link_once_and_again_after_a_loss(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    """Four changes between two sentences; then something is given up, and both are told anew."""
    picture = Picture(tmp_path, mosquitto.url)
    stop_all.append(picture)
    box = QuickBox(tmp_path, mosquitto.url)
    stop_all.append(box)

    def rows(kind: str) -> list[dict[str, Any]]:
        lines = picture.out.read_text().splitlines() if picture.out.exists() else []
        return [r for r in map(json.loads, lines) if r["type"] == kind and r["sensor"] == "radar-north"]

    def say(text: str, count: int) -> None:
        state = SensorState.OK if text == "data arrives" else SensorState.DEGRADED
        counters = tuple((f"counter-{i}", 70_000.5 + i) for i in range(9)) if text == "wet" else ()
        health = samples.health(at_s=box.clock.now().t_s, state=state, sentence=text, counters=counters)
        box.publisher.submit_health(health)
        deadline = time.monotonic() + 20.0
        while len(rows("health")) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        box.wait(lambda s: s["queued"] == 0)

    box.raise_alerts(0, 1)
    assert picture.wait(1) == [0], "it listens: what went out before may come in any order"
    said = ["data arrives", "wet", "data arrives", "wet"]
    for n, text in enumerate(said):
        say(text, n + 1)
    assert [r["sentence"] for r in rows("health")] == said
    assert [(r["sentence"], len(r["counters"]) > 0) for r in rows("note")] == [
        ("data arrives", False), ("wet", True), ("wet", True),  # counters that found no room come with every change
    ]  # fmt: skip
    mosquitto.stop()
    late = samples.health(source="camera-east", at_s=box.clock.now().t_s - 90_000.0, sentence="dark")
    box.publisher.submit_health(late)
    box.wait(lambda s: s["lost"] == 2)
    mosquitto.start()
    say("wet", 5)
    assert rows("health")[-1]["sentence"] == "wet"
    assert rows("note")[-1]["note"] == 3  # number 2 was the lost one


class OldKernel:
    """A connected socket whose kernel tells as little of it as was told before version 4.2, or under an emulator."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        return self._sock.getsockopt(level, name, min(size, 104))


def test_a_kernel_that_does_not_count_costs_the_figures_and_nothing_else(mosquitto: Mosquitto) -> None:
    with socket.create_connection(("127.0.0.1", mosquitto.port)) as sock:
        sock.sendall(b"\x10\x0d\0\4MQTT\4\2\0\x3c\0\1x")
        assert sock.recv(4)[0] == 0x20
        assert link._traffic(sock).bytes_down == 4
        assert link._traffic(OldKernel(sock)) == link.Traffic()
