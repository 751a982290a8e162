"""What is done with one mutated input of one driver, and what must then hold. Used by the fuzzer and by pytest.

An input is datagrams, each led by two octets: 15 bits of length and, in the highest, which of two addresses it comes
from; in the first datagram's address bit also whether the bytes come as a stream without addresses. What a fuzzer makes
of that always means something.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from agent.drivers.base import Decoder
from agent.drivers.radar.cat240 import MAX_CELLS
from agent.drivers.radar.video import Spoke
from agent.drivers.table import DRIVERS, driver_options, load_driver
from agent.messages import Stamp
from agent.packing import to_json

ADDRESSES = ("239.0.0.1:1", "239.0.0.1:2")
# everything that a default leaves closed is opened
OPTIONS: dict[str, dict[str, Any]] = {
    "asterix": {"aircraft": True, "simulated": True, "reference_is_site": True, "time": "message"},
    "cat240": {"time": "message"},
    "furuno": {"unverified": True},
    "raymarine": {"unverified": True, "doppler": True},
    "nmea": {"experimental_ttd": True, "require_checksum": False},
    "nmea-radar": {"experimental_ttd": True, "require_checksum": False},
    "ais": {"require_checksum": False},
    "nav": {"require_checksum": False},
}
NAMES = tuple(name for name, spec in DRIVERS.items() if spec.decoder is not None)
MOST_PER_OCTET = 64  # measurements: a bound on what little input may set off


@cache
def _made(name: str) -> tuple[type[Decoder[Any]], Any]:
    return load_driver(name), driver_options(name).model_validate(OPTIONS.get(name, {}))


def decoder_of(name: str) -> Decoder[Any]:
    """A new decoder of the driver."""
    make, options = _made(name)
    return make("fuzz", options)


def datagrams(data: bytes) -> list[tuple[str, bytes]]:
    """(address, octets) of a fuzzer's input."""
    out, at = [], 0
    while at + 2 <= len(data):
        head = data[at] << 8 | data[at + 1]
        size = head & 0x7FFF
        out.append((ADDRESSES[head >> 15], data[at + 2 : at + 2 + size]))
        at += 2 + size
    return [("", d) for _, d in out] if out and out[0][0] == ADDRESSES[1] else out


def packed(parts: list[bytes]) -> bytes:
    """The input that stands for these datagrams."""
    return b"".join(min(len(p), 0x7FFF).to_bytes(2, "big") + p[:0x7FFF] for p in parts)


def judge(name: str, data: bytes) -> None:
    """Decode, and check what every driver promises.

    Raises:
        AssertionError: a promise was broken.

    """
    decoder = decoder_of(name)
    found = 0
    for n, (stream, unit) in enumerate(datagrams(data)):
        for m in decoder.decode(unit, Stamp(t_s=float(n), wall_s=1e9 + n), stream):
            found += 1
            _sane(m)
    for m in decoder.flush(Stamp(t_s=1e3, wall_s=1e9)):
        found += 1
        _sane(m)
    assert found <= MOST_PER_OCTET * len(data)
    assert bool(decoder.counters["errors"]) == bool(decoder.last_error)
    assert all(v >= 0 for v in decoder.counters.values()), decoder.counters


def _sane(m: Any) -> None:
    if isinstance(m, Spoke):
        assert 0.0 <= m.angle_deg < 360.0
        assert m.heading_deg is None or 0.0 <= m.heading_deg < 360.0
        assert 0.0 <= m.range_m < 1e12
        assert len(m.samples) <= MAX_CELLS
        assert not m.samples.flags.writeable
    else:
        to_json(m)


def seeds(name: str, cases: Path) -> list[bytes]:
    """The driver's recorded cases as inputs: each whole, and each of its datagrams or lines alone."""
    out = []
    for path in sorted((cases / name).glob("*.hex")) + sorted((cases / name).glob("*.nmea")):
        lines = [line for line in path.read_bytes().split(b"\n") if line and not line.startswith(b"# ")]
        parts = [bytes.fromhex(x.split(b" ")[1].decode()) if path.suffix == ".hex" else x + b"\r\n" for x in lines]
        out += [packed(parts), *(packed([p]) for p in parts)]
    return out
