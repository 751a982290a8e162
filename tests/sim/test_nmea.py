"""Sentences, read back by an outside parser (pynmea2)."""

from __future__ import annotations

from itertools import islice

import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest

from hardware_sim import navigation, nmea
from hardware_sim.faults import Faults
from hardware_sim.world import World


def parse(line: bytes) -> pynmea2.NMEASentence:
    assert line.endswith(b"\r\n")
    assert len(line) <= 82
    return pynmea2.parse(line.decode("ascii").strip(), check=True)


def test_a_known_checksum() -> None:
    # the sentence of every receiver's manual
    body = "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
    assert nmea.sentence(body) == b"$" + body.encode() + b"*47\r\n"


def test_ttm_fields() -> None:
    line = nmea.ttm(
        number=3, range_nm=1.234, bearing_deg=359.96, speed_kn=25.3, course_deg=-10.0, cpa_nm=0.2, tcpa_min=-3.4,
        status="T", unix_s=1_750_000_000.0,
    )  # fmt: skip
    got = parse(line)
    assert got.sentence_type == "TTM"
    assert (got.target_number, float(got.distance), float(got.bearing)) == (3, 1.23, 0.0)
    assert (float(got.speed), float(got.cog), got.status) == (25.3, 350.0, "T")
    fields = line.decode().split("*")[0].split(",")
    assert len(fields) == 16
    assert (fields[4], fields[7], fields[14], fields[15]) == ("T", "T", "150640.00", "A")


def test_navigation_once_a_second(harbour: World, start_unix_s: float) -> None:
    items = list(islice(navigation.sentences(harbour, start_unix_s, Faults(())), 12))
    assert [t for t, _ in items] == sorted(t for t, _ in items)
    rmc, gga, hdt, mwv = (parse(line) for _, line in items[4:8])
    assert rmc.latitude == pytest.approx(43.38, abs=5e-5)
    assert rmc.longitude == pytest.approx(-8.40, abs=5e-5)
    assert (rmc.status, rmc.datetime.timestamp()) == ("A", start_unix_s + 1)
    assert float(gga.altitude) == 20.0
    assert float(hdt.heading) == 330.0
    assert float(mwv.wind_angle) == pytest.approx(320.0, abs=7)
    assert (mwv.reference, mwv.wind_speed_units, mwv.status) == ("R", "M", "A")


def test_positions_never_show_sixty_minutes() -> None:
    assert nmea.position(43.9999999999, -8.9999999999) == "4400.0000,N,00900.0000,W"
    assert nmea.position(-0.5, 0.0) == "0030.0000,S,00000.0000,E"
