"""JPEG pictures out of an HTTP multipart stream (multipart/x-mixed-replace), whatever state the stream is in.

Promises:
- pure and bounded: any split of the bytes gives the same pictures, no part above `MAX_PART` is kept;
- only whole pictures come out: start and end markers are there; a part cut short by the next boundary, garbage
  between parts and parts that are no JPEG are counted in `errors`, and the stream goes on with the next boundary;
- a Content-Length is used where it is right (the picture comes out without waiting for the next part), and not
  believed where it is wrong.

Source: RFC 2046 section 5.1; what cameras send departs from it (boundaries with and without leading dashes, LF line
ends, lengths that are missing or wrong).
"""

from __future__ import annotations

from agent.errors import UnsupportedError

MAX_PART = 20_000_000
MAX_PIXELS = 64_000_000
_MAX_HEAD = 8192
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_TRAILER = 256  # bytes of padding that cameras put behind the end marker


def boundary_of(content_type: str) -> bytes:
    """The delimiter between parts, from the Content-Type of the answer; empty where that does not tell.

    Raises:
        UnsupportedError: not a multipart stream.

    """
    kind, _, parameters = content_type.partition(";")
    if not kind.strip().lower().startswith("multipart/"):
        raise UnsupportedError(
            f"answers {kind.strip() or 'nothing'}, not a multipart MJPEG stream; ask it for its MJPEG URL"
        )
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "boundary":
            return b"--" + value.strip().strip('"').lstrip("-").encode("latin-1", "replace")
    return b""


class MultipartJpegs:
    """Incremental parser; `delimiter` as `boundary_of` gives it: an empty one is learned from the first line."""

    def __init__(self, delimiter: bytes, *, max_part: int = MAX_PART) -> None:
        self.errors = 0
        self._delimiter = delimiter
        self._max_part = max_part
        self._buffer = bytearray()
        self._in_body = False
        self._length: int | None = None
        self._scanned = 0  # of the body, up to here no delimiter was found

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that `data` completes."""
        self._buffer += data
        pictures: list[bytes] = []
        while self._step_body(pictures) if self._in_body else self._step_head():
            pass
        return pictures

    def _step_head(self) -> bool:
        """Find a boundary and the headers behind it; True when a body begins."""
        buffer = self._buffer
        if not self._delimiter and not self._learn():
            return False
        start = buffer.find(self._delimiter)
        if start < 0:
            self._garbage(max(0, len(buffer) - len(self._delimiter) + 1))
            return False
        if start:
            self._garbage(start)
        ends = [(buffer.find(mark, 0, _MAX_HEAD), len(mark)) for mark in (b"\r\n\r\n", b"\n\n")]
        found = [(at, size) for at, size in ends if at >= 0]
        if not found:
            if len(buffer) > _MAX_HEAD:
                self._resync()
                return True
            return False
        at, size = min(found)
        again = buffer.find(self._delimiter, len(self._delimiter), at)
        if again > 0:  # a part that ended within its headers
            self.errors += 1
            del buffer[:again]
            return True
        self._length = _content_length(bytes(buffer[:at]))
        del buffer[: at + size]
        self._in_body, self._scanned = True, 0
        return True

    def _step_body(self, pictures: list[bytes]) -> bool:
        """Find the end of the body; True when the search goes on behind it."""
        buffer, length = self._buffer, self._length
        end = buffer.find(self._delimiter, max(0, self._scanned - len(self._delimiter)))
        self._scanned = len(buffer)
        if length is not None and len(buffer) >= length and not 0 <= end < length:
            picture = _whole(bytes(buffer[:length]))
            if picture is not None:
                pictures.append(picture)
                return self._body_ends(length)
            self._length = None  # the length lies: let the next boundary tell
        if end >= 0:
            picture = _whole(bytes(buffer[:end])) if end <= self._max_part else None
            if picture is not None:
                pictures.append(picture)
            else:
                self.errors += 1
            return self._body_ends(end)
        if len(buffer) > self._max_part:
            self.errors += 1
            return self._body_ends(len(buffer) - len(self._delimiter) + 1)
        return False

    def _body_ends(self, at: int) -> bool:
        del self._buffer[:at]
        self._in_body, self._length = False, None
        return True

    def _learn(self) -> bool:
        """Take the first line that looks like a boundary for the delimiter."""
        while (at := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:at]).strip()
            if line.startswith(b"--") and len(line) > 2:
                self._delimiter = line
                return True
            del self._buffer[: at + 1]
        if len(self._buffer) > _MAX_HEAD:
            self.errors += 1
            self._buffer.clear()
        return False

    def _resync(self) -> None:
        """Headers without an end: look for the next boundary."""
        self.errors += 1
        del self._buffer[: len(self._delimiter)]

    def _garbage(self, count: int) -> None:
        """Drop what lies before a boundary; line ends there are no fault."""
        if bytes(self._buffer[:count]).strip(b"\r\n-"):
            self.errors += 1
        del self._buffer[:count]


def _whole(body: bytes) -> bytes | None:
    """The picture from its start to its end marker, without what trails behind; None if one is missing."""
    end = body.rfind(_EOI, max(0, len(body) - _TRAILER))
    return body[: end + len(_EOI)] if end > 0 and body.startswith(_SOI) else None


def _content_length(head: bytes) -> int | None:
    for line in head.splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-length":
            text = value.strip()
            return int(text) if text.isdigit() and len(text) < 10 and 0 < int(text) <= MAX_PART else None
    return None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the frame header, None when there is none: known before a decoder allocates for it."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
