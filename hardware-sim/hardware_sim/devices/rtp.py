"""RTP and RTCP as a camera sends them (RFC 3550, RFC 6184). Pure.

Promises:
- NAL units up to `PAYLOAD_BYTES` travel alone, longer ones as FU-A; no STAP-A, no interleaving (packetization-mode 1);
- the marker is on the last packet of a picture;
- a report is a sender report with a source description, one compound packet.
"""

from __future__ import annotations

import struct

PAYLOAD_BYTES = 1400
PAYLOAD_TYPE = 96
FU_A = 28
SENDER_REPORT, SOURCE_DESCRIPTION, CNAME = 200, 202, 1
NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970


def payloads(nals: tuple[bytes, ...]) -> list[bytes]:
    """Payloads of the packets of one picture, in order."""
    out: list[bytes] = []
    for nal in nals:
        if len(nal) <= PAYLOAD_BYTES:
            out.append(nal)
            continue
        indicator, kind = nal[0] & 0xE0 | FU_A, nal[0] & 0x1F
        step = PAYLOAD_BYTES - 2
        for at in range(1, len(nal), step):
            first, last = at == 1, at + step >= len(nal)
            out.append(bytes((indicator, first << 7 | last << 6 | kind)) + nal[at : at + step])
    return out


def packet(payload: bytes, *, sequence: int, ticks: int, ssrc: int, marker: bool) -> bytes:
    """An RTP packet; sequence number and time stamp wrap."""
    kind = marker << 7 | PAYLOAD_TYPE
    return struct.pack(">BBHII", 0x80, kind, sequence & 0xFFFF, ticks & 0xFFFFFFFF, ssrc) + payload


def sender_report(*, ssrc: int, unix_s: float, ticks: int, packets: int, octets: int) -> bytes:
    """That the picture with time stamp `ticks` was taken at `unix_s`, and what was sent so far."""
    seconds = int(unix_s // 1)
    fraction = int((unix_s - seconds) * (1 << 32))
    report = struct.pack(
        ">BBHIIIIII",
        0x80,
        SENDER_REPORT,
        6,
        ssrc,
        (seconds + NTP_EPOCH_S) & 0xFFFFFFFF,
        fraction & 0xFFFFFFFF,
        ticks & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    name = b"camera@127.0.0.1"
    items = struct.pack(">IBB", ssrc, CNAME, len(name)) + name + b"\0"
    items += bytes(-len(items) % 4)
    return report + struct.pack(">BBH", 0x81, SOURCE_DESCRIPTION, len(items) // 4) + items


def interleaved(channel: int, data: bytes) -> bytes:
    """A packet within an RTSP connection (RFC 2326, section 10.12)."""
    return struct.pack(">cBH", b"$", channel, len(data)) + data
