"""UDP datagrams out of packet captures: classic pcap and pcapng, plain or .gz.

Promises:
- pure standard library, streaming: memory is bounded whatever the file says (fragment store, record size);
- a file that is no capture, or cannot be opened, raises `InputError` before the first datagram; a capture that ends in
  the middle or turns to garbage gives what it held before that, one count in `counters["errors"]`, and its sentence in
  `last_error`;
- one broken packet costs one count and no more; packets that are not UDP are skipped and counted as `other`;
- fragmented IP datagrams are put together again (RFC 791, RFC 8200), overlapping or endless ones are dropped.

Formats: libpcap's savefile (magic A1B2C3D4 microseconds, A1B23C4D nanoseconds, both byte orders) and
draft-ietf-opsawg-pcapng. Link types by their LINKTYPE_ number.
"""

from __future__ import annotations

import gzip
import ipaddress
import struct
import threading
import zlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Self, cast

from agent.errors import InputError, SensorUnavailable
from agent.messages import Stamp
from agent.transport.base import Chunk, EndOfData, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from agent.clock import Clock

MAX_RECORD = 1 << 20  # no link has larger packets; a larger length means that the file is garbage
MAX_PENDING = 64  # half-received datagrams kept, each of at most 64 KiB
FRAGMENT_LIFE_S = 30.0  # RFC 791 proposes 15 s, Linux keeps 30 s

_CLASSIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
}
_SECTION = b"\x0a\x0d\x0d\x0a"
_VLAN = (0x8100, 0x88A8, 0x9100)
_IPV4, _IPV6, _UDP = 0x0800, 0x86DD, 17
_IPV6_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """One UDP datagram. `stream` and `src` are `ip:port` (IPv6 in brackets), `wall_s` the capture's Unix time."""

    wall_s: float
    stream: str
    src: str
    payload: bytes


class _Broken(Exception):  # noqa: N818 - never leaves this module: one packet, or the rest of the file, is unusable
    """One sentence."""


def is_capture(path: Path) -> bool:
    """Whether the file starts like a packet capture, plain or gzipped.

    Raises:
        InputError: the file cannot be read.

    """
    with _opened(path) as f:
        try:
            magic = f.read(4)
        except (EOFError, zlib.error, OSError):
            return False
    return magic in _CLASSIC or magic == _SECTION


def _opened(path: Path) -> BinaryIO:
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        return cast("BinaryIO", gzip.open(path, "rb")) if zipped else path.open("rb")
    except OSError as e:
        raise InputError(f"{path}: cannot be opened ({e.strerror}); name a file that is there and readable") from e


