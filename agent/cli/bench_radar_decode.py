"""Decoding speed: CAT240 messages to samples beside asterix-decoder, TTM sentences beside pynmea2, in the same run.

Promises:
- both sides get the same messages, one call a message, in turns; a figure is the best of the turns, in CPU time of one
  thread, so that other programs on the machine do not decide it;
- asterix-decoder runs in its own environment (`make peers`); where a peer is not installed, its figures are None;
- the messages are made here: a radar's turn of 2,048 radials of 1,024 cells (noise, and echoes in runs), and with
  VIGIA_FIELD_DATA set also a real turn in each coding that stands there.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.drivers.nmea import checksum
from agent.drivers.nmea_radar import NmeaRadarDecoder, NmeaRadarOptions
from agent.drivers.radar.asterix import split_blocks
from agent.drivers.radar.cat240 import Cat240Decoder
from agent.errors import InternalError
from agent.messages import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RADIALS, CELLS, SENTENCES, TURNS = 2048, 1024, 5000, 5
SENTENCE_TURNS = 25  # they are short: more of them find a quiet moment of the machine
VIDEO_AT = 32  # octets before the cells
PIECE = 1024  # bytes of a serial line at a time
PEER = Path(".venv-peers/asterix-decoder/bin/python")
RECORDINGS = ("res8_femto", "res4_femto", "res8_femto_zlib", "res8_nano")
AT = Stamp(t_s=1.0, wall_s=1.0)
_END = ",0.5,-3.2,N,,T,,120000.00,A"
TTM_FORMS = {  # from the bearing on: as most send them; relative to the bow; named; as radar_pi; with headings
    "": "{:.1f},T,{:.1f},{:.1f},T" + _END,
    "_relative": "{:.1f},R,{:.1f},{:.1f},R" + _END,
    "_named": "{:.1f},T,{:.1f},{:.1f},T,0.5,-3.2,N,TGT{},T,,120000.00,A",
    "_radar_pi": "{:.6f},,{:.2f},{:.1f},T, , ,N,ARPA {},T, ",
    "_mixed": "{:.1f},T,{:.1f},{:.1f},T" + _END,
}
_PEER_CODE = """
import json, sys, time
import asterix
data = open(sys.argv[1], "rb").read()
messages, at = [], 0
while at < len(data):
    size = int.from_bytes(data[at + 1 : at + 3], "big")
    messages.append(data[at : at + size])
    at += size
began = time.process_time()
for m in messages:
    asterix.parse(m, verbose=False)
