"""Sentences on a ship's network, against datagrams of real equipment; target sentences through pynmea2."""

from __future__ import annotations

import re

import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest

from hardware_sim import nmea
from hardware_sim.radar import lwe

GLL = b"$INGLL,5416.4774,N,01201.8283,E,084836.75,A,A*7F\r\n"


def test_the_datagram_of_a_real_ship() -> None:
    talker = lwe.Talker("IN0001")
    for _ in range(880):
        talker.datagram([GLL])
    real = b"UdPbC\0\\s:IN0001,n:881,c:1683881316755*4D\\" + GLL
    assert talker.datagram([GLL], unix_ms=1683881316755) == real


def test_tag_checksums_of_real_equipment() -> None:
    assert lwe.tag_block("d:HE0002") == b"\\d:HE0002*51\\"
    assert lwe.tag_block("s:HE0001") == b"\\s:HE0001*45\\"


def test_lines_are_numbered_and_groups_tied() -> None:
    talker = lwe.Talker()
    seen = []
    for _ in range(600):
        data = talker.datagram([GLL, GLL], grouped=True)
        seen += re.findall(rb"\\g:(\d)-(\d)-(\d+),s:RA0001,n:(\d+)\*", data)
    assert [int(n) for *_, n in seen] == [i % 999 + 1 for i in range(1200)]
    assert [(int(i), int(of)) for i, of, *_ in seen[:4]] == [(1, 2), (2, 2), (1, 2), (2, 2)]
    assert [int(code) for _, _, code, _ in seen[::2]] == [i % 99 + 1 for i in range(600)]


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer sentences"):
        lwe.Talker().datagram([GLL] * 25)
    with pytest.raises(ValueError, match="most is 80"):
        lwe.tag_block("x:" + "y" * 80)


@pytest.mark.parametrize(("lat", "lon"), [(43.3812345, -8.4012345), (-36.999999, 174.5), (0.0, -0.00001)])
def test_tll_is_read_by_pynmea2(lat: float, lon: float) -> None:
    line = nmea.tll(number=7, lat=lat, lon=lon, name="", status="T", unix_s=1_750_000_000.25)
    got = pynmea2.parse(line.decode("ascii").strip(), check=True)
    assert (got.sentence_type, got.target_number, got.target_status) == ("TLL", 7, "T")
    south, west = got.lat_dir == "S", got.lon_dir == "W"
    degrees = [int(x[:-7]) + float(x[-7:]) / 60.0 for x in (got.lat, got.lon)]
    assert (-degrees[0] if south else degrees[0]) == pytest.approx(lat, abs=1e-6)
    assert (-degrees[1] if west else degrees[1]) == pytest.approx(lon, abs=1e-6)
    assert line.endswith(b",150640.25,T,*" + line[-4:-2] + b"\r\n")
