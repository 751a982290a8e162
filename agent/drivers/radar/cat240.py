"""ASTERIX category 240 edition 1.3: radar video as commercial coastal and VTS radars send it.

Promises:
- samples are the cells as coded (1, 2, 4, 8 bits); 16 and 32 bits are reduced to their upper 8, since that is what a
  spoke holds; a radial that begins at cell n > 0 is preceded by n zeros, so that sample 0 is always at the antenna;
- a radial that comes as several messages of one azimuth with growing START_RG is one spoke. To know, the first radial
  of a stream waits for its second message (or for `flush`), and in a stream that splits so does every one;
- the category fixes no compression: zlib, gzip, bare deflate, bzip2, xz and lzma are recognised by their first octets,
  and expand to no more than the cells that the message states;
- what the standard leaves to the two parties (what azimuth 0 is, in which order cells below 8 bits are packed) is an
  option, with the usual answer as default: true north; the most significant bits are the nearer cell.

Range: cell n (from 0) lies at CELL_DUR * (START_RG + n) * c / 2; `range_m` is the far edge of the last cell. The nano
header cuts CELL_DUR to whole nanoseconds (15 cm), which is up to half a per cent of range: `range_scale` mends it.
`angle_deg` is the middle of START_AZ and END_AZ, where the beam's axis was on average. Two radars (SAC/SIC) in one
stream are two sources; the second's spokes bear `ip:port/SAC.SIC`.

Layout and reference message checked octet by octet with asterix-decoder and libasterix.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from codecs import charmap_decode, utf_16_le_encode
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from agent.drivers.radar.asterix import AsterixDecoder, AsterixOptions, Explicit, Profile, Repeated, moment_s
from agent.drivers.radar.framed import Antenna, VideoDecoder
from agent.drivers.radar.video import Spoke, VideoOptions
from agent.errors import ProtocolError
from agent.geo import wrap360

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from agent.messages import Stamp

    _Cells = tuple[NDArray[np.uint8], int]  # the cells of a message, and the highest value of their coding
    # of a message: size, radar, cells, octets of 4-bit cells or 0, highest value, seconds of a cell, range, their end
    _Layout = tuple[int, "_Source", int, int, int, float, float, int]

CATEGORY = 240
HALF_LIGHT_MPS = 299_792_458.0 / 2.0
MAX_CELLS = 1 << 16  # of one spoke; 32 bits times this is four times what a message can carry
FARTHEST_M = 1e6  # a cell's stated length may be 640,000 km
SUMMARY, VIDEO = 1, 2
_NUMBERS = 1 << 32  # the message sequence identifier's period
_XZ_MEMORY = 64 << 20
_HALF_STEP_DEG = 180.0 / 65536.0
_WIDEST = 65536 // 16  # of a radial, in the azimuth's units; to the left where the antenna turns that way
PROFILE: Profile = (
    ("010", 2), ("000", 1), ("020", 4), ("030", Repeated(1)), ("040", 12), ("041", 12), ("048", 2),
    ("049", 5), ("050", Repeated(4)), ("051", Repeated(64)), ("052", Repeated(256)), ("140", 3), ("RE", Explicit()),
    ("SP", Explicit()),
)  # fmt: skip
_HEADER = struct.Struct(">HHII")
_tuple, _frombuffer, _OCTET = tuple.__new__, np.frombuffer, np.uint8  # looked up once, not for each message
# what practically every video message holds: 010, 000, 020, 040 or 041, 048, 049, 050 or 051 or 052, perhaps 140
_COMMON = struct.Struct(">BBBIHHIIBBHBHB")  # up to the count of blocks
_COMMON_FSPEC = {
    bytes((first, second)): (unit_s, block, bool(second & 0x08))
    for first, unit_s in ((0xE7, 1e-15), (0xEB, 1e-9))
    for second, block in ((0xC0, 4), (0xA0, 64), (0x90, 256), (0xC8, 4), (0xA8, 64), (0x98, 256))
}
_FIRST = 5  # where the items of a record with two FSPEC octets begin
_VIDEO_AT = _FIRST + _COMMON.size
# of these octets only the number and the azimuths change from radial to radial: the others are looked at once
_NUMBER_AT, _TURN = 8, struct.Struct(">IHH")
_LAYOUT_AT = _NUMBER_AT + _TURN.size
_MAX_LAYOUTS = 64
# an octet's two cells as one character: for a few hundred octets the codecs are the fastest look-up there is
_PAIRS = "".join(chr(octet >> 4 | (octet & 15) << 8) for octet in range(256))
_BITS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32}


class Cat240Options(AsterixOptions, VideoOptions):
    """Options of CAT240 video: those of all radar video, and what the category leaves to the two parties."""

    zero: Literal["north", "bow"] = Field(default="north", description="what azimuth 0 is; bow: heading_deg is added")
    nearest: Literal["high", "low"] = Field(
        default="high", description="which bits of an octet are the nearer cell, where cells are smaller than it"
    )


class _Source:
    """What is kept of one radar: its antenna's turn, and the radial that may not be complete yet."""

    def __init__(self, antenna: Antenna) -> None:
        self.antenna = antenna
        self.splits: bool | None = None  # not known before the second message
        self.last: Spoke | None = None  # only while more of it may come
        self.waits = False  # whether `last` has not been given yet
        self.start_az = -1
        self.end = 0  # the cell after its last one
        self.cell_s = 0.0


