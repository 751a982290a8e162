"""ASTERIX blocks packed from the standard's tables, for tests: shares nothing with the decoders."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

# field reference numbers in order, "-" where the standard leaves one free
ORDER = {
    10: "010 000 020 140 041 040 042 200 202 161 170 060 220 245 250 300 090 091 270 550 310 500 280 131 210 - SP RE",
    34: "010 000 030 020 041 050 060 070 100 110 120 090 RE SP",
    48: "010 140 020 040 070 090 130 220 240 250 161 042 200 170 210 030 080 100 110 120 230 260 055 050 065 060 SP RE",
    62: (
        "010 - 015 070 105 100 185 210 060 245 380 040 080 290 200 295 136 130 135 220 390 270 300 110 120 510 500 340 "
        "- - - - - RE SP"
    ),
    240: "010 000 020 030 040 041 048 049 050 051 052 140 RE SP",
}


def record(category: int, items: Mapping[str, bytes]) -> bytes:
    """FSPEC and items, in the category's order."""
    order = ORDER[category].split()
    places = sorted(order.index(name) for name in items)
    fspec = bytearray(places[-1] // 7 + 1)
    for place in places:
        fspec[place // 7] |= 0x80 >> place % 7
    for i in range(len(fspec) - 1):
        fspec[i] |= 1
    return bytes(fspec) + b"".join(items[order[place]] for place in places)


def block(category: int, *records: Mapping[str, bytes]) -> bytes:
    """CAT, LEN, records."""
    body = b"".join(record(category, r) for r in records)
    return struct.pack(">BH", category, 3 + len(body)) + body


def video(
    cells: bytes, count: int, *, number: int = 1, azimuth: int = 0x1000, start: int = 0, cell: int = 33_356_410,
    resolution: int = 4, packed: bool = False, nano: bool = False, blocks: int = 4, source: Sequence[int] = (25, 10),
    valid: int | None = None, tod: int | None = 0x546040, kind: int = 2, extra: Mapping[str, bytes] | None = None,
) -> bytes:  # fmt: skip
    """One CAT240 video message; `cells` are the octets as they go on the wire, `count` how many cells they hold."""
    header = struct.pack(">HHII", azimuth, (azimuth + 16) & 0xFFFF, start, cell)
    groups = -(-len(cells) // blocks)
    items = {
        "010": bytes(source),
        "000": bytes((kind,)),
        "020": struct.pack(">I", number),
        "040" if nano else "041": header,
        "048": bytes((0x80 if packed else 0, resolution)),
        "049": (len(cells) if valid is None else valid).to_bytes(2, "big") + count.to_bytes(3, "big"),
        {4: "050", 64: "051", 256: "052"}[blocks]: bytes((groups,)) + cells.ljust(groups * blocks, b"\0"),
        **(extra or {}),
    }
    if tod is not None:
        items["140"] = tod.to_bytes(3, "big")
    return block(240, items)


def summary(text: str, source: Sequence[int] = (25, 10)) -> bytes:
    """A CAT240 video summary."""
    return block(240, {"010": bytes(source), "000": b"\1", "030": bytes((len(text),)) + text.encode("ascii")})
