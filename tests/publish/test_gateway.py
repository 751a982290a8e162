"""The gateway to plotters and maps: TLL sentences as pynmea2 reads them, GeoJSON lines, over UDP and TCP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import Any

import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest

from agent.publish.ashore import tll
from agent.publish.ashore.server import Live, LiveServer

from .test_tak import ALERTS, VESSEL

PATIENCE_S = 60.0


@pytest.mark.parametrize(("lat", "lon"), [(36.51234, -6.20321), (-0.00004, 179.99999), (59.999999, 0.0), (-89.5, -0.5)])
def test_a_sentence_is_read_back_by_pynmea2(lat: float, lon: float) -> None:
    text = tll.sentence({**VESSEL, "lat": lat, "lon": lon, "name": "Mar, y *Sol$ \u00f1"}, 7).decode()
    assert len(text) <= 82
    read = pynmea2.parse(text.strip(), check=True)
    assert (read.sentence_type, read.talker) == ("TLL", "II")
    number, north, ns, east, ew, name, _, status, _ = read.data
    signs = (1 if ns == "N" else -1, 1 if ew == "E" else -1)
    got = [s * (int(x[:w]) + float(x[w:]) / 60.0) for s, x, w in zip(signs, (north, east), (2, 3), strict=True)]
    assert got == pytest.approx([lat, lon], abs=1e-6)
    assert all(float(x[w:]) < 60.0 for x, w in ((north, 2), (east, 3)))
    assert (number, name, status) == ("07", "Mar y Sol ", "T")
    assert pynmea2.parse(tll.sentence({**VESSEL, "status": "lost"}, 1023).decode().strip()).data[7] == "L"


def test_numbers_stay_and_are_used_again() -> None:
    numbers = tll.Numbers()
    assert [numbers.number(n) for n in ("a", "b", "c", "b")] == [0, 1, 2, 1]
    numbers.release("b")
    numbers.release("nobody")
    assert [numbers.number(n) for n in ("d", "c")] == [1, 2]
    assert [numbers.number(str(n)) for n in range(tll.NUMBERS)][-3:] == [None] * 3


@pytest.mark.parametrize(("kind", "scheme"), [("nmea", "udp"), ("geojson", "tcp")])
def test_the_gateway_tells_a_vessel_and_its_end(kind: str, scheme: str) -> None:
    live = Live()
    server = LiveServer(0, live)
    stream = scheme == "tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(PATIENCE_S)
        if stream:
            sink.listen()
        command = ["gateway", kind, "--picture", f"127.0.0.1:{server.port}"]
        command += ["--to", f"{scheme}://127.0.0.1:{sink.getsockname()[1]}"]
        gateway = subprocess.Popen([sys.executable, "-m", "agent.cli.main", *command])
        try:
            state: dict[str, Any] = {"at": VESSEL["at"], "vessels": [VESSEL], "alerts": []}
            member = VESSEL["members"][0]
            state["alerts"] = [{**ALERTS[0], "node": member["node"], "track": member["track"]}]
            live.publish(state)
            with sink.accept()[0] if stream else sink as source:
                first = line(source)
                live.publish({"at": time.time(), "vessels": [], "alerts": []})
                last = line(source)
        finally:
            gateway.terminate()
            gateway.wait(20)
            server.close()
    if kind == "nmea":
        assert [pynmea2.parse(x.decode().strip(), check=True).data[7] for x in (first, last)] == ["T", "L"]
    else:
        told = [json.loads(x) for x in (first, last)]
        assert [f["id"] for f in told] == ["MMSI-224123456"] * 2
        assert told[0]["geometry"]["coordinates"] == [VESSEL["lon"], VESSEL["lat"]]
        assert told[0]["properties"]["alerts"][0]["reasons"] == ALERTS[0]["reasons"]
        assert told[1]["properties"]["status"] == "lost"


def line(source: socket.socket) -> bytes:
    """The next line or datagram."""
    source.settimeout(PATIENCE_S)
    if source.type == socket.SOCK_DGRAM:
        return source.recv(2048)
    data = b""
    while not data.endswith(b"\n"):
        piece = source.recv(1)
        assert piece, "the gateway has hung up"
        data += piece
    return data