class Cat240Decoder(AsterixDecoder[Spoke], VideoDecoder):
    """Driver `cat240`. Further counters: summaries, radials_joined, holes (missing parts of a split radial)."""

    Options = Cat240Options
    options: Cat240Options
    profiles = {CATEGORY: PROFILE}  # noqa: RUF012 - read-only, and shared by all decoders of the class

    def __init__(self, source: str, options: Cat240Options | None = None) -> None:
        super().__init__(source, options)
        self.summary = ""  # what the radar last said of its video
        self._sources: dict[tuple[str, int, int], _Source] = {}
        self._layouts: dict[tuple[str, bytes], _Layout] = {}  # of whole radials, neither compressed nor corrected
        o = self.options
        self._arrival = o.time == "arrival"
        self._high_first = o.nearest == "high"
        self._corrected = (o.bearing_bias_deg, o.range_scale, o.range_bias_m) != (0.0, 1.0, 0.0)
        self._heading_deg = 0.0 if o.zero == "north" and o.heading_deg is None else o.heading_deg

    def flush(self, at: Stamp) -> Iterator[Spoke]:
        """What a stream ends with, and radials that still wait."""
        yield from super().flush(at)
        for source in self._sources.values():
            if source.waits and source.last is not None and not self.closed:
                source.waits = False
                yield source.last

    def decode(self, data: bytes, at: Stamp, stream: str = "") -> Iterator[Spoke]:
        """Spokes in `data`. The next radial of a turn, as nearly all datagrams are, takes the short way."""
        known = spoke = None
        if self._layouts and stream:
            known = self._layouts.get((stream, data[:_NUMBER_AT] + data[_LAYOUT_AT:_VIDEO_AT]))
            spoke = None if known is None else self._next(known, data, at)
        counters = self.counters
        found: Iterable[Spoke] | None = ()
        if spoke is not None:
            counters["records"] += 1
            found = (spoke,)
        elif self.closed or not stream:
            return super().decode(data, at, stream)
        else:
            try:
                found = self._common(data, at, stream)
            except ProtocolError as e:
                self._broken(e)
            if found is None:
                return super().decode(data, at, stream)
        counters["bytes"] += len(data)
        counters["units"] += 1
        return iter(found)

    def close(self) -> None:
        """No more measurements. Idempotent."""
        super().close()
        self._layouts.clear()

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterable[Spoke]:
        found = self._common(unit, at, stream)
        return self._any(unit, at, stream) if found is None else found

    def _next(self, known: _Layout, unit: bytes, at: Stamp, samples: NDArray[np.uint8] | None = None) -> Spoke | None:
        """The next whole radial of a turn whose layout is known; None, with nothing changed, if it is not exactly that.

        All that `_take` would do is done here, without its calls: they take longer than the cells.
        """
        size, source, cells, fours, top, cell_s, range_m, timed_at = known
        number, start_az, end_az = _TURN.unpack_from(unit, _NUMBER_AT)
        antenna, degrees = source.antenna, (start_az + end_az) * _HALF_STEP_DEG
        if (
            len(unit) != size or number != antenna.number + 1 or degrees < antenna.angle_deg
            or not 0 <= end_az - start_az <= _WIDEST
        ):  # fmt: skip
            return None
        if samples is None and not fours:
            samples = _frombuffer(unit, _OCTET, cells, _VIDEO_AT)
        elif samples is None:
            pairs, _ = charmap_decode(unit[_VIDEO_AT : _VIDEO_AT + fours], "strict", _PAIRS)
            samples = _frombuffer(utf_16_le_encode(pairs)[0], _OCTET, cells)
        at_s = at.t_s if self._arrival else moment_s(unit[timed_at:] or None, at, "message")
        heading_deg = self._heading_deg if self._heading_deg is not None else self._no_heading(at_s)
        antenna.number, antenna.angle_deg = number, degrees
        antenna.spokes += 1
        self.counters["spokes"] += 1
        # as a tuple: by place or by name costs more
        spoke = _tuple(
            Spoke,
            (
                at_s, antenna.source, antenna.stream, degrees, heading_deg, range_m, samples, VIDEO, number, True, top,
                None,
            ),
        )  # fmt: skip
        source.last, source.start_az, source.end, source.cell_s = spoke, start_az, cells, cell_s
        return spoke

    def _common(self, unit: bytes, at: Stamp, stream: str) -> Iterable[Spoke] | None:
        """A block of one record with the usual items, in one step; None if it is not exactly that."""
        known = _COMMON_FSPEC.get(unit[3:5]) if len(unit) > _VIDEO_AT and unit[0] == CATEGORY else None
        if known is None:
            return None
        unit_s, block, timed = known
        sac, sic, kind, number, start_az, end_az, start, cell, packed, code, octets, high, low, count = (
            _COMMON.unpack_from(unit, _FIRST)
        )
        end = _VIDEO_AT + count * block
        size = end + 3 if timed else end
        if kind != VIDEO or size != len(unit) or size != unit[1] << 8 | unit[2] or octets > count * block:
            return None
        self.counters["records"] += 1
        cells = high << 16 | low
        cell_s = cell * unit_s
        video = self._samples(unit, _VIDEO_AT, octets, cells, code, start, cell_s, packed=packed >= 0x80)
        source = self._sources.get((stream, sac, sic)) or self._source(stream, sac, sic)
        if source.splits is False and start == 0 and cells * cell > 0 and not self._corrected:
            fours = cells + 1 >> 1 if code == 3 else 0
            layout = size, source, cells, fours, video[1], cell_s, cell_s * HALF_LIGHT_MPS * cells, end
            spoke = self._next(layout, unit, at, video[0])
            if packed < 0x80 and (code == 4 or (code == 3 and self._high_first)):
                if len(self._layouts) >= _MAX_LAYOUTS:  # a hostile sender cannot make us remember a million
                    self._layouts.clear()
                self._layouts[stream, unit[:_NUMBER_AT] + unit[_LAYOUT_AT:_VIDEO_AT]] = layout
            if spoke is not None:
                return (spoke,)
        at_s = at.t_s if self._arrival else moment_s(unit[end:] or None, at, "message")
        return self._take(source, number, start_az, end_az, start, cell_s, video, at_s)

    def _any(self, unit: bytes, at: Stamp, stream: str) -> Iterator[Spoke]:
        if not self._known(unit):
            return
        for items in self._records(unit):
            if not items.keys() >= {"010", "000"}:
                raise ProtocolError("a CAT240 record without source or message type")
            if items["000"][0] != SUMMARY or "048" in items:  # some senders call their video type 1 too
                yield from self._video(items, moment_s(items.get("140"), at, self.options.time), stream)
            else:
                self.counters["summaries"] += 1
                if "020" in items:  # numbered with the video
                    self._source(stream, *items["010"]).antenna.number = int.from_bytes(items["020"], "big")
                self.summary = items.get("030", b"")[1:].decode("latin-1")

    def _video(self, items: dict[str, bytes], at_s: float, stream: str) -> Iterable[Spoke]:
        header = items.get("041") or items.get("040")
        blocks = [items[k] for k in ("050", "051", "052") if k in items]
        if header is None or len(blocks) != 1 or not items.keys() >= {"020", "048", "049"}:
            raise ProtocolError("a CAT240 video message lacks its header, its resolution or its cells")
        start_az, end_az, start, cell = _HEADER.unpack(header)
        packed, code = items["048"]
        octets, cells = int.from_bytes(items["049"][:2], "big"), int.from_bytes(items["049"][2:], "big")
        if octets > len(blocks[0]) - 1:
            raise ProtocolError(f"a CAT240 message states {octets} octets of video and carries {len(blocks[0]) - 1}")
        cell_s = cell * (1e-15 if "041" in items else 1e-9)
        video = self._samples(blocks[0], 1, octets, cells, code, start, cell_s, packed=packed >= 0x80)
        source = self._source(stream, *items["010"])
        number = int.from_bytes(items["020"], "big")
        return self._take(source, number, start_az, end_az, start, cell_s, video, at_s)

    # ------------------------------------------------------------ cells

    def _samples(
        self, data: bytes, at: int, octets: int, cells: int, code: int, start: int, cell_s: float, *, packed: bool
    ) -> _Cells:
        """(cells as uint8, the highest value of their coding)."""
        bits = _BITS.get(code)
        if bits is None:
            raise ProtocolError(f"CAT240 resolution {code} is none of 1 to 6")
        if start + cells > MAX_CELLS:
            raise ProtocolError(f"a CAT240 radial of {start + cells} cells; more than {MAX_CELLS} are not believed")
        if (far_m := cell_s * HALF_LIGHT_MPS * (start + cells)) > FARTHEST_M:
            raise ProtocolError(
                f"a CAT240 radial of {far_m / 1e3:.0f} km; more than {FARTHEST_M / 1e3:.0f} are no radar's"
            )
        needed = (cells * bits + 7) // 8
        if packed:
            data, at, octets = expand(data[at : at + octets], needed), 0, needed
        if octets < needed:
            raise ProtocolError(f"a CAT240 message states {cells} cells of {bits} bits in {octets} octets")
        if bits == 8:
            return np.frombuffer(data, np.uint8, cells, at), 255
        samples = unpack(np.frombuffer(data, np.uint8, needed, at), bits, low_first=self.options.nearest == "low")[
            :cells
        ]
        samples.setflags(write=False)
        return samples, min(255, (1 << bits) - 1)

    # ------------------------------------------------------------ radials to spokes

    def _source(self, stream: str, sac: int, sic: int) -> _Source:
        known = self._sources.get((stream, sac, sic))
        if known is None:
            others = any(s == stream for s, _, _ in self._sources)
            shown = f"{stream}/{sac}.{sic}" if others else stream
            known = self._sources[stream, sac, sic] = _Source(self._antenna(stream, (sac, sic), shown=shown))
        return known

    def _take(
        self, source: _Source, number: int, start_az: int, end_az: int, start: int, cell_s: float, video: _Cells,
        at_s: float,
    ) -> Iterable[Spoke]:  # fmt: skip
        """Spokes that this message completes: its own, or the one before it in a stream that splits radials."""
        antenna, degrees = source.antenna, middle_deg(start_az, end_az)
        antenna.note(self, number, _NUMBERS, degrees, at_s)
        samples, top = video
        goes_on = start > 0 and start_az == source.start_az and start >= source.end > 0 and cell_s == source.cell_s
        last = source.last if source.waits or goes_on else None
        if start:
            front = np.zeros(start, np.uint8)
            if goes_on and last is not None:
                front[: len(last.samples)] = last.samples
                self.counters["holes"] += start > source.end
                self.counters["radials_joined"] += 1
                at_s, source.splits = last.at_s, True
                self._layouts.clear()  # they are of whole radials
            samples = np.concatenate((front, samples))
            samples.setflags(write=False)
        spoke = self._spoke(source.antenna, number, degrees, cell_s, samples, top, at_s)
        if last is not None and not goes_on and source.splits is None:
            source.splits = False
        waits = source.splits is not False
        source.last, source.start_az, source.end, source.cell_s = spoke, start_az, len(samples), cell_s
        source.waits, before = waits, None if goes_on else last
        if before is None:
            return () if waits else (spoke,)
        return (before,) if waits else (before, spoke)

    def _spoke(
        self, antenna: Antenna, number: int, degrees: float, cell_s: float, samples: NDArray[np.uint8], top: int,
        at_s: float,
    ) -> Spoke:  # fmt: skip
        range_m = cell_s * HALF_LIGHT_MPS * len(samples)
        valid = range_m > 0.0
        if self._corrected:
            o = self.options
            degrees = wrap360(degrees + o.bearing_bias_deg)
            range_m = max(0.0, range_m * o.range_scale + o.range_bias_m)
        heading_deg = self._heading_deg if self._heading_deg is not None else self._no_heading(at_s)
        # as a tuple: by place or by name costs more
        return _tuple(
            Spoke,
            (
                at_s, antenna.source, antenna.stream, degrees, heading_deg, range_m, samples, VIDEO, number, valid, top,
                None,
            ),
        )  # fmt: skip


