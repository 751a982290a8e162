"""AIS as sent, read back by an outside decoder (pyais)."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations, islice, pairwise, takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyais import decode

from hardware_sim import ais, ais_receiver, ais_slots, ais_station, scenario
from hardware_sim.ais_slots import Transmission
from hardware_sim.geo import KNOT_MPS, Site
from hardware_sim.tables import AisReceiverTable, BaseStationTable, VesselTable
from hardware_sim.world import World


def read(*lines: bytes) -> dict[str, Any]:
    return dict(decode(*lines).asdict())


positions = st.builds(
    ais.Position,
    mmsi=st.integers(200_000_000, 799_999_999),
    lat=st.floats(-89, 89),
    lon=st.floats(-179, 179),
    sog_mps=st.floats(0, 50),
    cog_deg=st.floats(0, 359.9),
    heading_deg=st.one_of(st.none(), st.floats(0, 359)),
    turn_dpm=st.floats(-700, 700),
    nav_status=st.integers(0, 8),
    utc_second=st.integers(0, 59),
    accurate=st.booleans(),
)


@settings(deadline=None, max_examples=80)
@given(positions)
def test_position_reports_come_back(p: ais.Position) -> None:
    for bits, length, kind in ((ais.position_a(p), 168, 1), (ais.position_b(p), 168, 18)):
        assert len(bits) == length
        got = read(ais.vdm(bits, "A", 1))
        assert (got["msg_type"], got["mmsi"]) == (kind, p.mmsi)
        assert got["lat"] == pytest.approx(p.lat, abs=1.5e-6)
        assert got["lon"] == pytest.approx(p.lon, abs=1.5e-6)
        assert got["speed"] * KNOT_MPS == pytest.approx(p.sog_mps, abs=0.03)
        assert got["course"] == pytest.approx(p.cog_deg, abs=0.06) or p.cog_deg > 359.94
        assert got["heading"] == (511 if p.heading_deg is None else round(p.heading_deg))
        assert (got["second"], bool(got["accuracy"])) == (p.utc_second, p.accurate)
    assert read(ais.vdm(ais.position_a(p), "B", 1))["status"] == p.nav_status


SHIP = ais.Static(
    mmsi=224117250,
    name="RIA EXPRESS",
    callsign="EAXQ",
    ship_type=60,
    length_m=78.0,
    beam_m=16.0,
    draught_m=3.1,
    destination="A CORUNA",
)


def test_class_a_static_is_two_sentences_of_424_bits() -> None:
    bits = ais.static_a(SHIP)
    assert len(bits) == 424
    lines = ais.vdm(bits, "A", 4).splitlines(keepends=True)
    assert len(lines) == 2
    got = read(*lines)
    assert (got["msg_type"], got["shipname"], got["callsign"], got["ship_type"]) == (5, "RIA EXPRESS", "EAXQ", 60)
    assert got["to_bow"] + got["to_stern"] == 78
    assert got["to_port"] + got["to_starboard"] == 16
    assert (got["draught"], got["destination"], got["minute"], got["hour"]) == (3.1, "A CORUNA", 60, 24)


def test_class_b_static_is_message_24_a_and_b() -> None:
    a, b = ais.static_b(SHIP)
    assert (len(a), len(b)) == (160, 168)
    name, size = read(ais.vdm(a, "A", 0)), read(ais.vdm(b, "B", 0))
    assert (name["partno"], name["shipname"]) == (0, "RIA EXPRESS")
    assert (size["partno"], size["callsign"], size["ship_type"]) == (1, "EAXQ", 60)
    assert size["to_bow"] + size["to_stern"] == 78


def test_class_b_says_carrier_sense() -> None:
    p = ais.Position(mmsi=1, lat=0.0, lon=0.0, sog_mps=0.0, cog_deg=0.0, heading_deg=None)
    got = read(ais.vdm(ais.position_b(p), "A", 0))
    assert (got["cs"], got["display"], got["dsc"], got["band"], got["msg22"], got["assigned"], got["raim"]) == (
        True,
        False,
        True,
        True,
        True,
        False,
        False,
    )


def test_a_known_sentence_to_the_byte() -> None:
    """Encoded with another hand: pyais' own encoder for the same fields."""
    from pyais import encode_dict  # noqa: PLC0415 - only here

    p = ais.Position(
        mmsi=224059380, lat=43.38, lon=-8.4, sog_mps=10 * KNOT_MPS, cog_deg=45.5, heading_deg=46.0, utc_second=31
    )
    theirs = encode_dict(
        {
            "msg_type": 1, "mmsi": 224059380, "lat": 43.38, "lon": -8.4, "speed": 10.0, "course": 45.5, "heading": 46,
            "second": 31, "turn": 0, "status": 0, "accuracy": 0, "maneuver": 0, "raim": 0, "radio": 0,
        },
        radio_channel="A", talker_id="AI",
    )  # fmt: skip
    ours = ais.vdm(ais.position_a(p), "A", 0).decode().strip()
    assert ours.split(",")[1:6] == theirs[0].strip().split(",")[1:6]


