"""MJPEG over HTTP: what most IP cameras speak besides RTSP, and the cheapest stream to take pictures from.

Promises:
- pictures that are not asked for are never decoded;
- Basic and Digest (RFC 7616: MD5, SHA-256; qop auth) credentials come from the URL, and are sent only to its host;
- a silent, closing or babbling server ends as `SensorUnavailable`, an answer that is no MJPEG as `UnsupportedError`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING

from agent.drivers.camera.jpeg import MAX_PART, MultipartJpegs, boundary_of
from agent.drivers.camera.source import Grabber
from agent.errors import SensorUnavailable, UnsupportedError

if TYPE_CHECKING:
    from agent.drivers.camera.url import CameraUrl

CONNECT_TIMEOUT_S = 5.0
_CHUNK = 65_536
_ABSURD = MAX_PART + 4_000_000  # bytes without a whole picture after which a server is called babbling


class HttpMjpeg(Grabber):
    """One multipart/x-mixed-replace stream."""

    cheap = True

    def __init__(self, url: CameraUrl, *, verify_tls: bool = True, stall_s: float = 10.0) -> None:
        self._url = url
        self._stall_s = stall_s
        self._verify_tls = verify_tls
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._parser = MultipartJpegs(b"")
        self._pictures: list[bytes] = []
        self._since_picture = 0

    def open(self) -> None:
        """Connect, log in where asked, and read the headers."""
        response = self._ask(self._basic())
        if response.status == http.client.UNAUTHORIZED and self._url.user is not None:
            challenge = response.headers.get_all("WWW-Authenticate") or []
            digest = next((c for c in challenge if c.lower().startswith("digest")), None)
            if digest is not None:
                self.close()
                response = self._ask(digest_answer(digest, self._url))
        if response.status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            raise SensorUnavailable(
                f"{self._url.shown}: login refused ({response.status}); correct user and password in its URL."
            )
        if response.status != http.client.OK:
            raise SensorUnavailable(f"{self._url.shown}: the camera answers {response.status} {response.reason[:60]}.")
        try:
            self._parser = MultipartJpegs(boundary_of(response.headers.get("Content-Type", "")))
        except UnsupportedError as e:
            raise UnsupportedError(f"{self._url.shown}: {e}.") from e
        if self._socket is not None:
            self._socket.settimeout(self._stall_s)

    def _ask(self, authorization: str | None) -> http.client.HTTPResponse:
        url = self._url
        try:
            if url.scheme == "https":
                context = ssl.create_default_context()
                if not self._verify_tls:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                self._connection = http.client.HTTPSConnection(
                    url.host, url.port, timeout=CONNECT_TIMEOUT_S, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(url.host, url.port, timeout=CONNECT_TIMEOUT_S)
            self._connection.connect()
            self._socket = self._connection.sock
            headers = {"User-Agent": "vigia", "Accept": "multipart/x-mixed-replace, image/jpeg"}
            if authorization is not None:
                headers["Authorization"] = authorization
            self._connection.request("GET", url.path, headers=headers)
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            self.close()
            reason = getattr(e, "strerror", None) or str(e) or type(e).__name__
            raise SensorUnavailable(f"{url.shown}: cannot be reached ({reason}); is the camera on?") from e
        return self._response

    def _basic(self) -> str | None:
        if self._url.user is None:
            return None
        pair = f"{self._url.user}:{self._url.password or ''}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    def grab(self) -> bool:
        """Read on; True when a picture is whole."""
        if self._pictures:
            del self._pictures[0]
        if self._pictures:
            return True
        if self._response is None:
            raise SensorUnavailable(f"{self._url.shown}: the stream is closed.")
        try:
            data = self._response.read1(_CHUNK)
        except TimeoutError as e:
            raise SensorUnavailable(
                f"{self._url.shown}: nothing came for {self._stall_s:g} s though the connection is open."
            ) from e
        except (
            OSError,
            ValueError,
            AttributeError,
            http.client.HTTPException,
        ) as e:  # the middle two: closed meanwhile
            raise SensorUnavailable(f"{self._url.shown}: the stream broke off ({str(e) or type(e).__name__}).") from e
        if not data:
            raise SensorUnavailable(f"{self._url.shown}: the camera ended the stream.")
        self._since_picture += len(data)
        self._pictures = self._parser.feed(data)
        self.errors = self._parser.errors
        if self._pictures:
            self._since_picture = 0
        elif self._since_picture > _ABSURD:
            raise SensorUnavailable(
                f"{self._url.shown}: {self._since_picture >> 20} MB without one whole picture; is this its MJPEG URL?"
            )
        return bool(self._pictures)

    def take(self) -> bytes | None:
        """The picture, still coded."""
        return self._pictures[0] if self._pictures else None

    def abort(self) -> None:
        """Cut the connection: a pending read ends."""
        sock = self._socket
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is gone already, which is what was wanted

    def close(self) -> None:
        """Close the connection."""
        for thing in (self._response, self._connection, self._socket):
            if thing is not None:
                thing.close()
        self._response = self._connection = self._socket = None


def digest_answer(challenge: str, url: CameraUrl, *, cnonce: str | None = None) -> str:
    """The Authorization header for a Digest challenge (RFC 7616, section 3.4) on a GET of the URL's path.

    Raises:
        UnsupportedError: an algorithm or a quality of protection beyond MD5, SHA-256 and auth.

    """
    fields = {k.lower(): q or v for k, q, v in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', challenge)}
    algorithm = fields.get("algorithm", "MD5")
    hashes = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
    qops = [q.strip() for q in fields.get("qop", "").split(",") if q.strip()]
    if algorithm.upper() not in hashes or (qops and "auth" not in qops):
        raise UnsupportedError(
            f"{url.shown}: its login asks for {algorithm} {fields.get('qop', '')}, which is not known."
        )

    def digest(text: str) -> str:
        return hashes[algorithm.upper()](text.encode()).hexdigest()

    user, realm, nonce = url.user or "", fields.get("realm", ""), fields.get("nonce", "")
    secret, target = digest(f"{user}:{realm}:{url.password or ''}"), digest(f"GET:{url.path}")
    answer = {"username": user, "realm": realm, "nonce": nonce, "uri": url.path}
    if qops:
        cnonce = cnonce or os.urandom(8).hex()
        response = digest(f"{secret}:{nonce}:00000001:{cnonce}:auth:{target}")
        tail = f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    else:
        response, tail = digest(f"{secret}:{nonce}:{target}"), ""
    if "opaque" in fields:
        answer["opaque"] = fields["opaque"]
    quoted = ", ".join(f'{k}="{v}"' for k, v in answer.items())
    return f'Digest {quoted}, algorithm={algorithm}, response="{response}"{tail}'