def middle_deg(start_az: int, end_az: int) -> float:
    """The middle of a radial in degrees [0, 360); its start if the end is too far away to be one."""
    width = (end_az - start_az + 0x8000 & 0xFFFF) - 0x8000
    middle = start_az + 0.5 * width if -_WIDEST <= width <= _WIDEST else start_az
    return middle % 65536.0 * (360.0 / 65536.0)


def unpack(data: NDArray[np.uint8], bits: int, *, low_first: bool = False) -> NDArray[np.uint8]:
    """Octets to cells of 1, 2, 4, 16 or 32 bits; of the last two the upper 8 bits remain."""
    if bits > 8:
        return np.ascontiguousarray(data[:: bits // 8])
    return _TABLES[bits, low_first].take(data).view(np.uint8)


def _table(bits: int, *, low_first: bool) -> NDArray[np.unsignedinteger[Any]]:
    """For each octet its cells, side by side in one number, so that one look-up unpacks it."""
    shifts = range(0, 8, bits) if low_first else range(8 - bits, -1, -bits)
    cells = np.stack([np.arange(256) >> s & ((1 << bits) - 1) for s in shifts], axis=1).astype(np.uint8)
    return cells.view(f"u{8 // bits}").reshape(256)


_TABLES = {(bits, low): _table(bits, low_first=low) for bits in (1, 2, 4) for low in (False, True)}


def expand(data: bytes, size: int) -> bytes:
    """The first `size` octets of compressed data, by whatever it is compressed with.

    Raises:
        ProtocolError: an unknown compression, or fewer octets than that.

    """
    for magic, name, make in _COMPRESSIONS:
        if data.startswith(magic):
            if make is None:
                raise ProtocolError(f"CAT240 video compressed by {name}, which is not read here; use zlib or none")
            break
    try:
        out: bytes = make().decompress(data, size)  # type: ignore[misc]  # the last entry always fits, and has one
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as e:
        raise ProtocolError(f"CAT240 video whose compression cannot be undone as {name}: {e}") from e
    if len(out) < size:
        raise ProtocolError(f"compressed CAT240 video expands to {len(out)} octets where {size} are stated")
    return out


_COMPRESSIONS: tuple[tuple[bytes, str, Callable[[], Any] | None], ...] = (
    (b"\x78", "zlib", zlib.decompressobj),
    (b"\x1f\x8b", "gzip", lambda: zlib.decompressobj(31)),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", "xz", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    (b"\x5d\0\0", "lzma", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    (b"\x28\xb5\x2f\xfd", "zstd", None),
    (b"\x04\x22\x4d\x18", "lz4", None),
    (b"", "deflate", lambda: zlib.decompressobj(-15)),
)
