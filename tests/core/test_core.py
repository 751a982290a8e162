"""The core on synthetic coasts: who is tracked, who is alerted, and that the same events always give the same."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.config.schema import Config, Rule, Sensor
from agent.core import Core
from agent.errors import InputError
from agent.messages import Ais, AlertState, Event, Severity, Tick, TrackStatus
from agent.packing import pack

from .world import FRAME, Ship, World, alerts, config, firm, health, nearest, pictures, run, square

ZONE = square("Reserva", -300.0, 600.0, 350.0)
RULES = (
    Rule(
        name="protected zone",
        kind="zone-enter",
        severity=Severity.HIGH,
        options={"zone": "Reserva", "only_without_ais": True},
    ),
    Rule(name="no AIS", kind="dark-vessel", options={"ais_wait_s": 30.0}),
)


def harbour() -> list[Ship]:
    """A panga without AIS into the zone, a ferry with class A, a fishing boat with class B that comes late."""
    return [
        Ship(east=-310.0, north=1380.0, course=[(0.0, -1.0, -13.0)], ttm=7, pd=0.85),
        Ship(
            east=-1300.0, north=1960.0, course=[(0.0, 7.5, 5.0)], mmsi=224117250, ais_every_s=6.0, ais_from_s=4.0,
            ttm=8,
        ),
        Ship(
            east=-940.0, north=1130.0, course=[(0.0, -1.6, 0.7)], mmsi=224059380, ais_every_s=30.0, ais_from_s=9.0,
            kind="b", ttm=9,
        ),
    ]  # fmt: skip


def demo(seed: int, **more: object) -> tuple[Config, list[Event]]:
    world = World(ships=harbour(), seed=seed, clutter=2, arpa="arpa-1", camera="camera-1", **more)  # type: ignore[arg-type] # test's own keywords
    return config([ZONE], RULES), world.events(60.0)


@pytest.mark.parametrize("seed", range(12))
def test_the_panga_alerts_once_per_rule_and_nobody_else(seed: int) -> None:
    conf, events = demo(seed)
    raised = [a for a in alerts(run(Core(conf), events)) if a.state is AlertState.RAISED]
    assert sorted(a.rule for a in raised) == ["dark-vessel", "zone-enter"]
    assert len({a.situation for a in raised}) == 1
    assert len({a.id for a in raised}) == 2
    by_rule = {a.rule: a for a in raised}
    assert "Reserva" in " ".join(by_rule["zone-enter"].reasons)
    assert "no AIS" in " ".join(by_rule["dark-vessel"].reasons)
    panga = harbour()[0]
    for a in raised:
        e, n, _, _ = panga.at(a.at_s)
        assert math.hypot(a.track.east_m - e, a.track.north_m - n) < 100.0


@pytest.mark.parametrize("seed", range(4))
def test_one_vessel_is_one_track_whoever_sees_it(seed: int) -> None:
    conf, events = demo(seed)
    last = pictures(run(Core(conf), events))[-1]
    tracks = firm(last)
    for ship in harbour():
        e, n, _, _ = ship.at(60.0)
        near = [t for t in tracks if math.hypot(t.east_m - e, t.north_m - n) < 150.0]
        assert len(near) == 1, [(t.id, t.status, t.sources) for t in near]
    ferry = nearest(tracks, harbour()[1], 60.0)[1]
    assert ferry is not None
    assert ferry.mmsi == 224117250
    assert {"radar-1", "arpa-1", "ais-1"} <= set(ferry.sources)


def test_every_ais_vessel_is_shown_from_its_first_report() -> None:
    core = Core(config())
    for i in range(122):
        lat, lon = FRAME.to_geo(1000.0 * math.cos(i) * (1 + i / 20), 1000.0 * math.sin(i) * (1 + i / 20))
        core.step(
            Ais(at_s=1.0 + i / 1000, source="ais-1", mmsi=200_000_000 + i, kind="a", msg_type=1, lat=lat, lon=lon)
        )
    (picture,) = pictures(core.step(Tick(at_s=2.0)))
    assert {t.mmsi for t in picture.tracks} == {200_000_000 + i for i in range(122)}
    assert {t.status for t in picture.tracks} == {TrackStatus.AIS}


def test_crossing_vessels_keep_their_identities() -> None:
    ships = [
        Ship(east=-1500.0, north=3000.0, course=[(0.0, 10.0, 0.0)], pd=0.95),
        Ship(east=0.0, north=1600.0, course=[(0.0, 0.0, 9.0)], pd=0.95),
    ]
    shown = pictures(run(Core(config()), World(ships=ships, seed=3).events(300.0)))
    early, late = ([nearest(firm(shown[at]), s, float(at))[1] for s in ships] for at in (60, 290))
    assert [t.id for t in early if t] == [t.id for t in late if t]
    assert len({t.id for t in late if t}) == 2


def test_a_lost_and_found_vessel_does_not_raise_again() -> None:
    panga = Ship(east=-310.0, north=1380.0, course=[(0.0, 0.0, -13.0), (50.0, 0.0, -0.5)], hidden=((80.0, 130.0),))
    conf = config([ZONE], RULES[:1])
    raised = alerts(run(Core(conf), World(ships=[panga], seed=5, ais=False).events(300.0)))
    assert [a.state for a in raised].count(AlertState.RAISED) == 1


def test_flapping_across_the_border_raises_once() -> None:
    legs = [(float(t), 0.0, -4.0 if i % 2 == 0 else 4.0) for i, t in enumerate(range(0, 600, 40))]
    boat = Ship(east=-300.0, north=1030.0, course=legs)
    conf = config([ZONE], RULES[:1])
    raised = alerts(run(Core(conf), World(ships=[boat], seed=6, ais=False).events(600.0)))
    assert [a.state for a in raised].count(AlertState.RAISED) == 1


def test_silence_of_the_receiver_suspends_the_dark_rule() -> None:
    ships = [*harbour()[:2]]
    dark = Rule(name="no AIS", kind="dark-vessel", options={"ais_wait_s": 30.0, "ais_healthy_s": 20.0})
    conf = config([ZONE], [dark])
    world = World(ships=ships, seed=1, ais_silent=((5.0, 1e9),))
    effects = run(Core(conf), world.events(240.0))
    assert not [a for a in alerts(effects) if a.rule == "dark-vessel"]
    assert [h for h in health(effects) if h.suspended and "AIS" in h.sentence]


def test_the_empty_sea_with_clutter_confirms_next_to_nothing() -> None:
    effects = run(Core(config()), World(ships=[], seed=9, clutter=10, ais=False).events(1800.0))
    assert len({t.id for p in pictures(effects) for t in firm(p)}) <= 1


def rows(conf: Config, events: list[Event], cut: int | None = None) -> list[object]:
    core = Core(conf)
    out: list[object] = []
    for i, event in enumerate(events):
        if i == cut:
            core = Core.restore(conf, core.state())
        out += [pack(e) for e in core.step(event)]
    return out


@pytest.mark.parametrize("seed", range(6))
def test_a_restored_core_goes_on_as_if_nothing_had_been(seed: int) -> None:
    conf, events = demo(seed)
    cut = int(np.random.default_rng(seed).integers(1, len(events) - 1))
    assert rows(conf, events, cut) == rows(conf, events)


def test_the_same_history_gives_the_same_state_bytes() -> None:
    conf, events = demo(1)
    a, b = Core(conf), Core(conf)
    for event in events:
        a.step(event)
        b.step(event)
    assert a.state() == b.state()
    assert Core.restore(conf, a.state()).state() == a.state()


def test_a_damaged_checkpoint_is_refused() -> None:
    conf, events = demo(1)
    core = Core(conf)
    for event in events[:300]:
        core.step(event)
    state = bytearray(core.state())
    state[len(state) // 2] ^= 4
    with pytest.raises(InputError, match="checkpoint"):
        Core.restore(conf, bytes(state))


def test_a_checkpoint_of_another_place_is_refused() -> None:
    conf, events = demo(1)
    core = Core(conf)
    for event in events[:300]:
        core.step(event)
    moved = conf.model_copy(update={"site": conf.site.model_copy(update={"lat": conf.site.lat + 0.1})})
    with pytest.raises(InputError, match="another place"):
        Core.restore(moved, core.state())


def test_a_receiver_taken_out_of_the_configuration_is_forgotten() -> None:
    conf, events = demo(1)
    core = Core(conf)
    for event in events[:300]:
        core.step(event)
    assert core._picture.ais.receivers
    other = Sensor(name="another", driver="ais", url="udp://127.0.0.1:1")
    after = Core.restore(conf.model_copy(update={"sensor": (other,)}), core.state())
    assert after._picture.ais.receivers == {}
    assert Core.restore(conf, core.state())._picture.ais.receivers == core._picture.ais.receivers


def test_hash_seed_changes_nothing(tmp_path: Path) -> None:
    _, events = demo(2)
    from agent.record.log import encode_block  # noqa: PLC0415 - only this test writes a log

    log = tmp_path / "events.log"
    log.write_bytes(b"".join(encode_block([(e.at_s, e)]) for e in events))
    toml = tmp_path / "c.toml"
    zone = json.dumps([list(p) for p in ZONE.polygon])
    toml.write_text(
        f'[site]\nname="P"\nlat=43.36\nlon=-8.45\nheight_m=30\n[[zone]]\nname="Reserva"\npolygon={zone}\n'
        '[[rule]]\nname="protected zone"\nkind="zone-enter"\nzone="Reserva"\n'
        '[[rule]]\nname="no AIS"\nkind="dark-vessel"\nais_wait_s=30\n'
    )
    outputs = []
    for seed in ("1", "4242"):
        out = [tmp_path / f"{name}{seed}" for name in ("tracks", "alerts")]
        command = ["replay", "-c", str(toml), str(log), "--tracks", str(out[0]), "--alerts", str(out[1])]
        subprocess.run(
            [sys.executable, "-m", "agent.cli.main", *command], check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        outputs.append([p.read_bytes() for p in out])
    assert outputs[0] == outputs[1]
    assert outputs[0][0].count(b"\n") > 100
    assert outputs[0][1].count(b"\n") >= 2


def test_straight_courses_are_tracked_with_true_covariance() -> None:
    """Mean NEES of position and speed over steady tracks stays within broad bounds of its 4 degrees of freedom."""
    ships = [Ship(east=500.0 * i - 2000.0, north=3000.0, course=[(0.0, 3.0 + i, -2.0)]) for i in range(8)]
    values = []
    for seed in range(3):
        shown = pictures(run(Core(config()), World(ships=ships, seed=seed).events(200.0)))
        for p in shown[100:200:10]:
            for s in ships:
                e, n, ve, vn = s.at(p.at_s)
                _, t = nearest(firm(p), s, p.at_s)
                assert t is not None
                c = math.radians(t.cog_deg)
                d = np.array([
                    t.east_m - e, t.north_m - n, t.sog_mps * math.sin(c) - ve, t.sog_mps * math.cos(c) - vn,
                ])  # fmt: skip
                values.append(float(d @ np.linalg.solve(np.array(t.cov), d)))
    assert 1.0 < np.mean(values) < 5.5  # 4 if the process noise were the truth; straight courses lie below it


def test_a_vessel_that_comes_back_soon_has_its_old_name() -> None:
    boat = Ship(east=-1000.0, north=2500.0, course=[(0.0, 5.0, 0.0)], pd=1.0, hidden=((100.0, 150.0),))
    shown = pictures(run(Core(config()), World(ships=[boat], seed=4, ais=False).events(260.0)))
    before, after = (nearest(firm(shown[at]), boat, float(at))[1] for at in (95, 250))
    assert not firm(shown[148])  # it had ended meanwhile
    assert before is not None
    assert after is not None
    assert after.id == before.id