class CaptureReader:
    """Iterates over the UDP datagrams of one capture file, in the file's order.

    `port` and `group` (destination address) filter. `counters`: packets, datagrams, other, errors, fragments_lost.
    """

    def __init__(self, path: Path, *, port: int | None = None, group: str | None = None) -> None:
        self.path = path
        self.counters: Counter[str] = Counter()
        self.last_error = ""
        self._port = port
        self._group = ipaddress.ip_address(group).packed if group else None
        self._fragments = _Fragments(self.counters)
        self._file = _opened(path)
        try:
            self._magic = self._file.read(4)
        except (EOFError, zlib.error, OSError) as e:
            self._file.close()
            raise InputError(f"{path}: the gzip data is broken; copy the file again") from e
        if self._magic not in _CLASSIC and self._magic != _SECTION:
            self._file.close()
            raise InputError(f"{path}: neither pcap nor pcapng; record with tcpdump -w or dumpcap")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __iter__(self) -> Iterator[Datagram]:
        records = self._pcapng() if self._magic == _SECTION else self._classic()
        try:
            for wall_s, link, packet in records:
                self.counters["packets"] += 1
                try:
                    datagram = self._datagram(wall_s, link, packet)
                except (_Broken, struct.error) as e:
                    self._count(f"packet {self.counters['packets']}: {e}")
                    continue
                if datagram is not None:
                    self.counters["datagrams"] += 1
                    yield datagram
        except (_Broken, struct.error, EOFError, zlib.error, OSError) as e:
            self._count(f"after packet {self.counters['packets']}: {e}")
        finally:
            self.counters["fragments_lost"] += self._fragments.forget()
            self.close()

    def _count(self, sentence: str) -> None:
        self.counters["errors"] += 1
        self.last_error = f"{self.path}: {sentence}"

    # ------------------------------------------------------------ the file's records

    def _take(self, n: int) -> bytes:
        data = self._file.read(n)
        if len(data) < n:
            raise _Broken("the file ends in the middle of a record")
        return data

    def _classic(self) -> Iterator[tuple[float, int, bytes]]:
        order, tick = _CLASSIC[self._magic]
        link = struct.unpack(order + "I", self._take(20)[16:])[0] & 0xFFFF  # the upper half is about checksums
        header = struct.Struct(order + "IIII")
        while head := self._file.read(16):
            if len(head) < 16:
                raise _Broken("the file ends in the middle of a record")
            sec, frac, length, _ = header.unpack(head)
            if length > MAX_RECORD:
                raise _Broken(f"a record claims {length} bytes: the rest is not a capture")
            yield sec + frac * tick, link, self._take(length)

    def _pcapng(self) -> Iterator[tuple[float, int, bytes]]:
        order = "<"
        interfaces: list[tuple[int, int, float]] = []
        now = 0.0
        head = _SECTION + self._take(4)
        while head:
            if len(head) < 8:
                raise _Broken("the file ends in the middle of a block")
            if head[:4] == _SECTION:
                mark = self._take(4)
                if mark not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                    raise _Broken("a section starts without its byte-order mark")
                order, interfaces, taken = (">" if mark[0] == 0x1A else "<"), [], 12
            else:
                taken = 8
            kind, length = struct.unpack(order + "II", head)
            if length < 12 or length % 4 or length > MAX_RECORD:
                raise _Broken(f"a block claims {length} bytes: the rest is not a capture")
            body = self._take(length - taken)[:-4]
            if kind == 1:
                if len(interfaces) < 4096:
                    interfaces.append(_interface(order, body))
            elif kind in (2, 6):
                now, link, packet = _enhanced(order, kind, body, interfaces)
                yield now, link, packet
            elif kind == 3 and interfaces:  # a simple block has no time: the last one's stands
                yield now, interfaces[0][0], body[4 : 4 + struct.unpack_from(order + "I", body)[0]]
            head = self._file.read(8)

    # ------------------------------------------------------------ one packet

    def _datagram(self, wall_s: float, link: int, packet: bytes) -> Datagram | None:
        kind, at = _network(link, packet)
        if kind == _IPV4:
            found = self._ipv4(wall_s, packet, at)
        elif kind == _IPV6:
            found = self._ipv6(wall_s, packet, at)
        else:
            found = None
        if found is None:
            self.counters["other"] += kind not in (_IPV4, _IPV6)
            return None
        src, dst, body = found
        if len(body) < 8:
            raise _Broken("a UDP header is cut off")
        src_port, dst_port, length = struct.unpack_from(">HHH", body)
        if (self._port is not None and dst_port != self._port) or (self._group is not None and dst != self._group):
            return None
        if length and not 8 <= length <= len(body):
            raise _Broken(f"a UDP datagram claims {length} of {len(body)} bytes: capture with a longer snapshot length")
        return Datagram(
            wall_s=wall_s, stream=_name(dst, dst_port), src=_name(src, src_port), payload=body[8 : length or None]
        )

    def _ipv4(self, wall_s: float, packet: bytes, at: int) -> tuple[bytes, bytes, bytes] | None:
        first, _, total, ident, flags, _, protocol = struct.unpack_from(">BBHHHBB", packet, at)
        size = (first & 15) * 4
        if first >> 4 != 4 or size < 20:
            raise _Broken("an IPv4 header is malformed")
        src, dst = packet[at + 12 : at + 16], packet[at + 16 : at + 20]
        if protocol != _UDP:
            self.counters["other"] += 1
            return None
        body = packet[at + size : at + total] if total else packet[at + size :]  # 0: left to the network card
        if len(body) < total - size:
            raise _Broken("a packet is cut off: capture with a longer snapshot length")
        if flags & 0x3FFF:
            key = (src, dst, ident)
            whole = self._fragments.add(wall_s, key, (flags & 0x1FFF) * 8, body, more=bool(flags & 0x2000))
            return None if whole is None else (src, dst, whole)
        return src, dst, body

    def _ipv6(self, wall_s: float, packet: bytes, at: int) -> tuple[bytes, bytes, bytes] | None:
        first, length, kind = struct.unpack_from(">IHB", packet, at)
        if first >> 28 != 6:
            raise _Broken("an IPv6 header is malformed")
        src, dst = packet[at + 8 : at + 24], packet[at + 24 : at + 40]
        body = packet[at + 40 : at + 40 + length]
        if len(body) < length:
            raise _Broken("a packet is cut off: capture with a longer snapshot length")
        for _ in range(8):
            if kind == _UDP:
                return src, dst, body
            if kind == 44:
                kind, _, offset, ident = struct.unpack_from(">BBHI", body)
                whole = self._fragments.add(wall_s, (src, dst, ident), offset & 0xFFF8, body[8:], more=bool(offset & 1))
                if whole is None:
                    return None
                body = whole
            elif kind in _IPV6_EXTENSIONS:
                kind, words = struct.unpack_from(">BB", body)
                body = body[8 + words * 8 :]
            else:
                break
        self.counters["other"] += 1
        return None


