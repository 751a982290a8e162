"""When a certificate runs out, so that somebody hears of it before the link does.

Promises:
- `not_after` reads the first certificate of a PEM file (RFC 5280, 4.1: X.509 in DER) and nothing else of it;
- whatever the bytes, it raises `ConfigError` and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import ConfigError

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _EXPLICIT_0, _UTC_TIME = 0x30, 0xA0, 0x17


def not_after(path: str) -> float:
    """Unix time (s) of the end of validity of the first certificate in `path`.

    Raises:
        ConfigError: the file cannot be read or holds no certificate.

    """
    try:
        match = _PEM.search(Path(path).read_bytes())
        if match is None:
            raise ValueError("it holds no PEM certificate")
        certificate, _ = _element(base64.b64decode(match.group(1)), _SEQUENCE)
        body, _ = _element(certificate, _SEQUENCE)
        if body[:1] == bytes([_EXPLICIT_0]):  # version
            _, body = _element(body)
        for _ in range(3):  # serial number, signature algorithm, issuer
            _, body = _element(body)
        validity, _ = _element(body, _SEQUENCE)
        _, rest = _element(validity)
        text, _ = _element(rest)
        return _time(rest[0], text.decode("ascii"))
    except (OSError, ValueError, IndexError, binascii.Error) as e:
        raise ConfigError(f"the certificate {path} cannot be read: {e}; check publish.cert_file") from e


def _element(data: bytes, tag: int | None = None) -> tuple[bytes, bytes]:
    """(content of the first DER element, what follows it)."""
    if tag is not None and data[0] != tag:
        raise ValueError("it is no X.509 certificate")
    length, at = data[1], 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
    if at + length > len(data):
        raise ValueError("it is cut short")
    return data[at : at + length], data[at + length :]


def _time(tag: int, text: str) -> float:
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049 (RFC 5280, 4.1.2.5.1)
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