@pytest.mark.parametrize(
    ("kind", "knots", "turn", "interval"),
    [
        ("A", 0.0, 0.0, 180.0), ("A", 10.0, 0.0, 10.0), ("A", 10.0, 1.0, 10 / 3), ("A", 20.0, 0.0, 6.0),
        ("A", 20.0, -1.0, 2.0), ("A", 30.0, 0.0, 2.0), ("B", 1.0, 0.0, 180.0), ("B", 12.0, 0.0, 30.0),
    ],
)  # fmt: skip
def test_reporting_intervals_of_the_standard(kind: str, knots: float, turn: float, interval: float) -> None:
    assert ais_station.reporting_interval_s(kind, knots * KNOT_MPS, turn) == pytest.approx(interval)


def test_who_is_heard_when(harbour: World, start_unix_s: float) -> None:
    heard: dict[int, list[float]] = {}
    for t, lines in takewhile(
        lambda x: x[0] < 120.0, ais_receiver.sentences(harbour, harbour.scenario.ais_receiver[0], start_unix_s)
    ):
        got = read(*lines.splitlines(keepends=True))
        heard.setdefault(got["mmsi"], [])
        slot = (start_unix_s + t) / ais_slots.SLOT_S
        assert slot == pytest.approx(round(slot), abs=1e-3)
        if got["msg_type"] in (1, 18):
            heard[got["mmsi"]].append(t)
            vessel = next(v for v in harbour.vessels if v.table.mmsi == got["mmsi"])
            s = vessel.at(t)
            e, n = Site(43.38, -8.40).to_enu(got["lat"], got["lon"])
            assert abs(e - s.east_m) < 12.0
            assert abs(n - s.north_m) < 12.0
    assert set(heard) == {224117250, 224059380}
    assert max(times[0] for times in heard.values()) < 4.0
    ferry = heard[224117250]  # 17.5 kn: every 6 s
    assert len(ferry) == pytest.approx(20, abs=1)
    assert len(heard[224059380]) == 4


def test_two_runs_say_the_same(harbour: World, start_unix_s: float) -> None:
    again = World(harbour.scenario, harbour.seed)
    other = World(harbour.scenario, harbour.seed + 1)
    one, two, three = (
        list(islice(ais_receiver.sentences(w, w.scenario.ais_receiver[0], start_unix_s), 30))
        for w in (harbour, again, other)
    )
    assert one == two
    assert one != three


def small(*vessels: VesselTable, height_m: float = 20.0) -> World:
    base = scenario.load("harbour-mouth")
    site = base.site.model_copy(update={"height_m": height_m})
    return World(base.model_copy(update={"vessel": vessels, "expect": (), "forbid": (), "site": site}), 1)


def receive(world: World, until_s: float, **receiver: Any) -> list[tuple[float, dict[str, Any]]]:
    table = AisReceiverTable(name="rx", **receiver)
    out = []
    for t, data in takewhile(lambda x: x[0] < until_s, ais_receiver.sentences(world, table, 1_750_000_000.0)):
        out.append((t, read(*data.splitlines(keepends=True))))
    return out


