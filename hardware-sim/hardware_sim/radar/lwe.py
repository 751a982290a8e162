r"""IEC 61162-450: sentences as datagrams on a ship's network.

Promises:
- a datagram is `UdPbC`, a zero octet and lines `\tag,tag*hh\sentence CRLF`, at most 1,472 octets;
- every line says its source (`s:`, two letters and four digits) and its number (`n:`, 1..999 and again); lines of one
  message are tied by a group (`g:line-lines-code`);
- no tag block is longer than 80 characters.

Source: IEC 61162-450, as datagrams of real equipment show it.
"""

from __future__ import annotations

from functools import reduce

HEADER = b"UdPbC\0"
MAX_BYTES = 1472
MAX_TAG_CHARS = 80
TARGET_PORT = 60002
"""Port of the group TGTD (targets of radar and AIS)."""


class Talker:
    """One source on the network, that numbers its lines."""

    def __init__(self, source: str = "RA0001") -> None:
        self._source = source
        self._line = 0
        self._group = 0

    def datagram(self, sentences: list[bytes], *, unix_ms: int | None = None, grouped: bool = False) -> bytes:
        """One datagram of whole sentences (with CRLF); `grouped`: they are one message.

        Raises:
            ValueError: it would be too long.

        """
        if grouped:
            self._group = self._group % 99 + 1
        out = HEADER
        for i, sentence in enumerate(sentences, 1):
            self._line = self._line % 999 + 1
            tags = [f"g:{i}-{len(sentences)}-{self._group}"] if grouped else []
            tags += [f"s:{self._source}", f"n:{self._line}"]
            tags += [f"c:{unix_ms}"] if unix_ms is not None else []
            out += tag_block(",".join(tags)) + sentence
        if len(out) > MAX_BYTES:
            raise ValueError(f"a datagram of {len(out)} octets; the most is {MAX_BYTES}, give fewer sentences")
        return out


def tag_block(tags: str) -> bytes:
    r"""`\tags*hh\`: the checksum is over what stands between the first backslash and the star."""
    check = reduce(lambda x, c: x ^ c, tags.encode("ascii"), 0)
    out = f"\\{tags}*{check:02X}\\".encode("ascii")
    if len(out) > MAX_TAG_CHARS:
        raise ValueError(f"a tag block of {len(out)} characters; the most is {MAX_TAG_CHARS}: {tags}")
    return out
