"""A radar's bias from AIS ships: found with true standard errors, refused where it cannot be known, applied gently."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from agent.cli.main import main
from agent.config.schema import Config, Site
from agent.core import Core
from agent.fusion.registration import WINDOW_DEG, WINDOW_M, Candidate, estimate, leave_one_out
from agent.geo import LocalFrame
from agent.messages import Ais, Event, Plot, Scan, Tick

BIAS_M, BIAS_DEG = -130.0, 0.9
CAPTURE = "navico_halo24_nmea_ais_waddenzee.pcap.gz"


def seen(
    rng: np.random.Generator, ships: int = 14, *, sector: tuple[float, float] = (0.0, 360.0), chance: int = 1,
    found: float = 0.8,
) -> list[Candidate]:  # fmt: skip
    """Ships with their own echo, a ship's length off, and echoes that are chance."""
    out = []
    for ship in range(ships):
        r, b = rng.uniform(1500.0, 12_000.0), rng.uniform(*sector)
        if rng.random() < found:
            out.append(
                Candidate(
                    ship=ship, range_m=r, bearing_deg=b, off_m=BIAS_M + rng.normal(0.0, 35.0),
                    off_deg=BIAS_DEG + rng.normal(0.0, math.hypot(0.3, math.degrees(25.0 / r))),
                )
            )  # fmt: skip
        out += [
            Candidate(
                ship=ship, range_m=r, bearing_deg=b, off_m=rng.uniform(-WINDOW_M, WINDOW_M),
                off_deg=rng.uniform(-WINDOW_DEG, WINDOW_DEG),
            )
            for _ in range(rng.poisson(chance))
        ]  # fmt: skip
    return out


def test_the_bias_is_found_with_true_standard_errors() -> None:
    z = []
    for seed in range(60):
        bias = estimate(seen(np.random.default_rng(seed)))
        assert bias.ships >= 5
        z.append([(bias.range_m - BIAS_M) / bias.sigma_range_m, (bias.bearing_deg - BIAS_DEG) / bias.sigma_bearing_deg])
    rms = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all(rms < 1.6), rms
    assert np.all(rms > 0.6), rms
    assert np.all(np.abs(np.mean(z, axis=0)) < 0.5)


def test_what_is_left_of_each_ship_is_its_own() -> None:
    left = leave_one_out(seen(np.random.default_rng(5), ships=20))
    assert len(left) >= 12
    assert np.median([abs(r.off_m) for r in left]) < 50.0
    assert np.median([abs(r.off_deg) for r in left]) < 0.45


@pytest.mark.parametrize("seed", range(8))
def test_thin_geometry_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = estimate(seen(rng, ships=4))
    assert not few.trusted
    assert "needed" in few.sentence
    narrow = estimate(seen(rng, ships=20, sector=(80.0, 110.0)))
    assert not narrow.trusted
    assert "degrees" in narrow.sentence


def test_chance_is_seldom_taken_for_agreement() -> None:
    trusted = [estimate(seen(np.random.default_rng(seed), ships=25, chance=1, found=0.0)).trusted for seed in range(60)]
    assert sum(trusted) <= 1


class Traffic:
    """Ships on straight courses around a biased radar; half of them have AIS."""

    site = Site(name="Punta", lat=43.36, lon=-8.45, height_m=0.0)

    def __init__(self, seed: int, ships: int, bias: tuple[float, float] = (BIAS_M, BIAS_DEG), other: str = "") -> None:
        self.bias, self.other = bias, other  # the other one is a second radar over the same water, which is right
        self.rng = np.random.default_rng(seed)
        self.frame = LocalFrame(lat=self.site.lat, lon=self.site.lon)
        r, b = self.rng.uniform(2000.0, 9000.0, ships), self.rng.uniform(0.0, 6.28, ships)
        v, c = self.rng.uniform(2.0, 7.0, ships), self.rng.uniform(0.0, 6.28, ships)
        self.start = np.stack([r * np.sin(b), r * np.cos(b)], axis=1)
        self.speed = np.stack([v * np.sin(c), v * np.cos(c)], axis=1)
        self.mount = self.rng.normal(0.0, 15.0, (ships, 2))  # AIS antenna against the echo's middle

    def events(self, from_s: float, to_s: float) -> list[Event]:
        out: list[Event] = []
        for k in range(round((to_s - from_s) / 2.5)):
            t = from_s + 2.5 * k
            # a ship that has sailed 1,200 s begins its way anew, as another one
            leg, into = divmod(t, 1200.0)
            place = self.start + self.speed * into
            if k % 4 == 0:
                out += [self._ais(i, int(leg), t, place[i] + self.mount[i]) for i in range(0, len(place), 2)]
            out.append(Scan(at_s=t + 0.01, source="radar", plots=tuple(self._plot(t, p) for p in place), period_s=2.5))
            if self.other:
                right = tuple(self._plot(t, p, self.other) for p in place)
                out.append(Scan(at_s=t + 0.015, source=self.other, plots=right, period_s=2.5))
            out.append(Tick(at_s=t + 0.02))
        return out

    def _ais(self, i: int, leg: int, t: float, place: np.ndarray) -> Ais:
        lat, lon = self.frame.to_geo(*(place + self.rng.normal(0.0, 5.0, 2)).tolist())
        ve, vn = self.speed[i].tolist()
        return Ais(
            at_s=t, source="ais", mmsi=224_000_000 + 100 * leg + i, kind="a", msg_type=1, lat=lat, lon=lon,
            sog_mps=math.hypot(ve, vn), cog_deg=math.degrees(math.atan2(ve, vn)) % 360.0,
        )  # fmt: skip

    def _plot(self, t: float, place: np.ndarray, source: str = "radar") -> Plot:
        off_m, off_deg = self.bias if source == "radar" else (0.0, 0.0)
        return Plot(
            at_s=t + 0.01, source=source, range_m=math.hypot(*place) + off_m + self.rng.normal(0.0, 15.0),
            bearing_deg=(math.degrees(math.atan2(*place)) + off_deg + self.rng.normal(0.0, 0.2)) % 360.0,
            sigma_range_m=15.0, sigma_bearing_deg=0.2,
        )  # fmt: skip


