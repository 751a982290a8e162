"""An RTSP client written from RFC 2326 and RFC 6184 alone: says anything, and puts pictures together again."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Self

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    channel: int
    data: bytes

    @property
    def marker(self) -> bool:
        return bool(self.data[1] & 0x80)

    @property
    def sequence(self) -> int:
        return int(struct.unpack_from(">H", self.data, 2)[0])

    @property
    def ticks(self) -> int:
        return int(struct.unpack_from(">I", self.data, 4)[0])

    @property
    def payload(self) -> bytes:
        return self.data[12:]


@dataclass(slots=True)
class Client:
    """One connection. Packets that come between answers are kept."""

    port: int
    session: str = ""
    number: int = 0
    waiting: list[Packet] = field(default_factory=list)
    socket: socket.socket = field(default_factory=socket.socket)
    _buffer: bytes = b""

    def __post_init__(self) -> None:
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", self.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def url(self, path: str = "/camera") -> str:
        return f"rtsp://127.0.0.1:{self.port}{path}"

    def ask(self, method: str, path: str = "/camera", **headers: str) -> Answer:
        """Ask, with the session once there is one; headers are written with _ for -."""
        self.number += 1
        named = {"CSeq": str(self.number), **({"Session": self.session} if self.session else {})}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {self.url(path)} RTSP/1.0", *(f"{k}: {v}" for k, v in named.items() if v)]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = self.answer()
        assert answer.headers.get("cseq") == (named["CSeq"] or None)
        return answer

    def answer(self) -> Answer:
        """The next answer."""
        while True:
            while len(self._buffer) < 1:
                self._more()
            if self._buffer[:1] == b"$":
                self.waiting.append(self._interleaved())
                continue
            while b"\r\n\r\n" not in self._buffer:
                self._more()
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            first, *lines = head.decode().split("\r\n")
            version, code, _ = first.split(" ", 2)
            assert version == "RTSP/1.0"
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            size = int(headers.get("content-length", "0"))
            while len(self._buffer) < size:
                self._more()
            body, self._buffer = self._buffer[:size], self._buffer[size:]
            return Answer(int(code), headers, body)

    def packet(self) -> Packet:
        """The next packet of either channel."""
        if self.waiting:
            return self.waiting.pop(0)
        return self._interleaved()

    def _interleaved(self) -> Packet:
        while len(self._buffer) < 4:
            self._more()
        sign, channel, size = struct.unpack_from(">cBH", self._buffer)
        assert sign == b"$"
        while len(self._buffer) < 4 + size:
            self._more()
        data, self._buffer = self._buffer[4 : 4 + size], self._buffer[4 + size :]
        return Packet(channel, data)

    def _more(self) -> None:
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionResetError("the server ended the connection")
        self._buffer += got

    def play(self) -> Answer:
        """Set up over the connection itself and play."""
        answer = self.ask("SETUP", "/camera/track0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        assert answer.code == 200
        self.session = answer.headers["session"].partition(";")[0]
        answer = self.ask("PLAY", Range="npt=0.000-")
        assert answer.code == 200
        return answer

    def picture(self) -> tuple[list[bytes], list[Packet]]:
        """(NAL units, packets) of the next picture; reports are passed over."""
        packets: list[Packet] = []
        while not packets or not packets[-1].marker:
            packet = self.packet()
            if packet.channel == 0:
                packets.append(packet)
        return nals_of([p.payload for p in packets]), packets

    def ended(self) -> bool:
        """Read until the server ends the connection."""
        try:
            while True:
                self._more()
                self._buffer = b""
        except ConnectionError:
            return True


def nals_of(payloads: list[bytes]) -> list[bytes]:
    """NAL units from payloads: single ones and FU-A (RFC 6184, sections 5.6 and 5.8)."""
    out: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & 31
        if kind != 28:
            assert 1 <= kind <= 23
            out.append(payload)
            continue
        start, end, reserved = payload[1] & 0x80, payload[1] & 0x40, payload[1] & 0x20
        assert not reserved
        assert not (start and end)
        if start:
            out.append(bytes((payload[0] & 0xE0 | payload[1] & 31,)))
        out[-1] += payload[2:]
    return out
