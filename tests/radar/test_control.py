"""What radars are told: nothing by default, the right octets when asked; nobody is overruled; a radar that obeys."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections import Counter
from json import loads
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from agent.clock import SystemClock
from agent.config.load import ConfigProblems, parse_config
from agent.config.schema import Sensor
from agent.drivers.radar.control import ASK_AGAIN_S, LISTEN_S, QUIET_S, SILENT_S, Order, RadarControl
from agent.drivers.radar.garmin import GarminOptions
from agent.drivers.radar.navico import NavicoDecoder, NavicoOptions
from agent.drivers.radar.raymarine import RaymarineOptions
from agent.drivers.table import driver_options
from agent.errors import ConfigError
from agent.messages import Scan, SensorState, Stamp
from agent.runtime.children import ChildSensor
from agent.runtime.orders import LEFT, RadarOrders
from agent.transport.orders import UdpOrders
from hardware_sim.devices.lines import UdpIn
from hardware_sim.radar import navico, navico_reports
from hardware_sim.radar.obedience import PATIENCE_S, Obedience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.drivers.radar.control import ControlOptions

PLACE = "udp://127.0.0.1:7060"
EMPTY = np.zeros((navico.SPOKES_PER_DATAGRAM, navico.SAMPLES), dtype=np.uint8)
STANDBY, ON = {"state": 1.0}, {"state": 2.0}
TRANSMIT = [b"\x00\xc1\x01", b"\x01\xc1\x01"]


def control(**options: Any) -> RadarControl:
    return RadarControl(NavicoOptions(control=PLACE, **options))


def told(orders: list[Order]) -> list[bytes]:
    return [d for order in orders for d in order.datagrams]


# ---------------------------------------------------------------- pure


def test_nothing_is_said_by_default_and_everything_needs_an_address() -> None:
    assert not NavicoOptions().orders
    assert not NavicoOptions(control=PLACE).orders
    for wrong in (
        {"transmit": True}, {"keep_alive": True}, {"select_range_m": 6000.0},
        {"control": PLACE, "standby_at_end": True},
        {"control": "tcp://10.0.0.7:7060", "transmit": True}, {"control": "udp://0.0.0.0:7060", "transmit": True},
        {"control": "udp://[ff15::5]:7060", "transmit": True}, {"control": "udp://radar:7060", "transmit": True},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            NavicoOptions.model_validate(wrong)
    for driver in ("cat240", "furuno"):
        with pytest.raises(ValidationError):
            driver_options(driver).model_validate({"control": PLACE, "transmit": True})


def test_a_radar_in_standby_is_told_and_told_again_until_it_transmits() -> None:
    c = control(transmit=True)
    said = []
    for t in range(int(LISTEN_S + 2 * ASK_AGAIN_S) + 2):
        c.look(float(t), 0, t, STANDBY)
        said += [(t, o.what) for o in c.due(float(t))]
    assert said == [(int(LISTEN_S + k * ASK_AGAIN_S), "transmit") for k in range(3)]
    assert c.end() == []  # nobody asked for standby at the end
    c.look(50.0, 17, 60, STANDBY)  # its spokes come before its next report of state
    assert c.due(50.0) == []
    assert not c.left


def test_a_radar_that_transmits_already_is_neither_switched_on_nor_off() -> None:
    c = control(transmit=True, standby_at_end=True)
    for t in range(60):
        c.look(float(t), 100 * t + 1, t, ON)
        assert c.due(float(t)) == []
    assert c.end() == []


def on_by_us(**options: Any) -> RadarControl:
    """Told at 3 s, transmits until 20 s."""
    c = control(transmit=True, **options)
    c.look(0.0, 0, 1, STANDBY)
    c.look(LISTEN_S, 0, 2, STANDBY)
    assert told(c.due(LISTEN_S)) == TRANSMIT
    for t in range(4, 21):
        c.look(float(t), t, t, ON)
        c.due(float(t))
    return c


def test_only_what_was_switched_on_is_switched_off() -> None:
    assert told(on_by_us(standby_at_end=True).end()) == [b"\x00\xc1\x01", b"\x01\xc1\x00"]
    assert on_by_us().end() == []


def test_who_puts_it_into_standby_is_not_overruled() -> None:
    c = on_by_us(standby_at_end=True)
    for t in range(21, 60):
        c.look(float(t), 20, t, STANDBY)
        assert c.due(float(t)) == []
        assert c.left is (t > 20 + QUIET_S)
    assert c.end() == []
    c.look(60.0, 21, 60, ON)  # and who switches it on again may
    assert not c.left
    assert c.end() == []  # it was not us


def test_one_that_was_without_power_is_asked_anew() -> None:
    c = on_by_us()
    for t in range(21, 40):
        c.look(float(t), 20, 20, ON)  # silence: the last report stands
    assert not c.left
    assert told(c.due(40.0)) == TRANSMIT


def test_without_reports_silence_may_be_a_person() -> None:
    c = control(transmit=True)
    for t in range(20):
        c.look(float(t), t, 0, {})
    c.look(20.0 + SILENT_S, 19, 0, {})
    assert c.left
    assert c.due(50.0) == []


def test_a_rest_of_the_box_is_no_silence_of_the_radar() -> None:
    c = on_by_us()
    for t in range(21, 200):
        c.rest(float(t))
        c.look(float(t), 20, 20, ON)
        assert c.due(float(t)) == []
    assert not c.left
    early = control(transmit=True)
    for t in range(60):
        early.rest(float(t))
        early.look(float(t), 0, 0, {})
        assert early.due(float(t)) == []  # it may transmit: nobody has looked


def test_the_range_is_selected_once_when_it_transmits() -> None:
    c = control(transmit=True, select_range_m=11_112.0)
    said = []
    for t in range(60):
        c.look(float(t), max(0, t - 10), t, ON if t > 10 else STANDBY)
        said += [o for o in c.due(float(t)) if o.what != "transmit"]
    assert told(said) == [b"\x03\xc1" + (111_120).to_bytes(4, "little")]


def test_keep_alives_begin_at_once_and_come_each_second() -> None:
    c = control(keep_alive=True)
    said = [told(c.due(t / 4.0)) for t in range(41)]
    assert sum(bool(s) for s in said) == 11
    assert said[0] == [bytes.fromhex(x) for x in ("a0c1", "03c2", "04c2", "05c2", "0ac2")]


@pytest.mark.parametrize(
    ("options", "on", "off"),
    [
        (GarminOptions(control=PLACE, transmit=True), "190900000100000001", "190900000100000000"),
        (RaymarineOptions(control=PLACE, transmit=True), "1000280001000000", "1000280000000000"),
        (RaymarineOptions(control=PLACE, transmit=True, kind="rd"), "0180010001000000", "0180010000000000"),
    ],
)
def test_other_makes_octets(options: ControlOptions, on: str, off: str) -> None:
    assert [d.hex() for d in options.language.transmit] == [on]
    assert [d.hex() for d in options.language.standby] == [off]


def test_other_makes_ranges_and_keep_alives() -> None:
    select = GarminOptions().language.select_range
    assert select is not None
    assert select(3704.0) == (bytes.fromhex("1e0900000400000078 0e0000"),)
    alive = RaymarineOptions(control=PLACE, keep_alive=True).language.keep_alive
    assert [(every, len(d[0]), d[0][:4].hex()) for every, d in alive] == [(1.0, 12, "00002800"), (5.0, 36, "03892800")]
    with pytest.raises(ValidationError, match="cannot be selected"):
        RaymarineOptions(control=PLACE, select_range_m=3704.0)
    with pytest.raises(ValidationError, match="stays awake"):
        GarminOptions(control=PLACE, keep_alive=True)


def test_a_recording_is_told_nothing() -> None:
    text = (
        '[site]\nname = "C"\nlat = 43.0\nlon = -8.0\nheight_m = 20\n[[sensor]]\nname = "r"\ndriver = "navico"\n'
        f'url = "file://night.pcap"\ncontrol = "{PLACE}"\ntransmit = true\n'
    )
    with pytest.raises(ConfigProblems, match="v.toml:11: sensor.1.transmit: is for a radar on the network"):
        parse_config(text, "v.toml", driver=driver_options)
    parse_config(text.replace("file://night.pcap", "udp://236.6.9.51:7059"), "v.toml", driver=driver_options)
    with pytest.raises(ConfigError, match="not for a recording"):
        RadarOrders("file://night.pcap", NavicoOptions(control=PLACE, transmit=True), print)


# ---------------------------------------------------------------- over UDP, against a radar that obeys


class Coast:
    """The simulator's radar that obeys, and the agent's orders to it; time is the test's."""

    def __init__(self, **options: Any) -> None:
        self.port = UdpIn()
        self.radar = Obedience()
        self.log: list[str] = []
        given = NavicoOptions(control=f"udp://127.0.0.1:{self.port.port}", heading_deg=0.0, **options)
        self.orders = RadarOrders("udp://127.0.0.1:1", given, self.log.append)
        self.decoder = NavicoDecoder("radar", given)
        self.asleep: list[int] = []
        self.told: list[tuple[int, str]] = []

    def second(self, t: int, *, deaf: bool = False) -> None:
        """The radar takes its orders, sends; the agent hears, gives orders."""
        for data in self.port.take():
            if (word := self.radar.take(float(t), data)) is not None:
                self.told.append((t, word))
        if self.radar.fell_asleep(float(t)):
            self.asleep.append(t)
        standby = self.radar.standby
        sent = [navico_reports.state(navico_reports.STANDBY if standby else navico_reports.TRANSMITS)]
        if not standby:
            sent.append(navico.datagram(EMPTY, t * navico.SPOKES_PER_DATAGRAM, 6000, navico.heading_word(0.0)))
        if not deaf:
            for data in sent:
                list(self.decoder.decode(data, Stamp(t_s=float(t), wall_s=0.0), "127.0.0.1:1"))
            self.orders.step(float(t), self.decoder.counters, self.decoder.gauges, resting=False)


