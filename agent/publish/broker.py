"""Where the broker is and how to get in.

Promises:
- no message, name or repr shows a password;
- TLS is 1.3, the broker's certificate and host name are always checked.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.config.schema import Publish

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """An MQTT broker. `tls` is None on a plain connection."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """The broker for people, without credentials."""
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{self.host}:{self.port}"


def parse(
    url: str,
    *,
    username: str | None = None,
    password_file: str | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
) -> Broker:
    """The broker of a URL `mqtt[s]://[user[:password]@]host[:port]`; what is given beside the URL wins over it.

    Raises:
        ConfigError: the URL is none, or a file that is named cannot be used.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as e:
        raise ConfigError(f"the broker's address has a bad port or host; write mqtt://host:port ({e})") from e
    if parts.scheme not in _PORTS or not host:
        raise ConfigError("the broker's address must be mqtt://host:port or mqtts://host:port")
    name = username or (unquote(parts.username) if parts.username else None)
    password = unquote(parts.password) if parts.password else None
    if password_file is not None:
        password = _secret(password_file)
    if password is not None and name is None:
        raise ConfigError("a broker password needs a user name: set publish.username or write it into the address")
    tls = _tls(ca_file, cert_file, key_file) if parts.scheme == "mqtts" else None
    return Broker(host=host, port=port or _PORTS[parts.scheme], username=name, password=password, tls=tls)


def from_config(config: Publish, choice: int = 0) -> Broker | None:
    """The broker of `[publish]`, or the fallback number `choice`; None where none is named.

    Raises:
        ConfigError: as `parse`.

    """
    if config.broker is None:
        return None
    return parse(
        (config.broker, *config.fallback_brokers)[choice], username=config.username,
        password_file=config.password_file, ca_file=config.ca_file, cert_file=config.cert_file,
        key_file=config.key_file,
    )  # fmt: skip


def tls_stamp(config: Publish) -> tuple[int, ...]:
    """Changes when a file of the TLS identity does: a renewed certificate. A file that is away counts as 0."""
    stamps = []
    for name in (config.ca_file, config.cert_file, config.key_file):
        try:
            stamps.append(0 if name is None else Path(name).stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return tuple(stamps)


def _secret(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"the password file {path} cannot be read: {e}; check publish.password_file") from e
    return text.splitlines()[0] if text else ""


def _tls(ca_file: str | None, cert_file: str | None, key_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except (OSError, ssl.SSLError) as e:
        files = ", ".join(f for f in (ca_file, cert_file, key_file) if f)
        raise ConfigError(f"the TLS files for the broker cannot be used ({files}): {e}") from e
    return context


def _no_passphrase() -> str:
    raise ConfigError("the broker's key_file has a passphrase; a box starts unattended and needs a key without one")
