"""Recorded cases of a driver: what goes in, what must come out.

tests/cases/<driver>/NAME.nmea       lines, one per second; fed as one stream of bytes
tests/cases/<driver>/NAME.hex        `ip:port hex` per line, one datagram per second
tests/cases/<driver>/NAME.golden.jsonl

Both begin with their provenance: `# provenance: ...` (and, if needed, `# options: {...}`), `{"provenance": "..."}`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.drivers.base import Decoder
from agent.drivers.radar.video import Spoke
from agent.drivers.table import driver_options, load_driver
from agent.messages import Stamp
from agent.packing import to_json

CASES = Path(__file__).resolve().parents[1] / "cases"
NOW = Stamp(t_s=1000.0, wall_s=1000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`units`: (stream, bytes), one per second; of a byte stream with line ends and the stream ""."""

    driver: str
    name: str
    provenance: str
    options: dict[str, Any]
    units: tuple[tuple[str, bytes], ...]
    golden_provenance: str
    golden: tuple[dict[str, Any], ...]

    def decoder(self) -> Decoder[Any]:
        return load_driver(self.driver)("sensor", driver_options(self.driver).model_validate(self.options))

    @property
    def data(self) -> bytes:
        return b"".join(unit for _, unit in self.units)


def cases(driver: str) -> list[Case]:
    """All cases of a driver, none if it has no folder."""
    found = [*(CASES / driver).glob("*.nmea"), *(CASES / driver).glob("*.hex")]
    return [_read(driver, path) for path in sorted(found)]


def _read(driver: str, path: Path) -> Case:
    head: dict[str, str] = {}
    units = []
    for line in path.read_bytes().split(b"\n"):
        if line.startswith(b"# "):
            key, _, value = line[2:].decode().partition(": ")
            head[key] = value
        elif line and path.suffix == ".hex":
            stream, _, text = line.decode().partition(" ")
            units.append((stream, bytes.fromhex(text)))
        elif line:
            units.append(("", line + b"\r\n"))
    first, *golden = (json.loads(x) for x in path.with_suffix(".golden.jsonl").read_text().splitlines())
    return Case(
        driver=driver,
        name=path.stem,
        provenance=head.get("provenance", ""),
        options=json.loads(head.get("options", "{}")),
        units=tuple(units),
        golden_provenance=first.get("provenance", ""),
        golden=tuple(golden),
    )


def plain(measurement: Any) -> dict[str, Any]:
    """A measurement as the golden files write it: without its source, samples as their count and CRC32."""
    if isinstance(measurement, Spoke):
        names = ("at_s", "stream", "angle_deg", "heading_deg", "range_m", "status", "scan_number", "valid")
        out = {n: getattr(measurement, n) for n in names if getattr(measurement, n) is not None}
        samples = measurement.samples
        return {"type": "spoke", **out, "samples": len(samples), "crc32": zlib.crc32(samples.tobytes())}
    out = to_json(measurement)
    out.pop("source")
    return {"type": type(measurement).__name__.lower(), **out}


def run(decoder: Decoder[Any], units: tuple[tuple[str, bytes], ...], *, paced: bool = False) -> list[dict[str, Any]]:
    """Measurements of `units`, stamped at their place in the order (`paced`) or all at one moment; then the rest."""
    out: list[dict[str, Any]] = []
    for n, (stream, data) in enumerate(units):
        at = Stamp(t_s=float(n), wall_s=float(n)) if paced else NOW
        out += map(plain, decoder.decode(data, at, stream))
    return [*out, *map(plain, decoder.flush(NOW))]