@pytest.fixture
def coast() -> Iterator[Any]:
    made: list[Coast] = []

    def make(**options: Any) -> Coast:
        made.append(Coast(**options))
        return made[-1]

    yield make
    for one in made:
        one.orders.end()
        one.port.close()


def test_it_transmits_when_told_and_stays_awake_while_told(coast: Any) -> None:
    c = coast(transmit=True, keep_alive=True, standby_at_end=True)
    for t in range(60):
        c.second(t)
    assert c.told == [(4, "transmit")]
    assert (c.radar.standby, c.asleep) == (False, [])
    assert c.orders.note() is None
    c.orders.end()
    c.second(61, deaf=True)
    assert c.told[-1] == (61, "standby")
    assert c.radar.standby
    assert c.orders.counters == {"keep_alives": 60, "orders": 2}
    assert [line.split(":")[1] for line in c.log] == [
        " stay awake, again and again", " transmit", " go to standby", " no more keep-alives",
    ]  # fmt: skip
    assert "00c101 01c101 to udp://127.0.0.1" in c.log[1]


def test_without_keep_alives_it_falls_asleep_and_is_left_there(coast: Any) -> None:
    c = coast(transmit=True)
    for t in range(60):
        c.second(t)
    assert c.asleep == [4 + int(PATIENCE_S) + 1]
    assert len(c.told) == 1
    assert c.orders.note() == (SensorState.DEGRADED, LEFT)


