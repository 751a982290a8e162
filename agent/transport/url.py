"""Sensor URLs taken apart, checked, and shown without their secrets.

Promises:
- a wrong scheme, address, port, query key or value is one sentence, with "did you mean" where something is close;
  nothing is opened, and no name is looked up, to find that out;
- no sentence made here, and nothing that `mask_url` gives, holds a password or what looks like one.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from agent.errors import ConfigError

KEYS: dict[str, tuple[str, ...]] = {
    "serial": ("baud", "parity", "stopbits"),
    "udp": ("iface",),
    "tcp": (),
    "file": ("pace", "loop", "port", "group", "rate_bps", "fps"),
    "rtsp": (), "rtsps": (), "http": (), "https": (),
    "v4l2": ("width", "height", "fps"),
}  # fmt: skip
PARITIES = ("none", "even", "odd")
STOPBITS = ("1", "2")
PACES = ("real", "fast")
YES_NO = ("0", "1")
_CHOICES = {"parity": PARITIES, "stopbits": STOPBITS, "pace": PACES, "loop": YES_NO}
_NUMBERS = {  # lowest, highest, an example
    "baud": (50, 4_000_000, 38_400),
    "port": (1, 65_535, 10_110),
    "rate_bps": (10, 1_000_000_000, 38_400),
    "width": (16, 16_384, 1280),
    "height": (16, 16_384, 720),
}
_BYTES = ("serial", "udp", "tcp", "file")  # transports of bytes; the others are cameras, which open themselves
_SERVERS = ("rtsp", "rtsps", "http", "https")  # their query belongs to the server
_LOCAL = ("serial", "file", "v4l2")

_SECRET = re.compile(r"(?i)([?&;#][^=&;#\s]*(?:pass|pwd|secret|token|key|auth|user|sig)[^=&;#\s]*=)[^&;#\s]*")
# a password may hold what it should not (`/`, `?`, `#`): up to the last @ where a colon follows the name
_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^/?#@:\s]*:\S*|[^/?#\s]*)@")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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
        """A whole number of the query, checked by `parse_url`."""
        return int(self.query.get(key, default))

    def choice(self, key: str) -> str:
        """One of the key's words, checked by `parse_url`; the first where it is left out."""
        return self.query.get(key, _CHOICES[key][0])

    def address(self) -> Address | None:
        """The host as an IP address; None for every local one.

        Raises:
            ConfigError: it is a name.

        """
        if self.host in ("", "0.0.0.0"):  # noqa: S104 - what an operator may write
            return None
        try:
            return ipaddress.ip_address("127.0.0.1" if self.host == "localhost" else self.host)
        except ValueError:
            raise ConfigError(
                f"{self.shown}: {self.host} is no address; write the group's or the box's own address in numbers"
            ) from None


def mask_url(text: str) -> str:
    """A URL, or a text with URLs in it, without user names, passwords and secret-looking query values."""
    return _SECRET.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text))


def check_url(url: str) -> None:
    """Check any sensor's URL, a camera's too, without opening anything.

    Raises:
        ConfigError: one sentence.

    """
    parse_url(url)


def parse_url(url: str) -> SensorUrl:
    """Take a sensor's URL apart and check all that can be checked without opening it.

    Raises:
        ConfigError: one sentence.

    """
    shown = mask_url(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"{shown}: cannot be read as a URL; look at its brackets") from None
    scheme = parts.scheme
    if "://" not in url:
        raise ConfigError(f"{shown}: is no URL; write for example serial:///dev/ttyUSB0?baud=38400")
    if scheme not in KEYS:
        known = ", ".join(f"{s}://" for s in KEYS)
        raise ConfigError(f'{shown}: there is no transport "{scheme}"; {_meant(scheme, KEYS, "://", known)}')
    found = SensorUrl(
        scheme=scheme,
        host=parts.hostname or "",
        port=0 if scheme in _LOCAL else _port(parts, shown),
        path=unquote(parts.netloc + parts.path) if scheme in _LOCAL else parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        shown=shown,
    )
    if scheme in ("udp", "tcp") and "@" in parts.netloc:
        raise ConfigError(f"{shown}: {scheme}:// has no user or password; leave them out")
    if scheme not in _SERVERS:
        if parts.fragment or url.endswith("#"):
            raise ConfigError(f"{shown}: write # as %23")
        _check_query(found)
    _check_place(found)
    return found


def carries_bytes(scheme: str) -> bool:
    """Whether a driver of bytes can use it."""
    return scheme in _BYTES


def _port(parts: SplitResult, shown: str) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError(f"{shown}: the port is no number from 1 to 65535")
    return port or 0


def _check_query(u: SensorUrl) -> None:
    for key, value in u.query.items():
        if key not in KEYS[u.scheme]:
            known = ", ".join(KEYS[u.scheme]) or "none"
            hint = _meant(key, KEYS[u.scheme], "", known)
            named = "such key" if "***@" in u.shown else f'key "{key}"'  # it may be the rest of a password with a ?
            raise ConfigError(f"{u.shown}: {u.scheme}:// has no {named}; {hint}")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise ConfigError(f"{u.shown}: {key}={value} is not known; write one of {', '.join(_CHOICES[key])}")
        if key in _NUMBERS:
            low, high, example = _NUMBERS[key]
            if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
                raise ConfigError(
                    f"{u.shown}: {key}={value} is no whole number from {low} to {high}; "
                    f"write for example {key}={example}"
                )
        if key == "fps" and not re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", value):
            raise ConfigError(f"{u.shown}: fps={value} is no number of frames a second; write for example fps=5")
        if key == "group":
            _check_group(u, value)


def _check_group(u: SensorUrl, value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ConfigError(f"{u.shown}: group={value} is no IP address") from None


def _check_place(u: SensorUrl) -> None:
    """Host and port, or path."""
    if u.scheme in _LOCAL:
        if not u.path.strip("/"):
            what = "file" if u.scheme == "file" else "device"
            raise ConfigError(f"{u.shown}: the {what} is missing after {u.scheme}://")
        if u.scheme == "serial" and not u.path.startswith("/"):
            raise ConfigError(f"{u.shown}: a device begins with a slash; did you mean serial:///{u.path}?")
        return
    if not u.host and u.scheme != "udp":
        where = "10.0.0.7:10110" if u.scheme == "tcp" else "10.0.0.8/stream"
        raise ConfigError(f"{u.shown}: the host is missing; write for example {u.scheme}://{where}")
    if u.scheme in _BYTES and not u.port:
        raise ConfigError(f"{u.shown}: the port is missing; write for example {u.scheme}://10.0.0.7:10110")
    if u.scheme == "udp":
        address = u.address()
        if "iface" in u.query and (address is None or not address.is_multicast):
            raise ConfigError(f"{u.shown}: iface is for multicast groups; write the interface's own address as host")


def _meant(word: str, known: dict[str, tuple[str, ...]] | tuple[str, ...], tail: str, listed: str) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}{tail}"?' if close else f"known are: {listed}"
