"""The page over real HTTP, in its own process, as a browser, a stranger and a hostile page meet it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agent.runtime.channel import Channel
from agent.web.guard import Guard

TOKEN = "token-of-this-test-0123456789"  # noqa: S105 - made up
SNAPSHOT = '{"site": {"name": "Cabo"}}'


@dataclass
class Page:
    """The page's process and what it answers."""

    port: int
    channel: Channel

    def ask(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def cookie(self) -> dict[str, str]:
        """The headers of a browser that has followed the link."""
        _, headers, _ = self.ask(f"/?token={TOKEN}")
        return {"Cookie": headers["Set-Cookie"].split(";")[0]}


@pytest.fixture
def page() -> Iterator[Page]:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.web.server", str(theirs.fileno()), "0"], pass_fds=[theirs.fileno()]
    )
    theirs.close()
    channel = Channel(ours)
    channel.send(["token", TOKEN])
    channel.send(["snapshot", SNAPSHOT])
    channel.send(["picture", "cam", b"\xff\xd8jpeg"])
    ready = channel.recv(30.0)
    assert ready is not None
    assert ready[0] == "ready"
    yield Page(int(ready[1]), channel)
    channel.close()
    process.wait(10)


@pytest.mark.parametrize("path", ["/", "/page.js", "/state.json", "/camera/cam.jpg", "/nothing", "/?token=x"])
def test_a_stranger_sees_nothing_and_is_told_where_the_link_is(page: Page, path: str) -> None:
    status, headers, body = page.ask(path)
    assert (status, headers.get("Set-Cookie")) == (401, None)
    assert b"vigia status --page" in body
    assert b"Cabo" not in body


def test_the_link_opens_the_page_and_its_cookie_the_rest(page: Page) -> None:
    status, headers, body = page.ask(f"/?token={TOKEN}")
    assert status == 200
    assert b"<title>" in body
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    known = page.cookie()
    assert page.ask("/", known)[0] == 200
    assert json.loads(page.ask("/state.json", known)[2])["site"]["name"] == "Cabo"
    assert page.ask("/camera/cam.jpg", known)[2] == b"\xff\xd8jpeg"
    assert page.ask("/nothing", known)[0] == 404


def test_the_token_opens_the_page_alone_and_a_cookie_of_another_box_nothing(page: Page) -> None:
    assert page.ask(f"/state.json?token={TOKEN}")[0] == 401
    other = Guard("another box's token").grant().split(";")[0]
    name = Guard(TOKEN).cookie
    for cookie in (other, f"{name}={TOKEN}", f"{name}=", f"{name}={other.split('=')[1]}", '"', f"{name}=\x80"):
        assert page.ask("/state.json", {"Cookie": cookie})[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8480"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "127.0.0.1:8480@evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
    ids=str,
)
def test_a_foreign_name_or_page_is_refused_with_token_and_cookie(page: Page, headers: dict[str, str]) -> None:
    known = page.cookie() | headers
    for path in (f"/?token={TOKEN}", "/state.json", "/camera/cam.jpg"):
        status, got, body = page.ask(path, known)
        assert (status, got.get("Set-Cookie"), b"Cabo" in body) == (403, None, False)


def test_its_own_scripts_and_a_followed_link_are_answered(page: Page) -> None:
    own = {"Origin": f"http://127.0.0.1:{page.port}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert page.ask("/state.json", page.cookie() | own)[0] == 200
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert page.ask(f"/?token={TOKEN}", followed)[0] == 200
    tunnelled = {"Host": "localhost:9999", "Origin": "http://localhost:9999"}
    assert page.ask("/state.json", page.cookie() | tunnelled)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_nothing_can_be_changed(page: Page, method: str) -> None:
    status, headers, _ = page.ask("/state.json", page.cookie(), method, b"x=1")
    assert (status, headers["Allow"]) == (405, "GET")
    assert page.ask("/state.json", page.cookie())[0] == 200