def test_an_aid_to_navigation_says_what_and_where_it_is() -> None:
    buoy = VesselTable(name="Cardinal", kind="buoy", route_m=((900.0, 800.0),), ais="AtoN", mmsi=992_241_001)
    heard = receive(small(buoy), 400.0)
    assert [m["msg_type"] for _, m in heard] == [21, 21, 21]  # every three minutes
    assert next(ais_station.transmissions(small(buoy), 1_750_000_000.0)).slots == 2  # of 272 bits
    got = heard[0][1]
    assert (got["mmsi"], got["name"], got["aid_type"]) == (992_241_001, "CARDINAL", 15)
    assert Site(43.38, -8.40).to_enu(got["lat"], got["lon"]) == pytest.approx((900.0, 800.0), abs=0.3)
    message = ais.Aton(
        mmsi=992_241_001, name="x", aid_type=15, lat=1.0, lon=2.0, utc_second=3, length_m=2.5, beam_m=2.5
    )
    assert len(ais.encoded(message)) == 272


def test_a_sart_sends_bursts_of_eight_on_both_channels_and_says_active() -> None:
    raft = VesselTable(
        name="Raft", kind="inflatable", behaviour="drifting", route_m=((500.0, 2000.0),), sart_mmsi=970_224_016,
        sart_from_s=30.0,
    )  # fmt: skip
    world = small(raft)
    heard = receive(world, 210.0)
    assert heard[0][0] >= 30.0
    reports = [(t, m) for t, m in heard if m["msg_type"] == 1]
    assert len(reports) == 24  # three minutes
    assert {(m["mmsi"], m["status"]) for _, m in reports} == {(970_224_016, 14)}
    for burst in range(3):
        times = [t for t, _ in reports[8 * burst : 8 * burst + 8]]
        assert times[-1] - times[0] < 15.0
        assert times[0] == pytest.approx(30.0 + 60.0 * burst, abs=0.1)
    said = [m for _, m in heard if m["msg_type"] == 14]
    assert [m["text"] for m in said] == ["SART ACTIVE"]
    on_air = takewhile(lambda x: x.t < 90.0, ais_station.transmissions(world, 1_750_000_000.0))
    assert {x.channel for x in on_air} == {"A", "B"}


@pytest.mark.parametrize(
    ("kind", "knots", "interval"),
    [("B-SO", 1.0, 180.0), ("B-SO", 10.0, 30.0), ("B-SO", 20.0, 15.0), ("B-SO", 30.0, 5.0)],
)
def test_class_b_so_has_intervals_of_its_own(kind: str, knots: float, interval: float) -> None:
    assert ais_station.reporting_interval_s(kind, knots * KNOT_MPS, 0.0) == interval
    p = ais.Position(mmsi=1, lat=0.0, lon=0.0, sog_mps=0.0, cog_deg=0.0, heading_deg=None, ais_class="B-SO")
    got = read(ais.vdm(ais.encoded(p), "A", 0))
    assert (got["msg_type"], got["cs"]) == (18, False)


def test_ais_off_is_off_and_a_shift_shifts() -> None:
    ship = VesselTable(
        name="Ship", kind="cargo", route_m=((0.0, 3000.0), (9000.0, 3000.0)), speed_mps=5.0, ais="A", mmsi=224_000_001,
        ais_off_s=((60.0, 120.0),), ais_shift_m=(0.0, 2000.0), ais_shift_from_s=150.0,
    )  # fmt: skip
    heard = [(t, m) for t, m in receive(small(ship), 240.0) if m["msg_type"] == 1]
    assert not [t for t, _ in heard if 60.0 <= t < 120.0]
    north = {t: Site(43.38, -8.40).to_enu(m["lat"], m["lon"])[1] for t, m in heard}
    assert all(abs(n - (5000.0 if t > 151.0 else 3000.0)) < 15.0 for t, n in north.items() if not 150.0 <= t <= 151.0)


