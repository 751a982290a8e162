"""The status socket: whoever asks gets an answer or hangs up, and the next one is served all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import SensorUnavailable
from agent.runtime.status import StatusServer, ask_status


def test_an_answer_that_fails_is_logged_and_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers: Iterator[dict[str, Any] | RuntimeError] = iter(
        [{"tracks": 1}, RuntimeError("changed while it was read"), {"tracks": 3}]
    )

    def answer() -> dict[str, Any]:
        it = next(answers)
        if isinstance(it, Exception):
            raise it
        return it

    server = StatusServer(tmp_path / "status.sock", answer)
    server.start()
    try:
        assert ask_status(server.path) == {"tracks": 1}
        with caplog.at_level(logging.ERROR), pytest.raises(SensorUnavailable):
            ask_status(server.path)
        assert "could not be put together" in caplog.text
        assert ask_status(server.path) == {"tracks": 3}
    finally:
        server.stop()
