"""The log: structured entries on a real datagram socket, and no flood."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime.journal import BURST, WINDOW_S, JournalHandler, RateLimit
from support.clock import ManualClock


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "journal"))
        s.settimeout(5.0)
        yield s


def logger(handler: logging.Handler) -> logging.Logger:
    out = logging.Logger("vigia.sensor")  # noqa: LOG001 - one that no other test sees
    out.addHandler(handler)
    return out


def test_an_entry_has_its_fields(journal: socket.socket, tmp_path: Path) -> None:
    handler = JournalHandler(str(tmp_path / "journal"))
    logger(handler).warning("sensor %s is %s", "radar-1", "stale", extra={"sensor": "radar-1", "state": "stale"})
    fields = dict(line.split(b"=", 1) for line in journal.recv(4096).splitlines())
    assert fields == {
        b"MESSAGE": b"vigia.sensor: sensor radar-1 is stale",
        b"PRIORITY": b"4",
        b"SYSLOG_IDENTIFIER": b"vigia",
        b"LOGGER": b"vigia.sensor",
        b"SENSOR": b"radar-1",
        b"STATE": b"stale",
    }
    handler.close()


def test_a_text_of_several_lines_is_one_entry_and_cannot_forge_a_field(journal: socket.socket, tmp_path: Path) -> None:
    handler = JournalHandler(str(tmp_path / "journal"))
    text = "a name\nPRIORITY=0\nfrom the air"
    logger(handler).error("%s", text)
    data = journal.recv(4096)
    body = f"vigia.sensor: {text}".encode()
    assert data.startswith(b"MESSAGE\n" + len(body).to_bytes(8, "little") + body + b"\nPRIORITY=3\n")
    handler.close()


def test_without_a_journal_the_line_is_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = JournalHandler(str(tmp_path / "nobody"))
    logger(handler).error("core ended")
    assert capsys.readouterr().err == "<3>vigia.sensor: core ended\n"
    handler.close()


def test_a_complaint_is_not_repeated_for_ever_and_the_number_left_out_is_said() -> None:
    clock = ManualClock(0.0)
    limit = RateLimit(lambda: clock.now().t_s)

    def passes(name: str) -> str | None:
        record = logging.LogRecord("vigia", logging.WARNING, "", 0, "sensor %s: restarted", (name,), None)
        return record.getMessage() if limit.filter(record) else None

    written = [passes("a") for _ in range(100)]
    assert [w for w in written if w] == ["sensor a: restarted"] * BURST
    assert passes("b") == "sensor b: restarted", "another sensor is another complaint"
    clock.t_s += WINDOW_S + 1
    again = passes("a")
    assert again is not None
    assert f"and {100 - BURST} more like this" in again