def test_reception_ends_at_the_radio_horizon() -> None:
    horizon_m = 4.12e3 * (20.0**0.5 + 28.0**0.5)
    odds = [ais_receiver.reception(f * horizon_m, 20.0, 28.0) for f in (0.3, 0.8, 1.0, 1.2, 1.4)]
    assert odds[0] > 0.999
    assert odds == sorted(odds, reverse=True)
    assert odds[2] == pytest.approx(0.5)
    assert odds[4] == 0.0
    assert ais_receiver.reception(1.4 * horizon_m, 20.0, 28.0, sensitivity=1.4) == pytest.approx(0.5)
    ship = VesselTable(
        name="Far", kind="cargo", route_m=((horizon_m, 0.0), (horizon_m, 30_000.0)), speed_mps=0.3, ais="A",
        mmsi=224_000_002,
    )  # fmt: skip
    world = small(ship)
    sent = sum(1 for _ in takewhile(lambda x: x.t < 4000.0, ais_station.transmissions(world, 1_750_000_000.0)))
    assert 0.35 < len(receive(world, 4000.0)) / sent < 0.65


def test_two_receivers_lose_independently_and_a_farther_one_hears_what_the_first_cannot() -> None:
    horizon_m = 4.12e3 * (20.0**0.5 + 28.0**0.5)
    ship = VesselTable(
        name="Far", kind="cargo", route_m=((horizon_m, 0.0), (horizon_m, 30_000.0)), speed_mps=0.3, ais="A",
        mmsi=224_000_002,
    )  # fmt: skip
    world = small(ship)

    def times(name: str, **where: Any) -> set[float]:
        table = AisReceiverTable(name=name, **where)
        return {t for t, _ in takewhile(lambda x: x[0] < 4000.0, ais_receiver.sentences(world, table, 1_750_000_000.0))}

    one, two, beside = times("one"), times("two"), times("beside", east_m=20_000.0)
    assert one - two
    assert two - one
    assert beside > one | two


def message(
    n: int, slot: int, *, channel: str = "A", north_m: float = 0.0, slots: int = 1, reserved: bool = False
) -> Transmission:
    """A message of station `n`, aerial at 9 m: two of them hear each other over 24.7 km."""
    return Transmission(
        t=slot * ais_slots.SLOT_S, slot=slot, slots=slots, channel=channel, mmsi=n, east_m=0.0, north_m=north_m,
        build=lambda: ais.SafetyText(mmsi=n, text="X"), aerial_m=9.0, reserved=reserved,
    )  # fmt: skip


def test_in_one_slot_the_nearer_is_heard_if_it_is_much_nearer() -> None:
    def heard(*on_air: Transmission) -> set[int]:
        return {x.mmsi for _, x in ais_receiver.captured([(x.north_m, x) for x in on_air])}

    far = message(2, 7, north_m=5000.0)
    assert heard(message(1, 7, north_m=1000.0), far) == {1}
    assert heard(message(1, 7, north_m=4000.0), far) == set()
    assert heard(message(1, 7, north_m=4000.0, channel="B"), far) == {1, 2}
    assert heard(message(1, 6, north_m=4000.0), far) == {1, 2}
    assert heard(message(1, 6, north_m=4000.0, slots=2), far) == set()  # its second slot
    assert heard(message(1, 6, north_m=1000.0, slots=2), far) == {1}
    assert heard(message(1, 9, north_m=1000.0)) == {1}


def test_hidden_stations_collide_and_those_that_hear_each_other_do_not() -> None:
    asked = [message(1, 5), message(2, 5, north_m=20_000.0), message(3, 5, north_m=40_000.0)]
    sent = {x.mmsi: x.slot for x in ais_slots.allotted([iter([x]) for x in asked], 0.0)}
    assert sent == {1: 5, 2: 6, 3: 5}


def test_a_reserved_slot_is_kept_and_a_station_has_one_transmitter() -> None:
    asked = [message(1, 4, slots=2), message(2, 5, reserved=True), message(3, 4, channel="B"), message(3, 4)]
    sent = [(x.mmsi, x.channel, x.slot) for x in ais_slots.allotted([iter([x]) for x in asked], 0.0)]
    assert sent == [(3, "B", 4), (2, "A", 5), (1, "A", 6), (3, "A", 8)]


def test_a_full_channel_collides_and_loses_nothing() -> None:
    asked = [message(n, 5, slots=2) for n in range(1, 60)]
    sent = list(ais_slots.allotted([iter([x]) for x in asked], 0.0))
    assert len(sent) == 59
    assert max(x.slot for x in sent) < 5 + ais_slots.REACH
    assert sum(x.slot == 5 for x in sent) > 1