print(json.dumps(time.process_time() - began))
"""


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """Messages and sentences a second, and the ratios to the peers."""
    rng = np.random.default_rng(seed)
    out: dict[str, Any] = {}
    for name, messages in {"made": made(rng, packed=False), "made_zlib": made(rng, packed=True), **recorded()}.items():
        ours_s, peer_s = beside(messages)
        out[f"cat240_{name}_per_s"] = round(len(messages) / ours_s)
        out[f"cat240_{name}_peer_per_s"] = None if peer_s is None else round(len(messages) / peer_s)
        out[f"cat240_{name}_ratio"] = None if peer_s is None else round(peer_s / ours_s, 1)
        if name.endswith("zlib") and peer_s is not None:  # what is left to win where the peer does not inflate
            out[f"cat240_{name}_inflating_alone_ratio"] = round(peer_s / min_of(lambda: inflate(messages)), 1)  # noqa: B023 - called at once
    for name in TTM_FORMS:
        ours_s, peer_s = ttm_beside(rng, name)
        out[f"ttm{name}_per_s"] = round(SENTENCES / ours_s)
        out[f"ttm{name}_peer_per_s"] = None if peer_s is None else round(SENTENCES / peer_s)
        out[f"ttm{name}_ratio"] = None if peer_s is None else round(peer_s / ours_s, 1)
    return out


def made(rng: np.random.Generator, *, packed: bool) -> list[bytes]:
    """One turn of CAT240 messages, packed from the standard's table."""
    out = []
    for n in range(RADIALS):
        cells = np.where(rng.random(CELLS) < 0.05, rng.integers(0, 256, CELLS), 0).astype(np.uint8)
        cells[200:240] = 200
        octets = zlib.compress(cells.tobytes()) if packed else cells.tobytes()
        groups = -(-len(octets) // 64)
        body = b"\xe7\xa8\x19\x0a\x02" + struct.pack(
            ">IHHIIBBHBHB",
            n,
            n * 32,
            n * 32 + 32 & 0xFFFF,
            0,
            165_902_533,
            0x80 * packed,
            4,
            len(octets),
            0,
            CELLS,
            groups,
        )
        body += octets.ljust(groups * 64, b"\0") + b"\x00\x01\x00"
        out.append(struct.pack(">BH", 240, 3 + len(body)) + body)
    return out


def recorded() -> dict[str, list[bytes]]:
    """The real turns that stand in VIGIA_FIELD_DATA."""
    folder = Path(os.environ.get("VIGIA_FIELD_DATA", "")) / "radar"
    paths = {name: folder / f"cat240_from_halo_{name}.ast.gz" for name in RECORDINGS}
    return {name: split_blocks(gzip.decompress(path.read_bytes())) for name, path in paths.items() if path.is_file()}


def beside(messages: Sequence[bytes]) -> tuple[float, float | None]:
    """(our seconds, the peer's), in turns."""
    if not PEER.exists():
        return min_of(lambda: decode_cat240(messages)), None
    with tempfile.NamedTemporaryFile(suffix=".ast") as file:
        file.write(b"".join(messages))
        file.flush()
        command = [str(PEER), "-c", _PEER_CODE, file.name]
        ours, theirs = [], []
        for _ in range(TURNS):
            ours.append(decode_cat240(messages))
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
            theirs.append(float(json.loads(done.stdout)))
    return min(ours), min(theirs)


def decode_cat240(messages: Sequence[bytes]) -> float:
    """CPU seconds to decode them to spokes of samples."""
    decoder, count = Cat240Decoder("bench"), 0
    began = time.process_time()
    for m in messages:
        for _ in decoder.decode(m, AT, "10.0.0.1:1"):
            count += 1
    took_s = time.process_time() - began
    if count != len(messages):
        raise InternalError(f"{count} spokes of {len(messages)} messages")
    return took_s


def inflate(messages: Sequence[bytes]) -> float:
    """CPU seconds of zlib alone for the octets of messages as `made` packs them."""
    began = time.process_time()
    for m in messages:
        zlib.decompressobj().decompress(m[VIDEO_AT:], CELLS)
    return time.process_time() - began


def ttm(rng: np.random.Generator, form: str) -> list[bytes]:
    """TTM sentences of that form; with `mixed` a heading stands before each fifth."""
    out = []
    for n in range(SENTENCES):
        distance, bearing, speed, course = rng.random(4) * (12.0, 360.0, 40.0, 360.0)
        body = f"RATTM,{n % 100:02},{distance:.3f}," + TTM_FORMS[form].format(bearing, speed, course, n % 100)
        if form == "_mixed" and n % 5 == 0:
            body = f"HEHDT,{bearing:.1f},T"
        out.append(f"${body}*{checksum(body.encode()):02X}\r\n".encode())
    return out


def decode_lines(decoder: NmeaRadarDecoder, lines: Sequence[bytes]) -> float:
    """CPU seconds to decode them to track reports, in the pieces that a serial line gives."""
    count, data = 0, b"".join(lines)
    began = time.process_time()
    for at in range(0, len(data), PIECE):
        for _ in decoder.decode(data[at : at + PIECE], AT):
            count += 1
    took_s = time.process_time() - began
    if count != sum(b"TTM," in line for line in lines):
        raise InternalError(f"{count} reports of {len(lines)} sentences")
    return took_s


def ttm_beside(rng: np.random.Generator, form: str) -> tuple[float, float | None]:
    """(our seconds, pynmea2's) for the same sentences, in turns, new ones each turn; None where it is not installed.

    The decoder goes on from turn to turn, as a box's does for days: it knows a radar's tenths of a degree by then.
    """
    try:
        import pynmea2  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - a peer, which a box does not have
    except ImportError:
        peer = False
    else:
        peer = True
    decoder, ours, theirs = NmeaRadarDecoder("bench", NmeaRadarOptions(heading_deg=0.0)), [], []
    for _ in range(SENTENCE_TURNS):
        lines = ttm(rng, form)
        ours.append(decode_lines(decoder, lines))
        if peer:
            theirs.append(pynmea2_s(lines))
    return min(ours), min(theirs) if peer else None


def pynmea2_s(lines: Sequence[bytes]) -> float:
    """CPU seconds of pynmea2, numbers included."""
    import pynmea2  # noqa: PLC0415 - as above

    began = time.process_time()
    for line in lines:
        m = pynmea2.parse(line.decode("ascii").strip(), check=True)
        if m.sentence_type != "TTM":
            continue
        # pynmea2 converts a field when it is asked for: those that we check and use
        _ = m.target_number, m.distance, m.bearing, m.speed, m.cog, m.dist_cpa, m.time_cpa, m.timestamp
    return time.process_time() - began


def min_of(once: Callable[[], float]) -> float:
    """The best of several turns."""
    return min(once() for _ in range(TURNS))
