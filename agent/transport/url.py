"""Sensor URLs taken apart, checked, and shown without their secrets.

Promises:
- a wrong scheme, port or query key is one sentence with "did you mean"; nothing is opened to find that out;
- no sentence made here, and nothing that `mask_url` gives, holds a password or what looks like one.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from agent.errors import ConfigError

KEYS: dict[str, tuple[str, ...]] = {
    "serial": ("baud", "parity", "stopbits"),
    "udp": ("iface",),
    "tcp": (),
    "file": ("pace", "loop", "port", "group", "rate_bps", "fps"),
    "rtsp": (), "rtsps": (), "http": (), "https": (),
    "v4l2": ("width", "height", "fps"),
}  # fmt: skip
_BYTES = ("serial", "udp", "tcp", "file")  # transports of bytes; the others are cameras, which open themselves
_SERVERS = ("rtsp", "rtsps", "http", "https")  # their query belongs to the server
_SECRET = re.compile(r"(?i)([?&;][^=&;]*(?:pass|pwd|secret|token|key|auth|user)[^=&;]*=)[^&;#]*")
_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/?#\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorUrl:
    """`path` is unquoted and, for files, may be relative; `shown` is for people."""

    scheme: str
    host: str
    port: int
    path: str
    query: dict[str, str]
    shown: str

    def number(self, key: str, default: int) -> int:
        """A whole number of the query.

        Raises:
            ConfigError: it is none.

        """
        value = self.query.get(key, str(default))
        if not value.isdigit():
            raise ConfigError(f"{self.shown}: {key}={value} is no whole number; write for example {key}={default}")
        return int(value)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of `allowed`, the first when left out.

        Raises:
            ConfigError: something else.

        """
        value = self.query.get(key, allowed[0])
        if value not in allowed:
            raise ConfigError(f"{self.shown}: {key}={value} is not known; write one of {', '.join(allowed)}")
        return value


def mask_url(text: str) -> str:
    """A URL, or a text with URLs in it, without user names, passwords and secret-looking query values."""
    return _SECRET.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text))


def parse_url(url: str) -> SensorUrl:
    """Take a sensor's URL apart.

    Raises:
        ConfigError: it is none; one sentence.

    """
    shown = mask_url(url)
    try:
        parts = urlsplit(url)
        port = 0 if parts.scheme in ("serial", "file", "v4l2") else parts.port or 0
    except ValueError as e:
        raise ConfigError(f"{shown}: cannot be read as a URL ({mask_url(str(e))})") from e
    scheme = parts.scheme
    if scheme not in KEYS:
        close = difflib.get_close_matches(scheme, KEYS, n=1)
        hint = f'did you mean "{close[0]}://"?' if close else "write one of " + ", ".join(f"{s}://" for s in KEYS)
        raise ConfigError(f'{shown}: there is no transport "{scheme}"; {hint}')
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key in query if scheme not in _SERVERS else ():
        if key not in KEYS[scheme]:
            close = difflib.get_close_matches(key, KEYS[scheme], n=1)
            known = ", ".join(KEYS[scheme]) or "none"
            meant = f'did you mean "{close[0]}"?' if close else f"known keys: {known}"
            raise ConfigError(f'{shown}: {scheme}:// has no key "{key}"; {meant}')
    host = parts.hostname or ""
    path = unquote(parts.netloc + parts.path) if scheme in ("file", "serial", "v4l2") else parts.path
    found = SensorUrl(scheme=scheme, host=host, port=port, path=path, query=query, shown=shown)
    _complete(found)
    return found


def _complete(u: SensorUrl) -> None:
    if u.scheme in ("udp", "tcp"):
        if not u.port:
            raise ConfigError(f"{u.shown}: the port is missing; write for example {u.scheme}://10.0.0.7:10110")
        if u.scheme == "tcp" and not u.host:
            raise ConfigError(f"{u.shown}: the host is missing; write for example tcp://10.0.0.7:10110")
    elif u.scheme in _SERVERS:
        if not u.host:
            raise ConfigError(f"{u.shown}: the host is missing; write for example {u.scheme}://10.0.0.8/stream")
    elif not u.path.strip("/"):
        raise ConfigError(f"{u.shown}: the {'file' if u.scheme == 'file' else 'device'} is missing after {u.scheme}://")


def check_url(url: str) -> None:
    """Parse and check without opening anything.

    Raises:
        ConfigError: one sentence.

    """
    u = parse_url(url)
    for key in ("baud", "port", "rate_bps"):
        if key in u.query:
            u.number(key, 0)
    if "pace" in u.query:
        u.choice("pace", ("real", "fast"))


def carries_bytes(scheme: str) -> bool:
    """Whether a driver of bytes can use it."""
    return scheme in _BYTES
