"""The dependency audit against an index that answers as PyPI does; what was not answered is never called clean."""

from __future__ import annotations

import http.server
import json
import runpy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

AUDIT = Path(__file__).resolve().parents[2] / "packaging/audit.py"
ADVISORY = {
    "id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "too long a name", "fixed_in": ["1.1"], "withdrawn": None
}  # fmt: skip


class Index(http.server.BaseHTTPRequestHandler):
    """PyPI's JSON for what stands in `pages`."""

    pages: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        body = json.dumps(page).encode()
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def page(version: str, *found: dict[str, Any]) -> dict[str, Any]:
    return {"info": {"version": version}, "vulnerabilities": list(found)}


@pytest.mark.parametrize(
    ("pages", "code", "said"),
    [
        ({"/a/1.0/json": page("1.0")}, 0, "a 1.0: no advisory"),
        ({"/a/1.0/json": page("1.0", ADVISORY)}, 1, "PYSEC-1 (CVE-1): too long a name; mended in 1.1"),
        ({"/a/1.0/json": page("1.0", ADVISORY | {"withdrawn": "2026-01-01"})}, 0, "a 1.0: no advisory"),
        ({"/a/json": page("1.0")}, 0, "a 1.0: no advisory"),
        ({"/a/json": page("2.0")}, 69, "a 1.0: not known: answers for 2.0 only"),
        ({}, 69, "a 1.0: not known: HTTP Error 404"),
    ],
)
def test_what_the_index_says_of_a_locked_version(
    pages: dict[str, Any], code: int, said: str, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock"
    lock.write_text("# comment\na==1.0 \\\n    --hash=sha256:00\n", encoding="utf-8")
    audit = runpy.run_path(str(AUDIT))
    audit["main"].__globals__.update(LOCK=lock, INDEX=index)
    Index.pages = pages
    assert audit["main"]() == code
    assert said in capsys.readouterr().out
