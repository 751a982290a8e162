"""Everything that passes a transport, written to a packet capture that `PcapTransport` and Wireshark read.

Promises:
- all bytes in their order, with the wall time at which they arrived; datagrams keep their borders;
- a stream (serial, TCP) is cut after its line ends, so that each line is whole in one packet and a decoder gives the
  same of the capture as of the line; what has no line end is cut after `PIECE` bytes;
- a record is written whole or not at all: a full disk ends the recording with one sentence and leaves a good capture;
- a file that is there already is never written over.

Format: classic pcap, microseconds, link type 101 (raw IP); RFC 791, 8200 and 768 headers with their checksums. The
destination is the group or address that was listened on; a stream, which has none, goes to 127.0.0.1:10110. The source
is not known: address and port are 0.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import struct
from typing import TYPE_CHECKING

from agent.errors import InputError, SensorUnavailable
from agent.transport.base import EndOfData, Transport

if TYPE_CHECKING:
    from pathlib import Path

    from agent.messages import Stamp
    from agent.transport.base import Chunk

PIECE = 1024
STREAM = "127.0.0.1:10110"  # the port that is customary for NMEA
_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)
_UDP = 17


class RawRecorder(Transport):
    """A transport like the one that it wraps, and closes. `packets` and `size` (octets of the file) count."""

    def __init__(self, transport: Transport, path: Path, *, max_bytes: int | None = None) -> None:
        """Begin a capture at `path`; before it would grow larger than `max_bytes`, `read` raises `EndOfData`.

        Raises:
            InputError: the file cannot be made, or is there already.

        """
        self.datagrams = transport.datagrams
        self.packets = 0
        self.size = 0
        self._transport = transport
        self._path = path
        self._max_bytes = max_bytes
        self._held = b""  # of a stream: the beginning of a line
        self._at: Stamp | None = None  # when the last of it came
        try:
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError as e:
            raise InputError(f"{path}: is there already; give another name, or remove it") from e
        except OSError as e:
            raise InputError(f"{path}: cannot be written: {e.strerror}") from e
        self._append(_FILE_HEADER)

    def read(self, timeout_s: float) -> Chunk | None:
        """The wrapped transport's next chunk, once it is written.

        Raises:
            SensorUnavailable: as the wrapped transport does; `resume` goes on with one opened anew.
            EndOfData: as the wrapped transport does, or `max_bytes` are reached.
            InputError: the file cannot be written.

        """
        try:
            chunk = self._transport.read(timeout_s)
        except SensorUnavailable:
            self._transport.close()  # at once: what holds a device keeps it from being opened anew
            raise
        if chunk is not None:
            self._at = chunk.at
            if chunk.stream:
                self._packet(chunk.data, chunk.at, chunk.stream)
            else:
                self._lines(chunk.data, chunk.at)
        return chunk

    def write(self, data: bytes) -> None:
        """Send to the device; what is sent is not recorded."""
        self._transport.write(data)

    def resume(self, transport: Transport) -> None:
        """Go on in the same file with a transport that was opened anew, after `SensorUnavailable` from `read`."""
        self._transport.close()
        self._rest()
        self._transport = transport

    def close(self) -> None:
        """Write what is held, make the file durable, close the transport. Idempotent.

        Raises:
            InputError: the file cannot be written.

        """
        self._transport.close()
        file = self._file
        if file is None:
            return
        try:
            try:
                with contextlib.suppress(EndOfData):  # the beginning of a line did not fit any more
                    self._rest()
            finally:
                os.fsync(file)
        except OSError as e:
            raise InputError(f"{self._path}: cannot be written: {e.strerror}; {self._kept()}") from e
        finally:
            self._file = None
            os.close(file)

    def _rest(self) -> None:
        if self._held and self._at is not None:
            held, self._held = self._held, b""
            self._packet(held, self._at, STREAM)

    def _lines(self, data: bytes, at: Stamp) -> None:
        data = self._held + data
        start = 0
        while start < len(data):
            end = max(data.rfind(b"\n", start, start + PIECE), data.rfind(b"\r", start, start + PIECE)) + 1
            if not end:
                if len(data) - start < PIECE:
                    break
                end = start + PIECE
            self._packet(data[start:end], at, STREAM)
            start = end
        self._held = data[start:]

    def _packet(self, payload: bytes, at: Stamp, stream: str) -> None:
        packet = encapsulate(payload, stream)
        microseconds = round(at.wall_s * 1e6)
        head = struct.pack("<IIII", *divmod(microseconds, 1_000_000), len(packet), len(packet))
        if self._max_bytes is not None and self.size + len(head) + len(packet) > self._max_bytes:
            raise EndOfData(f"{self._path}: has reached its {self._max_bytes} bytes")
        self._append(head + packet)
        self.packets += 1

    def _append(self, record: bytes) -> None:
        if self._file is None:
            raise InputError(f"{self._path}: the recording is closed")
        try:
            if os.write(self._file, record) < len(record):  # how a disk tells that it is becoming full
                os.ftruncate(self._file, self.size)
                raise InputError(f"{self._path}: the disk is full; {self._kept()}")
        except OSError as e:
            raise InputError(f"{self._path}: cannot be written: {e.strerror}; {self._kept()}") from e
        self.size += len(record)

    def _kept(self) -> str:
        return f"the {self.packets} packets before that are kept: free some space and record on to another file"


def encapsulate(payload: bytes, stream: str) -> bytes:
    """An IP packet with one UDP datagram of `payload` (at most 65,507 bytes) to `stream` (`ip:port`)."""
    host, _, port = stream.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    source = bytes(len(address.packed))
    length = 8 + len(payload)
    pseudo = source + address.packed + struct.pack(">II", length, _UDP)  # RFC 8200 8.1; of RFC 768 the same sum
    udp = struct.pack(">HHHH", 0, int(port), length, 0)
    sum_ = checksum(pseudo + udp + payload) or 0xFFFF  # 0 would mean: none
    datagram = udp[:6] + sum_.to_bytes(2, "big") + payload
    if address.version == 6:
        return struct.pack(">IHBB", 6 << 28, length, _UDP, 64) + source + address.packed + datagram
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, _UDP, 0) + source + address.packed
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + datagram


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of any number of octets."""
    data += bytes(len(data) % 2)
    total = int.from_bytes(data, "big") % 0xFFFF  # a sum in base 2**16 with end-around carry is the rest by 2**16 - 1
    if total == 0 and any(data):
        total = 0xFFFF
    return ~total & 0xFFFF