def test_the_core_takes_the_bias_off_when_it_knows_it_and_says_so() -> None:
    traffic = Traffic(3, 40)
    core = Core(Config(site=Traffic.site))
    for event in traffic.events(0.0, 900.0):
        core.step(event)
    bias, off_m, off_deg = core.registrations["radar"]
    assert bias.trusted, bias
    assert abs(off_m - BIAS_M) < 20.0
    assert abs(off_deg - BIAS_DEG) < 0.1
    again = Core.restore(Config(site=Traffic.site), core.state())
    assert again.state() == core.state()
    assert again.registrations == core.registrations


def test_each_of_two_radars_that_see_the_same_ships_learns_its_own_bias() -> None:
    traffic = Traffic(5, 30, bias=(30.0, 0.3), other="other")
    core = Core(Config(site=Traffic.site))
    for event in traffic.events(0.0, 400.0):
        core.step(event)
    alone = [t for t in core._picture.tracker.contacts(400.0).sources if len(t) == 1]
    assert not alone  # so that neither could learn from what the other does not see
    for source, (off_m, off_deg) in {"radar": (30.0, 0.3), "other": (0.0, 0.0)}.items():
        bias, taken_m, taken_deg = core.registrations[source]
        assert bias.trusted, bias
        assert abs(taken_m - off_m) < 12.0
        assert abs(taken_deg - off_deg) < 0.1


def test_a_radar_with_too_few_ships_is_left_as_it_is() -> None:
    core = Core(Config(site=Traffic.site))
    for event in Traffic(4, 8).events(0.0, 300.0):
        core.step(event)
    bias, off_m, off_deg = core.registrations["radar"]
    assert not bias.trusted
    assert (off_m, off_deg) == (0.0, 0.0)


def test_an_offset_is_taken_off_the_plots() -> None:
    straight, biased = (Core(Config(site=Traffic.site)) for _ in range(2))
    for k in range(8):
        plot = Plot(
            at_s=2.5 * k, source="radar", range_m=5000.0, bearing_deg=40.0, sigma_range_m=15.0, sigma_bearing_deg=0.2
        )
        straight._picture.tracker.scan(Scan(at_s=2.5 * k, source="radar", plots=(plot,), period_s=2.5))
        off = dataclasses.replace(plot, range_m=5000.0 + BIAS_M, bearing_deg=40.0 + BIAS_DEG)
        biased._picture.tracker.scan(Scan(at_s=2.5 * k, source="radar", plots=(off,), period_s=2.5), BIAS_M, BIAS_DEG)
    a, b = (c._picture.tracker.table.x[0] for c in (straight, biased))
    assert b == pytest.approx(a, abs=1e-6)


@pytest.mark.field
def test_the_recorded_radar_is_registered(field_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(field_data / "radar" / CAPTURE)
    assert main(["decode", "navico", path, "--register"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trusted"]
    assert found["left_one_out"]["ships"] >= 15
    assert found["left_one_out"]["median_range_m"] <= 70.0
    assert found["left_one_out"]["median_bearing_deg"] <= 0.45
    assert found["sigma_range_m"] < 30.0
    assert found["sigma_bearing_deg"] < 0.2
    configured = [f"{k}={v}" for k, v in found["to_configure"].items()]
    assert main(["decode", "navico", path, "--register", "--option", configured[0], "--option", configured[1]]) == 0
    rest = json.loads(capsys.readouterr().out)
    assert abs(rest["range_m"]) < 2.0 * rest["sigma_range_m"]
    assert abs(rest["bearing_deg"]) < 2.0 * rest["sigma_bearing_deg"]


@pytest.mark.field
@pytest.mark.parametrize("turned", [25, 70, 130, 200, 310])
def test_a_radar_turned_away_is_refused(turned: int, field_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(field_data / "radar" / CAPTURE)
    assert (
        main(["decode", "navico", path, "--register", "--option", f"bearing_bias_deg={(turned + 180) % 360 - 180}"])
        == 0
    )
    assert not json.loads(capsys.readouterr().out)["trusted"]