def _interface(order: str, body: bytes) -> tuple[int, int, float]:
    """(link type, ticks per second, offset in seconds) of a pcapng interface block."""
    link = struct.unpack_from(order + "H", body)[0]
    per_s, offset, at = 1_000_000, 0.0, 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + size]
        if code == 9 and size == 1:
            per_s = 2 ** (value[0] & 127) if value[0] & 128 else 10 ** min(value[0], 30)
        elif code == 14 and len(value) == 8:
            offset = float(struct.unpack(order + "q", value)[0])
        elif code == 0:
            break
        at += 4 + (size + 3) // 4 * 4
    return link, per_s, offset


def _enhanced(order: str, kind: int, body: bytes, interfaces: list[tuple[int, int, float]]) -> tuple[float, int, bytes]:
    """(Unix time, link type, packet) of a pcapng packet block (6 enhanced, 2 obsolete)."""
    number, high, low, length, _ = struct.unpack_from(order + ("IIIII" if kind == 6 else "HxxIIII"), body)
    if number >= len(interfaces):
        raise _Broken(f"a packet names interface {number}, which the file does not describe")
    if length > len(body) - 20:
        raise _Broken("a packet is longer than its block")
    link, per_s, offset = interfaces[number]
    return ((high << 32) | low) / per_s + offset, link, body[20 : 20 + length]


def _network(link: int, packet: bytes) -> tuple[int, int]:
    """(EtherType, offset of the network header); EtherType 0 where the link carries no IP."""
    if link == 1:  # Ethernet
        kind, at = struct.unpack_from(">H", packet, 12)[0], 14
    elif link == 113:  # Linux cooked
        kind, at = struct.unpack_from(">H", packet, 14)[0], 16
    elif link == 276:  # Linux cooked v2
        kind, at = struct.unpack_from(">H", packet, 0)[0], 20
    elif link in (101, 12, 14, 228, 229):  # raw IP
        return {4: _IPV4, 6: _IPV6}.get(packet[0] >> 4 if packet else 0, 0), 0
    elif link in (0, 108):  # loopback: the address family in the writer's byte order; BSDs disagree on IPv6
        family = max(packet[:4], default=0)
        return {2: _IPV4, 10: _IPV6, 24: _IPV6, 28: _IPV6, 30: _IPV6}.get(family, 0), 4
    else:
        return 0, 0
    for _ in range(4):
        if kind not in _VLAN:
            break
        kind, at = struct.unpack_from(">H", packet, at + 2)[0], at + 4
    return kind, at


def _name(address: bytes, port: int) -> str:
    ip = ipaddress.ip_address(address)
    return f"{ip}:{port}" if ip.version == 4 else f"[{ip}]:{port}"


@dataclass(slots=True, kw_only=True)
class _Partial:
    since_s: float
    pieces: dict[int, bytes] = field(default_factory=dict)
    got: int = 0
    size: int | None = None