messages = st.builds(
    message, st.integers(1, 12), st.integers(100, 140), channel=st.sampled_from("AB"), slots=st.integers(1, 2),
    north_m=st.sampled_from((0.0, 8_000.0, 20_000.0, 35_000.0, 60_000.0)), reserved=st.booleans(),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(messages, max_size=30))
def test_no_two_messages_that_hear_each_other_share_a_slot(asked: list[Transmission]) -> None:
    sent = list(ais_slots.allotted([iter([x]) for x in asked], 0.0))
    assert [x.slot for x in sent] == sorted(x.slot for x in sent)
    assert {id(x.build) for x in sent} == {id(x.build) for x in asked}
    assert len(sent) == len(asked)
    before = {id(x.build): x.slot for x in asked}
    for x in sent:
        assert 0 <= x.slot - before[id(x.build)] < ais_slots.REACH
        assert x.t == pytest.approx(x.slot * ais_slots.SLOT_S)
    for one, other in combinations(sent, 2):
        assert not (one.overlaps(other) and one.hears(other))


def test_traffic_shares_slots_among_hidden_stations_only() -> None:
    """Two lanes of ships over 130 km: what one receiver hears of them collides by those that cannot hear each other."""
    world = World(scenario.load("ferry-lane"), 1)
    sent = list(takewhile(lambda x: x.t < 100.0, ais_station.transmissions(world, 1_750_000_000.0)))
    assert [x.t for x in sent] == sorted(x.t for x in sent)
    together = [(x, y) for i, x in enumerate(sent) for y in sent[i + 1 : i + 20] if x.overlaps(y)]
    assert len(together) > 20
    assert not [(x, y) for x, y in together if x.hears(y)]
    kinds = set()
    for x in sent:
        made = x.build()
        kinds.add(type(made))
        assert x.slots == (1 if len(ais.encoded(made)) <= 168 else 2)
    assert kinds == {ais.Position, ais.Static}


def test_a_base_station_tells_the_time_every_ten_seconds() -> None:
    base = scenario.load("harbour-mouth")
    world = World(
        base.model_copy(update={"base_station": (BaseStationTable(mmsi=2_240_001, east_m=800.0, north_m=-300.0),)}), 5
    )
    start = 1_750_000_000.0
    on_air = takewhile(lambda x: x.t < 65.0, ais_station.transmissions(world, start))
    said = [(x, read(x.sentences)) for x in on_air if x.mmsi == 2_240_001]
    assert [x.channel for x, _ in said] == ["A", "B"] * 3 + ["A"] * (len(said) - 6)
    assert len(said) in (6, 7)
    for x, got in said:
        assert len(ais.encoded(x.build())) == 168
        assert (got["msg_type"], got["mmsi"], got["epfd"]) == (4, 2_240_001, 7)
        at = datetime.fromisoformat("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z".format(**got))
        assert 0.0 <= start + x.t - at.timestamp() < 1.0
        assert world.scenario.site.lat == pytest.approx(got["lat"], abs=0.01)
    assert [b.t - a.t for (a, _), (b, _) in pairwise(said)] == pytest.approx([10.0] * (len(said) - 1), abs=0.03)


def test_ships_say_what_they_do_and_at_anchor_every_three_minutes() -> None:
    base = scenario.load("storm")
    boat = VesselTable(name="Boat", kind="trawler", behaviour="fishing", route_m=((0, 4000),), speed_mps=2.0,
                       ais="A", mmsi=224_310_199)  # fmt: skip
    world = World(base.model_copy(update={"vessel": (*base.vessel, boat), "expect": ()}), 1)
    said: dict[int, list[int]] = {}
    for x in takewhile(lambda x: x.t < 1080.0, ais_station.transmissions(world, 1.75e9)):
        message = x.build()
        if isinstance(message, ais.Position):
            said.setdefault(x.mmsi, []).append(message.nav_status)
    riding, tug = said[224_310_151], said[224_310_150]
    assert set(riding) == {1}
    assert 5 <= len(riding) <= 7
    assert set(tug) == {0}
    assert len(tug) > 90
    assert set(said[224_310_199]) == {7}