def test_an_order_that_cannot_be_sent_is_a_caution_and_is_sent_later() -> None:
    log: list[str] = []
    away = NavicoOptions(control="udp://239.192.0.9:7060?iface=nowhere0", keep_alive=True)
    orders = RadarOrders("udp://127.0.0.1:1", away, log.append)
    for t in range(5):
        orders.step(float(t), Counter(), {}, resting=False)
    state, sentence = orders.note() or (None, "")
    assert state is SensorState.DEGRADED
    assert "an order cannot be sent" in sentence
    assert orders.counters == {"orders_failed": 5}
    assert len(log) == 1
    orders.end()


def test_orders_leave_one_after_the_other() -> None:
    port = UdpIn()
    out = UdpOrders(f"udp://127.0.0.1:{port.port}")
    out.send(TRANSMIT)
    assert port.take() == TRANSMIT
    out.close()
    out.close()
    port.close()
    with pytest.raises(ConfigError):
        UdpOrders("tcp://10.0.0.7:80")


def test_a_sensors_process_switches_a_radar_on_and_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The whole way: simulator and sensor as processes of their own, on the loopback."""
    caplog.set_level(logging.INFO, "vigia.sensor")
    words = ["--radar", "spokes,halo-reports", "--radar-orders", "--no-camera", "--no-ais", "--no-nav"]
    sim = subprocess.Popen(
        [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", *words, "--out", str(tmp_path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[Any] = []
    child = None
    try:
        assert sim.stdout is not None
        ends = loads(sim.stdout.readline())["endpoints"]
        options = {
            "also": [ends["radar_halo_reports"]], "control": ends["radar_orders"],
            "transmit": True, "keep_alive": True, "standby_at_end": True,
        }  # fmt: skip
        sensor = Sensor(name="radar", driver="navico", url=ends["radar_spokes"], options=options)
        child = ChildSensor(sensor, "radar", 20.0, tmp_path, SystemClock(), lambda _, m: said.append(m))
        child.start()
        until(lambda: any(isinstance(m, Scan) for m in said))
        child.stop()
        until(lambda: told_to(tmp_path)[-1:] == ["standby"])
    finally:
        if child is not None:
            child.stop()
        sim.kill()
        sim.communicate()
    assert told_to(tmp_path) == ["transmit", "standby"]
    assert any("radar order: transmit: 00c101 01c101 to udp://127.0.0.1:" in line for line in caplog.messages)


def told_to(folder: Path) -> list[str]:
    text = (folder / "truth.jsonl").read_text(encoding="utf-8")
    lines = [loads(x) for x in text[: text.rfind("\n") + 1].splitlines()]
    return [x["order"] for x in lines if x.get("kind") == "radar-order"]


def until(true: Any) -> None:
    deadline = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
