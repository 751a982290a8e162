"""What a receiver hears, from its sentences to `gnss-watch`: a loss at once, a slow one, the ordinary rise and set."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.config.load import parse_config
from agent.drivers.nav import NavDecoder
from agent.messages import SensorHealth, SensorState, Stamp
from agent.runtime.gnss import ENOUGH, FIXES, GnssWatch

SITE = parse_config('[site]\nname = "C"\nlat = 43.38\nlon = -8.4\nheight_m = 20\n').config.site
Sky = Callable[[int], list[int]]  # seconds -> C/N0 of the satellites that are received, in dB-Hz


def line(text: str) -> bytes:
    total = 0
    for c in text.encode():
        total ^= c
    return f"${text}*{total:02X}\r\n".encode()


def second(t: int, signals: list[int]) -> bytes:
    """GGA, and the GSV of GPS and Galileo, as a receiver sends them each second."""
    used = sum(s >= 25 for s in signals)
    clock = f"{t // 3600 % 24:02d}{t // 60 % 60:02d}{t % 60:02d}.00"
    place = "4322.8000,N,00824.0000,W,1" if used >= 4 else ",,,,0"
    out = line(f"GNGGA,{clock},{place},{used:02d},0.9,20.0,M,52.0,M,,")
    for talker, heard in (("GP", signals[::2]), ("GA", signals[1::2])):
        groups = [heard[i : i + 4] for i in range(0, len(heard), 4)] or [[]]
        for n, group in enumerate(groups, 1):
            rows = "".join(f",{10 + k:02d},45,{k * 40:03d},{s:02d}" for k, s in enumerate(group))
            out += line(f"{talker}GSV,{len(groups)},{n},{len(heard):02d}{rows},1")
    return out


def watch(sky: Sky, seconds: int) -> list[SensorHealth]:
    decoder, gnss = NavDecoder("gnss-1"), GnssWatch(SITE)
    out = []
    for t in range(seconds):
        now = Stamp(t_s=float(t), wall_s=float(t))
        for message in decoder.decode(second(t, sky(t)), now):
            gnss.take(message, now)
        report = gnss.report(now)
        assert report is not None
        out.append(report)
    assert decoder.counters["errors"] == 0
    return out


def first(reports: list[SensorHealth], after: int = 0) -> tuple[int, str]:
    """When it was first degraded, and what it said."""
    return next((t, r.sentence) for t, r in enumerate(reports) if t >= after and r.state is SensorState.DEGRADED)


CLEAR = [46, 45, 44, 43, 42, 41, 40, 39, 38, 36, 34, 32]


def test_a_jammer_takes_all_at_once_and_is_told_in_seconds_and_over_when_it_ends() -> None:
    reports = watch(lambda t: [s - 16 for s in CLEAR] if 300 <= t < 400 else CLEAR, 500)
    t, sentence = first(reports)
    assert 300 < t <= 300 + 2 * FIXES
    later = reports[350].sentence
    for what in ("6 satellites instead of 12", "28 dB-Hz instead of 44", "jamming"):
        assert what in later, later
    assert int(re.findall(r"within (\d+) s", sentence)[0]) <= FIXES
    assert reports[400 + 2 * FIXES].state is SensorState.OK
    assert dict(reports[-1].counters)["satellites"] == 12
    assert dict(reports[-1].counters)["signal_dbhz"] == 44.5


def test_when_nothing_is_heard_any_more_the_number_alone_tells() -> None:
    t, sentence = first(watch(lambda t: CLEAR if t < 300 else [], 400))
    assert t <= 300 + 2 * FIXES
    assert "0 satellites instead of 12" in sentence
    assert "jamming" in sentence


def test_water_in_a_connector_is_no_jammer() -> None:
    reports = watch(lambda t: [s - max(0, t - 600) // 60 for s in CLEAR], 1500)
    _, sentence = first(reports)
    assert "slowly" in sentence
    assert "jamming" not in sentence
    assert int(re.findall(r"within (\d+) s", sentence)[0]) > 60


def test_satellites_that_rise_and_set_and_two_bad_seconds_are_no_sign() -> None:
    def sky(t: int) -> list[int]:
        if t % 700 > 697:
            return CLEAR[:3]
        weaker = 2 if t // 97 % 4 == 3 else 0
        return [s - weaker for s in CLEAR[: 9 + t // 200 % 4]]

    assert {r.state for r in watch(sky, 4000)} == {SensorState.OK}


def test_a_receiver_that_starts_poorly_is_not_blamed_and_one_without_satellites_never() -> None:
    assert {r.state for r in watch(lambda t: CLEAR if t > ENOUGH // 2 else CLEAR[:5], 400)} == {SensorState.OK}
    gnss, now = GnssWatch(SITE), Stamp(t_s=0.0, wall_s=0.0)
    for m in NavDecoder("g").decode(line("GPGLL,4322.8000,N,00824.0000,W,000000.00,A,D"), now):
        gnss.take(m, now)
    report = gnss.report(now)
    assert report is not None
    assert [k for k, _ in report.counters] == ["away_m"]
