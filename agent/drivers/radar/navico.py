"""Navico broadcast and pulse-compression radars (BR24, 3G, 4G, HALO; sold as Simrad, B&G, Lowrance): radar video.

Promises:
- the decoder only listens; what a radar may be told is in `control.py`, and nothing is said by default;
- every well-formed spoke is yielded, whatever its status says (`Spoke.valid` tells); a hostile length costs one
  `errors` and the spokes that are whole;
- a radar with two ranges sends two streams, and these become two sources;
- lost spokes are counted by the scan number (`spokes_lost`), not guessed from time.

Protocol: reverse-engineered by OpenCPN's radar_pi and mayara, checked byte by byte against captures of a HALO24. All
numbers are little endian. A datagram is an 8-byte frame header (`01 00 00 00 00`, spokes, u16 512) and 1..32 spokes of
24 + 512 bytes; 512 bytes are 1,024 samples of 4 bits, low nibble nearer. With Doppler on (report 08) strength ends at
13, 14 is receding and 15 approaching: `Spoke.doppler`.

Spoke header:  0 u8 0x18 | 1 u8 status | 2 u16 scan number | 4 u16 mark | 6 u16 large range | 8 u16 angle (4096/turn)
| 10 u16 heading | 12 u16 small range | 14 u16 rotation | 16 8 bytes. BR24: mark 4 bytes, 12 u32 range.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field

from agent.drivers.radar.control import NAVICO, ControlOptions, Language
from agent.drivers.radar.framed import VideoDecoder
from agent.drivers.radar.video import Spoke
from agent.errors import ProtocolError
from agent.geo import wrap360

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from agent.messages import Stamp

FRAME_HEADER, SPOKE_HEADER, SPOKE_DATA = 8, 24, 512
SPOKE = SPOKE_HEADER + SPOKE_DATA
MAX_SPOKES = 32
SAMPLES = 2 * SPOKE_DATA
TURN = 4096  # angle units per turn; the scan number has the same period
_FRAME_START = b"\x01\x00\x00\x00\x00"
_BR24_MARK = (0x4400, 0x0E0D)  # as u16 at 4 and 6
_BR24_RANGE_M = 10.0 / math.sqrt(2.0)
_VALID_STATUS = (0x02, 0x12)
_MODELS = {0x00: "halo", 0x01: "4g", 0x08: "3g", 0x0E: "br24", 0x0F: "br24"}  # report 03, byte 2
_BEACON_ADDRESSES = (
    (88, "data", "a"), (98, "send", "a"), (108, "report", "a"), (124, "data", "b"), (134, "send", "b"),
    (144, "report", "b"),
)  # fmt: skip
_BR24_BEACON = range(88, 94)  # octets of the older beacon, which stops before those
_BR24_ADDRESSES = ((62, "report", "a"), (72, "send", "a"), (82, "data", "a"))
_MAX_ADDRESSES = 64  # more than sixteen radars: a mixed-up network
# report 08, octet 18: which levels are not strength
_DOPPLER: dict[int, tuple[int | None, int]] = {1: (14, 15), 2: (None, 15)}

_HEADER = np.dtype(
    [
        ("length", "u1"), ("status", "u1"), ("scan", "<u2"), ("mark", "<u2"), ("large", "<u2"), ("angle", "<u2"),
        ("heading", "<u2"), ("small", "<u2"), ("rotation", "<u2"), ("tail", "V8"), ("data", "u1", (SPOKE_DATA,)),
    ]
)  # fmt: skip


class NavicoOptions(ControlOptions):
    """Options of a Navico radar: those of all radar video, what it may be told, and the model."""

    model: Literal["auto", "br24", "3g", "4g", "halo"] = Field(
        default="auto", description="auto: what the radar reports, else what the spoke header looks like"
    )

    @property
    def language(self) -> Language:
        """How this make is spoken to."""
        return NAVICO


class NavicoDecoder(VideoDecoder):
    """Spokes of one radar, or of several that share a capture. Further counters: spokes_invalid, beacons, reports.

    `gauges` holds what the radar reports of itself: `state` (0 off, 1 standby, 2 transmit, 5 warming), `range_m`
    (selected, not that of the video), `hours`, `alignment_deg`, `doppler` (0 off, 1 both ways, 2 approaching only) and
    the speed from which it colours, `doppler_from_mps`; range B's start with `b_`.
    """

    Options = NavicoOptions
    options: NavicoOptions

    def __init__(self, source: str, options: NavicoOptions | None = None) -> None:
        super().__init__(source, options)
        self.addresses: dict[str, str] = {}  # data or report stream -> "a" or "b", from the beacons
        self.serials: dict[str, str] = {}  # the same streams -> serial number of the radar
        self._models: dict[str, str] = {}  # by serial number; "" is a radar whose beacon was not heard
        self._doppler: dict[tuple[str, str], tuple[int | None, int] | None] = {}  # by serial number and range

    starts = re.compile(_FRAME_START)
    start_octets = len(_FRAME_START)

    def _frame_size(self, data: bytes, at: int) -> int | None:
        """Spoke frames only: beacons and reports do not state their length."""
        head = data[at : at + FRAME_HEADER]
        if not _FRAME_START.startswith(head[: len(_FRAME_START)]) or (len(head) > 5 and head[5] == 0):
            return 0
        return FRAME_HEADER + min(head[5], MAX_SPOKES) * SPOKE if len(head) == FRAME_HEADER else None

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterable[Spoke]:
        if unit.startswith(_FRAME_START):
            return self._spokes(unit, at, stream)
        if unit[:2] == b"\x01\xb2":
            self._beacon(unit)
        elif len(unit) >= 2 and unit[1] in (0xC4, 0xC6):
            self._report(unit, stream)
        else:
            self.counters["ignored"] += 1  # other instruments and other listeners' requests share the groups
        return ()

    # ------------------------------------------------------------ spokes

    def _spokes(self, unit: bytes, at: Stamp, stream: str) -> Iterator[Spoke]:
        whole, rest = divmod(len(unit) - FRAME_HEADER, SPOKE)
        stated = unit[5] if len(unit) > 5 else 0
        if len(unit) >= FRAME_HEADER and int.from_bytes(unit[6:8], "little") != SPOKE_DATA:
            raise ProtocolError("a spoke datagram states another size than 512 bytes: no radar that is known here")
        count = min(max(whole, 0), stated, MAX_SPOKES)
        if count:
            table = np.frombuffer(unit, _HEADER, count, FRAME_HEADER)
            yield from self._rows(table, at, stream)
        if rest or count != stated or count != whole or not count:
            raise ProtocolError(f"a spoke datagram of {len(unit)} bytes states {stated} spokes of {SPOKE} bytes")

    def _rows(self, table: NDArray[np.void], at: Stamp, stream: str) -> Iterator[Spoke]:
        samples = unpack_nibbles(table["data"])
        o = self.options
        serial, range_name = self.serials.get(stream, ""), self.addresses.get(stream, "a")
        known = self._models.get(serial, "") if o.model == "auto" else o.model
        doppler = self._doppler.get((serial, range_name))
        antenna = self._antenna(stream, None, suffix="b" if range_name == "b" else "")
        for i, (length, status, scan, mark, large, angle, heading, small) in enumerate(
            table[["length", "status", "scan", "mark", "large", "angle", "heading", "small"]].tolist()
        ):
            if length != SPOKE_HEADER or angle >= TURN:
                self.counters["errors"] += 1
                self.last_error = f"a spoke header states {length} bytes and angle {angle}"
                continue
            angle_deg = angle * (360.0 / TURN)
            antenna.note(self, scan % TURN, TURN, angle_deg, at.t_s)
            self.counters["spokes_invalid"] += status not in _VALID_STATUS
            rotation_hi = int(table["rotation"][i])
            range_m = spoke_range_m(known or _guess(mark, large, small), large, small, rotation_hi)
            yield Spoke(
                at_s=at.t_s,
                source=antenna.source,
                stream=stream,
                angle_deg=wrap360(angle_deg + o.bearing_bias_deg),
                heading_deg=self._heading(heading, at.t_s),
                range_m=max(0.0, range_m * o.range_scale + o.range_bias_m),
                samples=samples[i],
                status=status,
                scan_number=scan,
                valid=status in _VALID_STATUS and range_m > 0.0,
                doppler=doppler,
            )

    def _heading(self, raw: int, at_s: float) -> float | None:
        """Bit 14 marks true; no other flag may stand (none: 0x8000; BR24 without a compass: any other rubbish)."""
        if self.options.trust_heading and raw & 0xF000 == 0x4000:
            return (raw & 0x0FFF) * (360.0 / TURN)
        return self._no_heading(at_s)

    # ------------------------------------------------------------ beacons and reports

    def _beacon(self, unit: bytes) -> None:
        """Addresses of data and report groups. They differ from radar to radar: never taken as known."""
        serial, streams = beacon_streams(unit)
        self.counters["beacons"] += 1
        for s in (s for s in streams if s.kind != "send"):
            if s.address in self.addresses or len(self.addresses) < _MAX_ADDRESSES:
                self.addresses[s.address], self.serials[s.address] = s.range_name, serial

    def _report(self, unit: bytes, stream: str) -> None:
        self.counters["reports"] += 1
        kind = unit[0]
        serial, range_name = self.serials.get(stream, ""), self.addresses.get(stream, "a")
        prefix = "b_" if range_name == "b" else ""
        if kind == 0x01 and len(unit) >= 18:
            self.gauges[prefix + "state"] = float(unit[2])
        elif kind == 0x02 and len(unit) >= 99:
            self.gauges[prefix + "range_m"] = int.from_bytes(unit[2:6], "little") / 10.0
        elif kind == 0x03 and len(unit) >= 129:
            self.gauges[prefix + "hours"] = float(int.from_bytes(unit[34:38], "little"))
            if unit[2] in _MODELS:
                self._models[serial] = _MODELS[unit[2]]
        elif kind == 0x04 and len(unit) >= 66:
            self.gauges[prefix + "alignment_deg"] = int.from_bytes(unit[6:8], "little", signed=True) / 10.0
        elif kind == 0x08 and len(unit) >= 21:
            self.gauges[prefix + "doppler"] = float(unit[18])
            self.gauges[prefix + "doppler_from_mps"] = int.from_bytes(unit[19:21], "little") / 100.0
            self._doppler[serial, range_name] = _DOPPLER.get(unit[18])


class BeaconStream(NamedTuple):
    """One stream that a beacon states: `data`, `send` (orders) or `report` of range `a` or `b`, and its `ip:port`."""

    kind: str
    range_name: str
    address: str


def beacon_streams(unit: bytes) -> tuple[str, list[BeaconStream]]:
    """Serial number and streams of a beacon (01 B2).

    Raises:
        ProtocolError: it is cut off.

    """
    places: tuple[tuple[int, str, str], ...]
    if len(unit) in _BR24_BEACON:
        places = _BR24_ADDRESSES
    elif len(unit) >= 94:
        places = _BEACON_ADDRESSES
    else:
        raise ProtocolError(f"a beacon of {len(unit)} bytes is cut off")
    serial = unit[2:18].split(b"\0")[0].decode("ascii", "replace")
    stated = [BeaconStream(kind, name, _address(unit, at)) for at, kind, name in places]
    return serial, [s for s in stated if s.address]


def unpack_nibbles(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 512) octets to (n, 1024) samples, low nibble first; read-only."""
    out = np.empty((data.shape[0], data.shape[1] * 2), np.uint8)
    np.bitwise_and(data, 15, out=out[:, 0::2])
    np.right_shift(data, 4, out=out[:, 1::2])
    out.flags.writeable = False
    return out


def spoke_range_m(model: str, large: int, small: int, rotation: int = 0) -> float:
    """Range of the last sample from a spoke header. 0 where the radar says that it has none.

    `rotation` is the u16 after `small`: on a BR24 the upper half of its 24-bit range.
    """
    if model == "br24":
        return (((rotation << 16) | small) & 0xFFFFFF) * _BR24_RANGE_M
    if large == 0x80:
        return 0.0 if small == 0xFFFF else small / 4.0
    if model == "halo":
        return large * small / 512.0
    return large * 64.0


def _guess(mark: int, large: int, small: int) -> str:
    """The model whose header this looks like, until report 03 tells: 4G has no small range beside a large one."""
    if (mark, large) == _BR24_MARK:
        return "br24"
    return "4g" if small in (0, 0xFFFF) else "halo"


def _address(unit: bytes, at: int) -> str:
    """`ip:port` in network order, or "" where the beacon is too short or has none."""
    part = unit[at : at + 6]
    if len(part) < 6 or not 224 <= part[0] <= 239:
        return ""
    return ".".join(str(b) for b in part[:4]) + f":{int.from_bytes(part[4:], 'big')}"