class _Fragments:
    """Half-received IP datagrams: at most MAX_PENDING, the oldest leaves first."""

    def __init__(self, counters: Counter[str]) -> None:
        self._pending: OrderedDict[tuple[bytes, bytes, int], _Partial] = OrderedDict()
        self._counters = counters

    def add(
        self, wall_s: float, key: tuple[bytes, bytes, int], offset: int, body: bytes, *, more: bool
    ) -> bytes | None:
        """The whole datagram's IP payload when this piece completes it."""
        partial = self._pending.get(key)
        if partial is not None and not -1.0 <= wall_s - partial.since_s <= FRAGMENT_LIFE_S:
            self._drop(key)  # the identification came round again
            partial = None
        if partial is None:
            while len(self._pending) >= MAX_PENDING:
                self._drop(next(iter(self._pending)))
            partial = self._pending[key] = _Partial(since_s=wall_s)
        if partial.pieces.get(offset) == body:
            return None  # a duplicate
        end = offset + len(body)
        if offset in partial.pieces or end > 65_535 or not body or (more and len(body) % 8):
            self._drop(key)
            raise _Broken("IP fragments contradict each other")
        partial.pieces[offset] = body
        partial.got += len(body)
        if not more:
            partial.size = end
        if partial.size is None or partial.got < partial.size:
            return None
        return self._join(key, partial)

    def _join(self, key: tuple[bytes, bytes, int], partial: _Partial) -> bytes:
        del self._pending[key]
        at = 0
        for offset in sorted(partial.pieces):
            if offset != at:
                self._counters["fragments_lost"] += 1
                raise _Broken("IP fragments overlap")
            at += len(partial.pieces[offset])
        return b"".join(partial.pieces[o] for o in sorted(partial.pieces))

    def _drop(self, key: tuple[bytes, bytes, int]) -> None:
        del self._pending[key]
        self._counters["fragments_lost"] += 1

    def forget(self) -> int:
        """Forget all; how many datagrams never became whole."""
        n = len(self._pending)
        self._pending.clear()
        return n


class PcapTransport(Transport):
    """A capture as a source of datagrams, for drivers that would otherwise listen on UDP.

    `pace="real"` releases each datagram when its time since the first has passed, stamped by the clock at release;
    `"fast"` releases at once, and its stamps advance from the clock's time at the start by the recorded intervals.
    With `loop` the recording starts again at its end, one last interval later.
    """

    datagrams = True

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        *,
        port: int | None = None,
        group: str | None = None,
        pace: Literal["real", "fast"] = "real",
        loop: bool = False,
    ) -> None:
        self._path, self._port, self._group = Path(path), port, group
        self._clock, self._fast, self._loop = clock, pace == "fast", loop
        self._closed = threading.Event()
        self._start: Stamp | None = None
        self._offset_s = 0.0  # of this round's first datagram since the start
        self._elapsed_s = self._gap_s = 0.0
        self._next: Datagram | None = None
        self._first_s: float | None = None
        self._open()

    def _open(self) -> None:
        if not self._path.exists():
            raise SensorUnavailable(f"{self._path}: no such recording; correct the sensor's url")
        self.reader = CaptureReader(self._path, port=self._port, group=self._group)
        self._datagrams = iter(self.reader)
        self._first_s = None

    def read(self, timeout_s: float) -> Chunk | None:
        """The next datagram, or None if its time does not come within `timeout_s`."""
        if self._closed.is_set():
            raise EndOfData(f"{self._path}: closed")
        datagram = self._next = self._next or self._advance()
        if self._start is None:
            self._start = self._clock.now()
        due_s = self._start.t_s + self._elapsed_s
        if not self._fast:
            wait_s = due_s - self._clock.now().t_s
            if wait_s > 0.0:
                self._closed.wait(min(wait_s, timeout_s))
            if self._closed.is_set() or self._clock.now().t_s < due_s:
                return None
        self._next = None
        at = self._stamp() if self._fast else self._clock.now()
        return Chunk(data=datagram.payload, at=at, stream=datagram.stream)

    def _stamp(self) -> Stamp:
        start = cast("Stamp", self._start)
        return Stamp(t_s=start.t_s + self._elapsed_s, wall_s=start.wall_s + self._elapsed_s, error_ms=start.error_ms)

    def _advance(self) -> Datagram:
        """The next datagram of the recording; sets `_elapsed_s`, its time since the first, never going back."""
        datagram = next(self._datagrams, None)
        if datagram is None:
            if not self._loop or self._first_s is None:
                raise EndOfData(f"{self._path}: the recording is over")
            self._offset_s = self._elapsed_s + self._gap_s
            self._open()
            return self._advance()
        if self._first_s is None:
            self._first_s = datagram.wall_s
        elapsed_s = max(self._elapsed_s, self._offset_s + datagram.wall_s - self._first_s)
        if elapsed_s > self._elapsed_s:
            self._gap_s = elapsed_s - self._elapsed_s
        self._elapsed_s = elapsed_s
        return datagram

    def close(self) -> None:
        """Stop; a pending `read` returns. Idempotent."""
        self._closed.set()
        self.reader.close()
