"""Camera URLs taken apart, and shown without their credentials."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from agent.errors import ConfigError

SCHEMES = ("rtsp", "rtsps", "http", "https", "v4l2", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraUrl:
    """`path` is unquoted for files and devices, as written (with its query) for servers. `shown` has no credentials."""

    scheme: str
    host: str
    port: int | None
    path: str
    user: str | None
    password: str | None
    query: dict[str, str]
    full: str
    shown: str


def parse(url: str) -> CameraUrl:
    """Take `url` apart.

    Raises:
        ConfigError: not a camera URL.

    """
    try:
        parts = urlsplit(url)
        port = parts.port if parts.scheme not in {"v4l2", "file"} else None
    except ValueError as e:
        raise ConfigError(f"The camera's URL cannot be read ({e}); write for example rtsp://10.0.0.8:554/main.") from e
    if parts.scheme not in SCHEMES:
        kinds = ", ".join(f"{s}://" for s in SCHEMES)
        raise ConfigError(f"A camera cannot be reached by {parts.scheme or 'a URL without a scheme'}://: use {kinds}.")
    local = parts.scheme in {"v4l2", "file"}
    if not local and not parts.hostname:
        raise ConfigError(
            f"{parts.scheme}://: the camera's URL has no host; write for example rtsp://10.0.0.8:554/main."
        )
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ConfigError(f"{parts.scheme}://{parts.hostname or ''}: the URL has a blank in it; write it as %20.")
    path = (
        unquote(parts.netloc + parts.path)
        if local
        else (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    )
    host = parts.hostname or ""
    bracketed = f"[{host}]" if ":" in host else host
    at = f":{port}" if port is not None else ""
    return CameraUrl(
        scheme=parts.scheme,
        host=host,
        port=port,
        path=path,
        user=None if local or parts.username is None else unquote(parts.username),
        password=None if local or parts.password is None else unquote(parts.password),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)) if local else {},
        full=url,
        shown=f"{parts.scheme}://{path}" if local else f"{parts.scheme}://{bracketed}{at}{parts.path}",
    )


def checked_query(url: CameraUrl, known: frozenset[str]) -> dict[str, str]:
    """The query's keys, all of them known.

    Raises:
        ConfigError: another key.

    """
    for key in url.query:
        if key not in known:
            raise ConfigError(f"{url.shown}: {key!r} is not known here; known are {', '.join(sorted(known))}.")
    return url.query


def number_in(url: CameraUrl, key: str, default: float, low: float, high: float) -> float:
    """A number of the query.

    Raises:
        ConfigError: not a number, or out of bounds.

    """
    text = url.query.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ConfigError(f"{url.shown}: {key}={text}: give a number from {low:g} to {high:g}.")
    return value


def choice_in(url: CameraUrl, key: str, choices: tuple[str, ...]) -> str:
    """One of `choices` (the first is the default).

    Raises:
        ConfigError: something else.

    """
    text = url.query.get(key, choices[0])
    if text not in choices:
        raise ConfigError(f"{url.shown}: {key}={text}: give {' or '.join(choices)}.")
    return text
