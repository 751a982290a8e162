"""The part of CBOR (RFC 8949) that the wire uses, read strictly.

Promises:
- `loads` reads integers, byte and text strings, arrays, maps, false, true, null and floats of definite length; tags,
  indefinite lengths and anything else raise `ProtocolError`, and nothing else is ever raised, whatever the bytes;
- work and memory are bounded by the input: at most `MAX_BYTES` long and `MAX_DEPTH` deep;
- `dumps` writes the shortest form (RFC 8949, 4.2), so the same message always has the same bytes.

A full CBOR reader builds dates, regular expressions and self-referring lists out of a stranger's bytes; a box and a
picture that listen to a network need none of them.
"""

from __future__ import annotations

import struct
from typing import Any

import cbor2

from agent.errors import ProtocolError

MAX_BYTES = 65_536
MAX_DEPTH = 6

_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLE: dict[int, bool | None] = {20: False, 21: True, 22: None}


def dumps(value: Any) -> bytes:
    """The shortest encoding of plain values."""
    return cbor2.dumps(value, canonical=True)


def loads(data: bytes, most: int = MAX_BYTES) -> Any:
    """The one value that `data` holds.

    Raises:
        ProtocolError: not exactly one value of the kinds named above.

    """
    values = loads_sequence(data, most)
    if len(values) != 1:
        raise ProtocolError(f"a message is one CBOR item; {len(values)} came")
    return values[0]


def loads_sequence(data: bytes, most: int = MAX_BYTES) -> list[Any]:
    """All values of a CBOR sequence (RFC 8742), in order.

    Raises:
        ProtocolError: broken, too long or too deep.

    """
    if len(data) > most:
        raise ProtocolError(f"a message of {len(data)} bytes is longer than the {most} allowed")
    reader = _Reader(data)
    values = []
    while reader.at < len(data):
        values.append(reader.item(MAX_DEPTH))
    return values


def head_bytes(array: bytes) -> int:
    """How long the head of the array in `array` is.

    Raises:
        ProtocolError: it is no array of definite length.

    """
    if not array or array[0] >> 5 != 4 or array[0] & 31 > 27:
        raise ProtocolError("the message is no array")
    info = array[0] & 31
    return 1 if info < 24 else 1 + (1 << (info - 24))


def element(array: bytes, index: int) -> Any:
    """One element of an array, or None where it is shorter.

    Raises:
        ProtocolError: it is broken.

    """
    row = loads(array)
    return row[index] if isinstance(row, list) and index < len(row) else None


def elements_before(array: bytes, index: int) -> bytes:
    """The very bytes of the elements before `index`, without the array's head: what a signature covers.

    Raises:
        ProtocolError: it is broken, or has fewer elements.

    """
    reader = _Reader(array)
    first = reader.at = head_bytes(array)
    for _ in range(index):
        reader.item(MAX_DEPTH - 1)
    return array[first : reader.at]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def _take(self, n: int) -> bytes:
        if n > len(self._data) - self.at:
            raise ProtocolError(f"the message ends at byte {len(self._data)} in the middle of a value")
        piece = self._data[self.at : self.at + n]
        self.at += n
        return piece

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise ProtocolError(f"indefinite or reserved length at byte {self.at - 1} of the message")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def item(self, depth: int) -> Any:
        if depth == 0:
            raise ProtocolError(f"the message nests deeper than {MAX_DEPTH} levels")
        head = self._take(1)[0]
        major, info = head >> 5, head & 31
        if major == 7:
            return self._simple(info)
        n = self._argument(info)
        if major == 0:
            return n
        if major == 1:
            return -1 - n
        if major == 2:
            return self._take(n)
        if major == 3:
            return self._text(n)
        if n > len(self._data) - self.at:  # every element takes a byte at least
            raise ProtocolError(f"an array or map claims {n} elements, the message is too short for them")
        if major == 4:
            return [self.item(depth - 1) for _ in range(n)]
        if major == 5:
            return dict(self._pair(depth - 1) for _ in range(n))
        raise ProtocolError(f"CBOR tag {n} has no place in a message")

    def _text(self, n: int) -> str:
        try:
            return self._take(n).decode()
        except UnicodeDecodeError as e:
            raise ProtocolError(f"a text in the message is not UTF-8: {e.reason}") from e

    def _pair(self, depth: int) -> tuple[int | str, Any]:
        key = self.item(depth)
        if not isinstance(key, int | str):
            raise ProtocolError(f"a key in the message is a {type(key).__name__}, neither number nor text")
        return key, self.item(depth)

    def _simple(self, info: int) -> bool | float | None:
        if info in _FLOATS:
            fmt, size = _FLOATS[info]
            value: float = struct.unpack(fmt, self._take(size))[0]
            return value
        if info not in _SIMPLE:
            raise ProtocolError(f"CBOR simple value {info} has no place in a message")
        return _SIMPLE[info]
