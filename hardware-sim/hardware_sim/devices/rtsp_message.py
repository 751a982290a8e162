"""Messages of RTSP 1.0 (RFC 2326): requests, answers, transports, the description of the stream. Pure.

Promises:
- `request` raises `BadRequest` for anything that is no request, and nothing else;
- header names are compared without case; a header given twice is joined by a comma.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hardware_sim.devices.rtp import PAYLOAD_TYPE

VERSION = "RTSP/1.0"
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    413: "Request Entity Too Large",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
    551: "Option not supported",
}
_LINE = re.compile(rb"([A-Z_]{1,32}) (\S{1,1024}) (RTSP/\d\.\d)")
_PAIR = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


class BadRequest(Exception):  # noqa: N818 - it is RTSP's own name
    """Not a request; `code` answers it."""

    def __init__(self, code: int = 400) -> None:
        super().__init__(REASONS[code])
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request without its body. `path` has no slash at its end and no query; header names are in lower case."""

    method: str
    url: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def cseq(self) -> str:
        """Its number."""
        return self.headers.get("cseq", "")

    @property
    def body_bytes(self) -> int:
        """How much follows.

        Raises:
            BadRequest: no number.

        """
        text = self.headers.get("content-length", "0")
        if not re.fullmatch(r"\d{1,9}", text):
            raise BadRequest
        return int(text)


def request(head: bytes) -> Request:
    """The request of these lines, without the empty one.

    Raises:
        BadRequest: it is none.

    """
    first, *lines = head.split(b"\r\n")
    found = _LINE.fullmatch(first)
    if found is None:
        raise BadRequest
    if found[3] != VERSION.encode():
        raise BadRequest(505)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not re.fullmatch(r"[\w-]+", name, re.ASCII):
            raise BadRequest
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    if not re.fullmatch(r"\d{1,10}", headers.get("cseq", "")):
        raise BadRequest
    url = found[2].decode("latin-1")
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError as error:
        raise BadRequest from error
    return Request(method=found[1].decode(), url=url, path=path, headers=headers)


def answer(code: int, cseq: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """An answer."""
    lines = [f"{VERSION} {code} {REASONS[code]}"]
    if cseq:
        lines.append(f"CSeq: {cseq}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How a client wants its packets: channels of its connection, or ports of its host. (RTP's, RTCP's)."""

    tcp: bool
    pair: tuple[int, int]


def transport(header: str) -> Transport | None:
    """The first of the client's wishes that can be met; None: none can."""
    for wish in header.split(","):
        name, *parameters = (p.strip() for p in wish.split(";"))
        options = {k.lower(): v for k, _, v in (p.partition("=") for p in parameters)}
        if "multicast" in options:
            continue
        if name.upper() == "RTP/AVP/TCP":
            pair = _pair(options.get("interleaved", "0-1"), 0, 255)
            if pair is not None:
                return Transport(tcp=True, pair=pair)
        elif name.upper() in ("RTP/AVP", "RTP/AVP/UDP"):
            pair = _pair(options.get("client_port", ""), 1, 65535)
            if pair is not None:
                return Transport(tcp=False, pair=pair)
    return None


def _pair(text: str, least: int, most: int) -> tuple[int, int] | None:
    found = _PAIR.fullmatch(text)
    if found is None:
        return None
    a = int(found[1])
    b = a + 1 if found[2] is None else int(found[2])
    return (a, b) if a != b and all(least <= x <= most for x in (a, b)) else None


def description(parameter_sets: tuple[bytes, ...], fps: float, control: str) -> bytes:
    """The stream in SDP (RFC 4566, RFC 6184 section 8.2)."""
    sets = ",".join(base64.b64encode(n).decode("ascii") for n in parameter_sets)
    profile = parameter_sets[0][1:4].hex().upper()
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=hardware-sim",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}",
        f"a=framerate:{fps:g}",
        f"a=control:{control}",
    )
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
