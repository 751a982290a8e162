"""GStreamer of the system: its Python bindings live in the system's Python only."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM_PYTHON = "/usr/bin/python3"
_SERVER = Path(__file__).parents[1] / "camera" / "rtsp_server.py"


def need(*elements: str, module: str = "Gst") -> None:
    """Skip the test where GStreamer, one of these elements or a module of its bindings is missing."""
    ask = f"import gi; gi.require_version('Gst', '1.0'); gi.require_version('{module}', '1.0'); "
    ask += f"from gi.repository import Gst, {module}; Gst.init(None); "
    ask += f"assert all(map(Gst.ElementFactory.find, {elements!r}))"
    there = Path(SYSTEM_PYTHON).exists()
    if not there or subprocess.run([SYSTEM_PYTHON, "-c", ask], capture_output=True, check=False).returncode:
        pytest.skip(f"no {module} with {', '.join(elements)} on this machine")


@contextmanager
def rtsp_server(*clip: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """GStreamer's server with `/ball`, and `/clip` if one is given: its host:port, and the process that obeys."""
    need("x264enc", "h264parse", "rtph264pay", "qtdemux", module="GstRtspServer")
    command = [SYSTEM_PYTHON, str(_SERVER), *map(str, clip)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}", process
        finally:
            process.stdin.close()
            process.kill()
