"""Who may see the page: judges one request by its headers, before anything is answered.

Promises:
- nobody sees anything without the box's own token: in the link that `vigia status --page` prints, afterwards in a
  cookie (HttpOnly, SameSite=Strict) that holds not the token but what is made from it;
- a foreign name in Host (DNS rebinding) and a request that another page sets off (Origin, Sec-Fetch-Site) are refused
  whatever they carry: on 127.0.0.1 any program and any web page in the operator's browser may knock;
- secrets are compared in constant time.

Sources: RFC 6265bis (SameSite), W3C Fetch Metadata.
"""

from __future__ import annotations

import hashlib
import hmac
import http.cookies
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
KEPT_S = 30 * 86_400  # a browser asks for the link again after a month


class Guard:
    """Holds the token. Pure: headers in, verdict out."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._session = hmac.digest(self._token, b"vigia page", "sha256").hex()
        # Cookies know no ports: two boxes behind two tunnels on one localhost must not take each other's.
        self.cookie = "vigia-" + hashlib.sha256(self._token).hexdigest()[:8]

    def foreign(self, headers: Message) -> str:
        """Why a request comes from elsewhere, in one sentence; empty when it is the page's own or typed by a person."""
        host = headers.get("Host", "")
        if not _HOST.fullmatch(host):
            return "this page answers on 127.0.0.1 only"
        if headers.get("Origin", f"http://{host}") != f"http://{host}":
            return "this page answers its own scripts only"
        site = headers.get("Sec-Fetch-Site", "none")
        followed = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        if site not in ("same-origin", "none") and not followed:
            return "another page may not ask this one"
        return ""

    def knows_token(self, given: str) -> bool:
        """Whether this is the token of the link."""
        return hmac.compare_digest(given.encode(), self._token)

    def knows_cookie(self, header: str) -> bool:
        """Whether a Cookie header holds what `grant` gave out."""
        try:
            morsel = http.cookies.SimpleCookie(header).get(self.cookie)
        except http.cookies.CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self._session.encode())

    def grant(self) -> str:
        """The Set-Cookie header for a browser that came with the token."""
        return f"{self.cookie}={self._session}; Path=/; Max-Age={KEPT_S}; HttpOnly; SameSite=Strict"
