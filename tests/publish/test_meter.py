"""The link profile by measurement: verdicts, hysteresis, and a real link of 600 ms that loses 2 %."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.schema import LINK_PROFILES, Publish
from agent.publish.client import Publisher
from agent.publish.meter import BREAKS_MANY, LEAST, Meter
from agent.publish.outbox import Outbox
from support.broker import Mosquitto
from support.slow_relay import SlowRelay

from .test_delivery import QUICK, SITE, Box, Picture

THINNER_S, RICHER_S = 60.0, 900.0


def settle(meter: Meter, delay_ms: float, since: float, for_s: float = 3000.0) -> list[tuple[float, str]]:
    """A minute's chores with an answer each; (seconds after `since`, new profile) of every change."""
    changes = []
    for minute in range(int(for_s // 60)):
        now = since + 60.0 * minute
        meter.answered(now, delay_ms / 1000.0)
        if meter.choose(now):
            changes.append((now - since, meter.profile))
    return changes


def fresh() -> Meter:
    return Meter(thinner_s=THINNER_S, richer_s=RICHER_S)


@pytest.mark.parametrize(
    ("delay_ms", "profile"), [(2.0, "lan"), (15.0, "lte"), (60.0, "lte"), (350.0, "lte"), (620.0, "satellite")]
)
def test_the_delay_chooses(delay_ms: float, profile: str) -> None:
    meter = fresh()
    settle(meter, delay_ms, 0.0)
    assert meter.profile == profile


def test_a_worse_link_is_believed_soon_and_a_better_one_late() -> None:
    meter = fresh()
    ((worse_s, _),) = settle(meter, 700.0, 0.0)
    assert worse_s == 60.0 * (LEAST - 1) + THINNER_S
    ((better_s, better),) = settle(meter, 80.0, 3000.0)
    assert better == "lte"
    assert better_s >= RICHER_S


@pytest.mark.parametrize(("profile_ms", "limit_ms"), [(700.0, 260.0), (700.0, 399.0), (2.0, 12.0), (2.0, 29.0)])
def test_between_taking_and_leaving_nothing_changes(profile_ms: float, limit_ms: float) -> None:
    meter = fresh()
    settle(meter, profile_ms, 0.0)
    before = meter.profile
    assert settle(meter, limit_ms, 3000.0, 20_000.0) == []
    assert meter.profile == before


def test_a_link_that_breaks_again_and_again_is_a_satellites() -> None:
    meter = fresh()
    for n in range(BREAKS_MANY):
        meter.broke(10.0 * n)
    for now in range(40, 200, 10):
        meter.choose(float(now))
    assert meter.profile == "satellite"
    assert meter.measured(200.0)["breaks"] == BREAKS_MANY
    assert meter.measured(2000.0)["breaks"] == 0


def test_segments_sent_again_count() -> None:
    meter = fresh()
    for minute in range(10):
        now = 60.0 * minute
        meter.answered(now, 0.05)
        meter.counted(now, 200 * minute, 8 * minute)
        meter.choose(now)
    assert meter.profile == "satellite"
    assert meter.measured(540.0)["resent_percent"] == 8.0


def test_without_answers_nothing_is_chosen() -> None:
    meter = fresh()
    for minute in range(100):
        meter.choose(60.0 * minute)
    assert meter.profile == "lte"
    assert meter.measured(6000.0) == {
        "puback_ms": None, "puback_worst_ms": None, "resent_percent": 0.0, "breaks": 0, "answers": 0,
    }  # fmt: skip


@given(delays=st.lists(st.floats(0.0, 5.0), max_size=300), every_s=st.floats(1.0, 600.0))
@settings(max_examples=100, deadline=None)
def test_no_link_makes_it_change_more_often_than_its_patience(delays: list[float], every_s: float) -> None:
    meter, changes = fresh(), []
    for n, delay in enumerate(delays):
        meter.answered(n * every_s, delay)
        if meter.choose(n * every_s):
            changes.append((n * every_s, meter.profile))
    there_and_back = [b - a for (a, x), (b, y) in pairwise(changes) if x == "satellite" != y]
    assert all(s >= RICHER_S for s in there_and_back)
    assert all(profile in LINK_PROFILES for _, profile in changes)


def test_what_the_operator_has_set_stays_whatever_is_measured() -> None:
    config = Publish(profile="auto", health_s=5.0)
    assert config.keepalive_s == Publish().keepalive_s
    satellite = config.with_profile("satellite")
    assert (satellite.health_s, satellite.track_error_m) == (5.0, 200.0)


class AutoBox(Box):
    """A box whose minutes are tenths of seconds."""

    def start(self) -> None:
        tuning = replace(QUICK, chores_s=0.1, thinner_s=0.5, richer_s=1.0, probe_s=5.0, probe_first_s=5.0)
        self.outbox = Outbox(self.folder / "outbox.sqlite", max_bytes=10_000_000)
        self.publisher = Publisher(self.config, SITE, self.outbox, self.clock, self.health.append, tuning=tuning)
        self.publisher.start()


def test_a_link_of_600_ms_that_loses_2_percent_becomes_a_satellites_and_back(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    """The profile changes within one boot, receivers are told, nothing is lost, and it changes back."""
    with SlowRelay(mosquitto.port, one_way_s=0.0) as relay:
        picture = Picture(tmp_path, mosquitto.url)
        stop_all.append(picture)
        box = AutoBox(tmp_path, relay.url, profile="auto")
        box.config = Publish.model_validate({**box.config.model_dump(exclude_defaults=True), "puback_timeout_s": 15.0})
        box.stop()
        box.start()
        stop_all.append(box)
        box.raise_alerts(0, 1)
        assert picture.wait(1) == [0]  # it hears every edition of the birth from here on
        relay.one_way_s, relay.loss = 0.3, 0.02

        def raise_until(profiles: tuple[str, ...], first: int) -> int:
            deadline = time.monotonic() + 60.0
            while box.publisher.status()["profile"] not in profiles:
                assert time.monotonic() < deadline, box.publisher.status()
                box.raise_alerts(first, 1)
                first += 1
                time.sleep(0.1)
            return first

        count = raise_until(("satellite",), 1)
        status = box.publisher.status()
        assert status["profile_by"] == "measurement"
        assert status["link"]["puback_ms"] >= 600
        boot = status["boot"]
        relay.one_way_s = relay.loss = 0.0
        count = raise_until(("lte", "lan"), count)  # which one, a loaded machine decides
        assert sorted(picture.wait(count)) == list(range(count))
        box.wait(lambda s: s["queued"] == 0)
    rows = [json.loads(x) for x in picture.out.read_text().splitlines()]
    told = [r["info"]["track_error_m"] for r in rows if r["type"] == "birth" and r["boot"] == boot]
    changes = [error_m for error_m, _ in groupby(told)]  # there are more editions: alerts bring new names
    assert 200.0 in changes[1:]
    assert changes[-1] in (50.0, 20.0)
    assert {r["boot"] for r in rows if r["type"] == "alert"} == {boot}


def test_the_status_may_be_asked_for_while_answers_come() -> None:
    """It is asked for by another thread than the one that measures."""
    meter = Meter(thinner_s=60.0, richer_s=900.0)
    ended = threading.Event()

    def measure() -> None:
        n = 0
        while not ended.is_set():
            n += 1
            meter.answered(float(n), 0.01)
            meter.broke(float(n))
            meter.counted(float(n), n, 0)

    every_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=measure)
    thread.start()
    try:
        for _ in range(300):
            meter.measured(0.0)
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(every_s)
